"""Distil the built-in street scenes and object pictures, train students, and compare them: make quickstart.

Writes into the work dir: distilled/ (the street scenes), objects/{d4m,dmgd}/distilled/ (the pictures), the plans,
results.json, report.html. Re-running continues an interrupted run and repeats nothing that is finished.
"""
import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any, Dict, List, Tuple

ROOT = Path(__file__).resolve().parents[1]
PARTS = dict(streets='Street scenes, D3S2', objects='Object pictures, D4M and DMGD')
STREETS = ('distilled', 'random_real', 'selected_real', 'unguided')
# Distilled sets of the object pictures; the comparison's config defines the baselines.
OBJECTS = {name: f'configs/quickstart/{name}_objects-64px.py' for name in ('d4m', 'dmgd', 'unguided')}
NAMES = dict(d4m='D4M', dmgd='DMGD', unguided='unguided')
STREET_SCENES = 'configs/quickstart/d3s2_streets-64x64.py'
COMPARISONS = dict(streets='configs/evaluation/unet_1p_streets-64x64.py',
                   objects='configs/evaluation/convnet4_ipc10_objects-64px.py')


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--work-dir', default='work_dirs/quickstart', help='folder for all output')
    parser.add_argument('--seeds', type=int, default=1, help='students per set, each with a new random_real')
    parser.add_argument('--parts', nargs='+', choices=PARTS, default=list(PARTS), help='what to distil')
    parser.add_argument('--sets', nargs='+', choices=STREETS, default=STREETS[:3],
                        help='what to train students of the street scenes on')
    parser.add_argument('--workers', type=int, help='students trained at a time; on CPU the number of cores, up to 4')
    args = parser.parse_args()
    if args.seeds < 1 or (args.workers is not None and args.workers < 1):
        parser.error('--seeds and --workers have to be at least 1')
    args.work_dir = Path(args.work_dir).resolve()
    return args


def distil(config, name: str, work_dir: Path, cells) -> Dict[str, Any]:
    """Distil with ``mmdistill distill`` in a separate process, unless the set is finished. Returns the time it took."""
    from mmdistill.cli import main as command_line
    from mmdistill.datasets import read_manifest
    from mmdistill.datasets.manifest import content_digest
    from mmdistill.errors import DistillError
    from mmdistill.parallel import run_apart
    from mmdistill.weights.address import builtin
    weights = content_digest(builtin(config.model.generator.weights))
    key = dict(distil=config.to_dict(), work_dir=str(work_dir), weights=weights)
    done = cells.get(key)
    if done:
        try:
            read_manifest(work_dir / 'distilled')
            print(f'Distilled before, {name}: {work_dir}', flush=True)
            return done
        except DistillError:
            pass
    file = work_dir / 'config.py'
    file.parent.mkdir(parents=True, exist_ok=True)
    config.dump(file)
    command = ['distill', str(file), '--work-dir', str(work_dir)]
    resumed = (work_dir / 'plan.json').exists()
    start = time.perf_counter()
    os.environ.setdefault('MMDISTILL_OUTPUT', 'brief')  # its log is in the work dir
    print(f'Distilling {name}: {work_dir}', flush=True)
    status = run_apart(command_line, command + ['--resume'] * resumed)
    if status:
        sys.exit(status)  # the command has printed the error
    done = dict(seconds=time.perf_counter() - start, resumed=resumed)
    cells.put(key, done)
    return done


def streets(args: argparse.Namespace, cells) -> Tuple[Any, List[str]]:
    """Distil the street scenes. Returns their comparison and notes about it."""
    from mmengine.config import Config
    work_dir = args.work_dir
    config = Config.fromfile(STREET_SCENES)
    done = distil(config, 'the street scenes, D3S2', work_dir, cells)
    comparison = Config.fromfile(COMPARISONS['streets'])
    comparison.training_sets.distilled.data_root = str(work_dir / 'distilled')
    if 'unguided' in args.sets:
        unguided = Config.fromfile(STREET_SCENES)
        unguided.custom_hooks = [hook for hook in unguided.custom_hooks if hook['type'] != 'GuidedSynthesisHook']
        distil(unguided, 'the street scenes, unguided', work_dir / 'unguided', cells)
        comparison.training_sets.unguided = dict(data_root=str(work_dir / 'unguided/distilled'))
    comparison.training_sets = {name: comparison.training_sets[name] for name in args.sets}
    return comparison, [
        'random_real: random real images, a new selection for each run. selected_real: the real images of the selected '
        'masks.' + (' unguided: the same requests without guidance.' if 'unguided' in args.sets else ''),
        *_took(done)]


