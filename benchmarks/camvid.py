"""CamVid with two students, real and distilled training sets: one table per share of the frames and split.

    python benchmarks/camvid.py [--share 0.05 0.1] [--split val] [--rows random_real distilled ...]
                                [--students pretrained fast_scnn] [--data-root data/camvid] [--vae FOLDER]
                                [--generator FOLDER] [--decoder FOLDER] [--guide FILE]
    python benchmarks/camvid.py --share stages ...   # the loss of each stage of the synthesis, at 5 %
    python benchmarks/camvid.py --held-out 0001TP 0006R0 0016E5 --rows greedy_real dense_greedy_real

Trains the generator and the guide unless they are given, distils three image sets of each kind, and compares them with
configs/evaluation/mmseg_pretrained-tiny_{5p,10p,5p-stages}_camvid-256x192.py. The table is printed and saved as
results.md in the work dir that the last line names. Re-running completes an interrupted run, and stops at a set that
was made with other settings or weights. Use --split val to choose settings; the default, the test split, is for the
reported numbers. The validation frames continue one of the three training sequences, and selectors of real frames can
exploit this. Therefore, --held-out selects frames from two training sequences and tests on every other frame of the
third one. The students that start from ImageNet weights need the package of the extra `benchmarks`.
"""
import argparse
import subprocess
import sys
from pathlib import Path

from paths import ROOT, resolve_paths

import mmdistill.registry  # noqa: F401  'mmdistill::' in configs
from mmdistill.config import read_config

NAMES = {'0.05': '5p', '0.1': '10p', 'stages': '5p-stages'}
GENERATOR, GUIDE = 'layout-unet_camvid-512x384', 'efficientnet-guide_camvid-256x192'
FRAMES = 367
SEQUENCES = {'0001TP': range(62), '0006R0': range(62, 163), '0016E5': range(163, FRAMES)}  # of train frames
HOOK = 'custom_hooks.MaskSelectionHook.'
# Starts from the photo. One step of 100 adds almost no noise, so the autoencoder causes any loss.
STARTS = {'autoencoder': {'strength': 0.01, 'num_steps': 100},
          **{f'photo-{percent}': {'strength': percent / 100} for percent in (10, 20, 40, 70)}}
GUIDED = ('d3s2', 'd3s2-two', 'photo-guided')


def run(command, config, folder=None, workers=None, **options):
    """Run a command of mmdistill in a separate process; exit if it fails."""
    argv = [sys.executable, '-m', 'mmdistill', command, str(config)]
    argv += ['--work-dir', str(folder)] if folder else []
    argv += ['--workers', str(workers)] if workers else []
    argv += ['--resume'] if command != 'evaluate' else []
    argv += ['--cfg-options', *(f'{key}={value}' for key, value in options.items())] if options else []
    print('\n$ mmdistill', *(word if len(word) < 120 else f'{word[:80]}...' for word in argv[3:]), flush=True)
    if code := subprocess.run(argv, cwd=ROOT).returncode:
        sys.exit(code)


def sets_of(config, rows):
    """The folders of the distilled sets that the rows of an evaluation config read."""
    sets, folders = config.training_sets, []
    for row in rows:
        spec = sets[row]
        members = [sets[name] for name in spec.union] if 'union' in spec else [spec]
        for member in members:
            roots = member.get('data_root') or [one.data_root for one in member.get('dataset', [])]
            folders += [Path(root).parent for root in roots]
    return list(dict.fromkeys(folders))