def objects(args: argparse.Namespace, cells) -> Tuple[Any, List[str]]:
    """Distil the object pictures. Returns their comparison and notes about it."""
    from mmengine.config import Config
    comparison, took = Config.fromfile(COMPARISONS['objects']), []
    for name, path in OBJECTS.items():
        work_dir = args.work_dir / 'objects' / name
        took += _took(distil(Config.fromfile(path), f'the object pictures, {NAMES[name]}', work_dir, cells), f' {name}')
        comparison.training_sets[name].data_root = str(work_dir / 'distilled')
    return comparison, [
        'unguided: the same generator from pure noise. random_real: random real images, a new selection for each run. '
        'herding_real: real images selected by herding.', *took]


def _took(done: Dict[str, Any], name: str = '') -> List[str]:
    return [] if done['resumed'] else [f'Distilling{name} took {done["seconds"]:.0f} s.']


def main() -> None:
    """Distil, train students, report."""
    from mmdistill import stopping
    args = parse_args()
    stopping.current.kept = lambda: f'finished parts are in {args.work_dir}; the same command continues'
    os.chdir(ROOT)  # paths in the configs are relative to the root
    start = time.perf_counter()
    import mmdistill.registry  # noqa: F401  makes 'mmdistill::' and 'mmseg::' usable in _base_
    from mmdistill.terminal import quiet_mmengine
    quiet_mmengine()
    from mmdistill.evaluation import ComparisonRunner, ResultCache, markdown, run_comparisons, table_cells
    from mmdistill.evaluation.report import write_report
    from mmdistill.files import write_json

    cells, rows, text, comparisons = ResultCache(args.work_dir / 'cells'), [], [], []
    folders = dict(streets=args.work_dir / 'comparison', objects=args.work_dir / 'objects/comparison')
    parts = [part for part in PARTS if part in args.parts]
    remarks = []
    for part in parts:
        comparison, notes = dict(streets=streets, objects=objects)[part](args, cells)
        comparison.image_sets = args.seeds
        comparisons.append((comparison, folders[part]))
        remarks.append(notes)
    # After all sets are distilled, since OpenMP cannot be used in the processes that are forked later.
    results = run_comparisons([ComparisonRunner(*one) for one in comparisons], args.workers)
    for part, result in zip(parts, results):
        rows += [dict(row, data=part) for row in result['rows']]
        text += ['', PARTS[part], markdown(table_cells(result['rows']))]
    write_json(args.work_dir / 'results.json', rows)
    print('\n'.join(text))
    flags = f' --seeds {args.seeds}' * (args.seeds != 1) + f' --sets {" ".join(args.sets)}' * (
        tuple(args.sets) != STREETS[:3]) + f' --parts {" ".join(parts)}' * (parts != list(PARTS))
    configs = dict(streets=[STREET_SCENES], objects=OBJECTS.values())
    write_report(
        [folders[part] for part in parts], args.work_dir / 'report.html', title='Distilled built-in data',
        headings=[PARTS[part] for part in parts], remarks=remarks,
        commands=[('This page', f'python tools/quickstart.py{flags}')] + [
            ('A set alone', f'mmdistill distill {path}') for part in parts for path in configs[part]])
    print(f'\nDone in {time.perf_counter() - start:.0f} s. What the tables show, and the images: '
          f'{args.work_dir / "report.html"}')


if __name__ == '__main__':
    from mmdistill.cli import run
    run(main)