def distil(folder, budget, args):
    """Distil the set of a folder such as `d3s2-two_0` (kind and seed); check the settings of a finished set."""
    kind, _, seed = folder.name.partition('_')
    options = {'data_root': args.data_root, 'model.generator.weights': args.generator, 'test_cfg.seed': seed,
               f'{HOOK}selector.budget': budget}
    if args.decoder:
        options['model.generator.vae'] = args.decoder
    if kind == 'd3s2-two':  # for an odd budget, one image too many; the comparison leaves it out
        options.update({f'{HOOK}selector.budget': (budget + 1) // 2, f'{HOOK}images_per_mask': 2})
    if kind in STARTS:
        options.update({f'model.generator.{key}': value for key, value in STARTS[kind].items()})
    if kind in GUIDED:
        options['custom_hooks.GuidedSynthesisHook.segmentor.checkpoint'] = args.guide
    name = 'photo-start' if kind in STARTS else kind.removesuffix('-two')
    run('distill', f'configs/d3s2/{name}_layout-unet_5p_camvid-512x384.py', folder, **options)


def parts(args, guided):
    """Train the generator, and the guide if needed, unless options name them or they exist; set the options."""
    data = dict(data_root=args.data_root)
    if args.generator is None:
        args.generator = f'work_dirs/{GENERATOR}/export'
        if not (ROOT / args.generator).is_dir():
            run('train', f'configs/generators/{GENERATOR}.py', **data, **({'model.vae': args.vae} if args.vae else {}))
    if guided and args.guide is None:
        args.guide = f'work_dirs/{GUIDE}/export/model.safetensors'
        if not (ROOT / args.guide).is_file():
            run('train', f'configs/generators/{GUIDE}.py', **data)


def only(path, config, students):
    """Write a config of the same name that inherits a comparison and has only these students."""
    if unknown := [name for name in students if name not in config.students]:
        sys.exit(f'error: --students {unknown[0]} is none of {", ".join(config.students)}')
    kept = {name: config.students[name] for name in students}
    copy = ROOT / 'work_dirs' / 'configs' / Path(path).name
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_text(f"_base_ = {str(ROOT / path)!r}\nstudents = {dict(_delete_=True, **kept)}\n")
    return copy.relative_to(ROOT)


def held_out(share, sequence):
    """Options and work dir of a comparison that trains on two sequences and is tested on the third."""
    held = SEQUENCES[sequence]
    options = {'train_dataset.indices': [n for n in range(FRAMES) if n not in held],
               'val_dataset.indices': [*held[::2]], 'val_dataset.data_prefix.img_path': 'images/train',
               'val_dataset.data_prefix.seg_map_path': 'annotations/train', 'split': 'val'}
    return options, Path(f'work_dirs/camvid_{NAMES[share]}_held-out', sequence)


def make_sets(config, args, sequence=None):
    """Make the distilled sets of a comparison; return its rows."""
    rows = args.rows or list(config.training_sets)
    if unknown := [row for row in rows if row not in config.training_sets]:
        sys.exit(f'error: --rows {unknown[0]} is none of {", ".join(config.training_sets)}')
    folders = sets_of(config, rows)
    if folders and sequence:
        sys.exit(f'error: --held-out compares real frames: leave {folders[0]} out with --rows')
    if folders:
        parts(args, any(folder.name.partition('_')[0] in GUIDED for folder in folders))
        for folder in folders:
            distil(folder, config.budget, args)
    return rows


def table(share, args, sequence=None):
    """Run one comparison: make its sets, then train its students."""
    path = f'configs/evaluation/mmseg_pretrained-tiny_{NAMES[share]}_camvid-256x192.py'
    config = read_config(str(ROOT / path))
    if args.students:
        path = only(path, config, args.students)
    rows = make_sets(config, args, sequence)
    needed = {*rows, *(name for row in rows for name in config.training_sets[row].get('union', ()))}
    options = {f'training_sets.{name}': None for name in config.training_sets if name not in needed}
    options.update(data_root=args.data_root, split=args.split, image_sets=args.image_sets)
    changes, folder = held_out(share, sequence) if sequence else ({}, None)
    run('evaluate', path, folder, args.workers, **{**options, **changes})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--share', nargs='+', default=['0.05', '0.1'], choices=NAMES,
                        help='share of the frames, or stages')
    parser.add_argument('--split', default='test', choices=['val', 'test'], help='split on which students are tested')
    parser.add_argument('--held-out', nargs='+', default=[None], choices=SEQUENCES, metavar='SEQUENCE',
                        help='training sequences to test on, instead of a split')
    parser.add_argument('--rows', nargs='+', metavar='ROW', help='rows of the evaluation config; default: all')
    parser.add_argument('--students', nargs='+', metavar='NAME', help='students of the evaluation config; default: all')
    parser.add_argument('--image-sets', type=int, default=3, help='runs of each row and student')
    parser.add_argument('--workers', type=int, default=2, help='students at a time, on one thread each')
    parser.add_argument('--data-root', default='data/camvid')
    parser.add_argument('--vae', help='folder of the weights of TAESD, for the training of the generator')
    parser.add_argument('--generator', help='folder of a trained generator')
    parser.add_argument('--decoder', help='folder of an autoencoder with a fine-tuned decoder; default: TAESD')
    parser.add_argument('--guide', help='weights of a trained guide')
    args = parser.parse_args()
    resolve_paths(args, 'data_root', 'vae', 'generator', 'decoder', 'guide')
    for share in args.share:
        for sequence in args.held_out:
            table(share, args, sequence)


if __name__ == '__main__':
    main()
