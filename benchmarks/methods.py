"""All training-free methods on the built-in object pictures or ImageNette: accuracy of students, time of the method.

    python benchmarks/methods.py [METHOD ...] [--seeds 5] [--labels hard soft]
                                 [--variants plain weights choice both paper fast]
    python benchmarks/methods.py --choose [METHOD ...] [--seeds 3]
    python benchmarks/methods.py --imagenette FOLDER --vae FOLDER [--generator FOLDER] --labels hard ...

Each method distils one image set per seed, with 10 images per class. One student is trained per set; --trainings sets
another number. The first form tests on the 1 000 test pictures. The second form compares the settings of CHOICES on
1 000 validation pictures, with other seeds; the settings of the configs were chosen in this way. The third form does
either with ImageNette at 128 pixels, the generator of configs/generators/class-unet_cpu_imagenette-128px.py and
ResNetAP-10; there, every ninth training image is used for validation. Seconds are CPU seconds on one core, without the
encoding of the real images, which is done once. Re-running resumes an interrupted run. The variant `plain` uses the
sampler of the config, `paper` 50 steps of DDPM, and `fast` 20 steps of DPM-Solver++, as most configs of the built-in
pictures do. With soft labels, and for candidates that are compared by the teacher's features, the teacher is trained
first. The students are compiled, which needs a C++ compiler and saves a third to a half of their training time.
"""
import argparse
import itertools
import json
import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

import torch
from paths import ROOT, resolve_paths

import mmdistill.registry  # noqa: F401  'mmdistill::' in configs
from mmdistill.cli import main as command
from mmdistill.config import merge_options, read_config
from mmdistill.evaluation import ComparisonRunner, markdown
from mmdistill.evaluation.results import format_value
from mmdistill.models.evaluation_nets import ConvNet, ResNetAP

PAPER = {'model.generator.num_steps': 50, 'model.generator.scheduler': dict(
    type='DDPMScheduler', variance_type='fixed_small', timestep_spacing='linspace')}
FAST = {'model.generator.num_steps': 20, 'model.generator.scheduler': 'DPMSolverMultistepScheduler'}
FAST_SCALES = dict(dmgd=20)  # scale for FAST; the configs of the other methods use FAST already
OBJECTS = {name: f'configs/{folder}/{name}_{rest}objects-64px.py' for name, folder, rest in (
    ('unguided', 'quickstart', ''), ('d4m', 'quickstart', ''), ('dmgd', 'quickstart', ''),
    ('mgd3', 'mgd3', 'class-unet_ipc10_'), ('cgs', 'cgs', 'class-unet_ipc10_'), ('dap', 'dap', 'class-unet_ipc10_'),
    ('coda', 'coda', 'class-unet_ipc10_'), ('d4m-mgd3', 'mgd3', 'class-unet_ipc10_'))}
FOLDERS = {'unguided': 'd4m', 'd4m-mgd3': 'mgd3'}  # the other methods' folders have the method's name
IMAGENETTE = {name: f'configs/{FOLDERS.get(name, name)}/{name}_class-unet_ipc10_imagenette-128px.py'
              for name in OBJECTS}
HOOK = 'custom_hooks.GuidedSynthesisHook.'
LATENTS = dict(type='LatentEncoder', vae='mmdistill://objects', image_size=64)
TEACHER = dict(type='BackboneEncoder', config='mmdistill::teachers/convnet4-teacher_objects-64px.py')
PLANS = f'{HOOK}objectives.TransportMatching.'
SHARP = {f'{PLANS}epsilon': 0.02, f'{PLANS}iterations': 50}
PAPER_PLANS = {f'{PLANS}epsilon': 0.1, f'{PLANS}iterations': 5}


def scales(*values, prefix='', **options):
    """Scales of the guidance, with other options, as entries of CHOICES."""
    return {f'{prefix}{scale:g}': ({**options, f'{HOOK}scale': scale}, None) for scale in values}


# Settings to compare on the validation pictures: method → name → (options of its config, encoder that chooses one of
# five candidates, or None).
CHOICES = dict(
    unguided=dict(plain=({}, None)),
    d4m={f'{strength:g}': ({'model.generator.strength': strength}, None) for strength in (0.5, 0.6, 0.7, 0.8)},
    dmgd={**scales(20, 40, 80), **scales(20, 40, 80, prefix='fast ', **FAST)},
    mgd3=scales(0.03, 0.1, 0.2, 0.3),
    coda=scales(0.2, 0.5, 1),
    cgs=scales(5, 10, 20),
    dap={f'{joint}_{scale:g}': (
        {f'{HOOK}scale': scale, f'{HOOK}norm': 'unit', f'{HOOK}objectives.FeatureAlignment.joint': joint == 'joint'},
        None) for joint in ('each', 'joint') for scale in (0.05, 0.1)},
    **{'d4m-mgd3': {f'{strength:g}_{scale:g}': ({'model.generator.strength': strength, f'{HOOK}scale': scale}, None)
                    for strength in (0.7, 0.9) for scale in (0.1, 0.2)}},
    s3={name: ({}, encoder) for name, encoder in (('latents', LATENTS), ('teacher', TEACHER))})
IMAGENETTE_CHOICES = dict(  # fewer settings, since a student takes minutes
    {method: {name: CHOICES[method][name] for name in names} for method, names in dict(
        unguided=['plain'], d4m=['0.5', '0.7'], mgd3=['0.1', '0.2'], coda=['0.2', '0.5'], cgs=['5', '10'],
        dap=['each_0.1'], s3=['latents'], **{'d4m-mgd3': ['0.7_0.1', '0.7_0.2']}).items()},
    dmgd={**scales(40, **PAPER_PLANS), **scales(20, 40, prefix='sharp plans ', **SHARP)})
# Name → (encoder that chooses among candidates, whether students use image weights, options of the config).
VARIANTS = dict(plain=(None, False, {}), weights=(None, True, {}), choice=(LATENTS, False, {}),
                both=(LATENTS, True, {}), paper=(None, False, PAPER), fast=(None, False, FAST))


def distil(unit):
    """Distil or complete a set in a work dir. Returns the folder and the CPU seconds of the first run, from a file."""
    torch.set_num_threads(1)
    path, options, encoder, seed, folder = unit
    took = Path(folder, 'seconds.json')
    cfg = read_config(path)
    merge_options(cfg, {**options, 'test_cfg.seed': seed, 'test_dataloader.num_workers': 0})
    by = 'prototype' if cfg.custom_hooks[0].type == 'PrototypeHook' else 'nearest'
    cfg.custom_hooks.append(dict(type='ImageWeightsHook', weights=dict(type='ClusterShares', by=by)))
    if encoder:
        cfg.custom_hooks[0].candidates = 5
        cfg.custom_hooks.append(dict(type='CandidateChoiceHook', encoder=encoder))
    Path(folder).mkdir(parents=True, exist_ok=True)
    cfg.dump(f'{folder}/run.py')
    begin = time.process_time()  # CPU time of one thread, independent of other load on the machine
    try:
        command(['distill', f'{folder}/run.py', '--work-dir', folder, '--resume'])  # also checks the settings
    except SystemExit as end:  # would end the process without an error in its parent
        raise RuntimeError(f'{folder}: {end.code}') from None
    if not took.is_file():
        took.write_text(json.dumps(time.process_time() - begin))
    return folder, json.loads(took.read_text())


def unit_of(args, method, options, encoder, seed, folder):
    """The argument of :func:`distil` for the dataset in the arguments."""
    if args.imagenette:
        options = {**options, 'data_root': args.imagenette, 'model.generator.weights': args.generator}
        encoder = encoder and dict(encoder, vae=args.vae)
    elif encoder is TEACHER:
        encoder = dict(encoder, checkpoint=teacher(args))
    return args.configs.get(method, args.configs['unguided']), options, encoder, seed, folder


def distil_all(units, workers):
    """Distil all sets, ``workers`` at a time, each in a separate process. Returns the seconds of each folder."""
    seconds = {}
    with multiprocessing.get_context('fork').Pool(workers, maxtasksperchild=1) as pool:
        try:
            for number, (folder, took) in enumerate(pool.imap_unordered(distil, units), 1):
                seconds[folder] = took
                print(f'[{number}/{len(units)}] {folder}: {took:.0f} s', flush=True)
        except RuntimeError as error:  # of a set; for other errors, the pool prints a traceback
            sys.exit(str(error))
    return seconds


def compare(sets, args, labels, split, folder):
    """Train the students. Returns name of the set → mean and standard deviation of top-1, as text."""
    soft = '-soft' if labels == 'soft' else ''
    name = 'idc_hard-tiny_ipc10_imagenette' if args.imagenette else f'convnet4{soft}_ipc10_objects'
    comparison = read_config(f'configs/evaluation/{name}-64px.py')
    if args.imagenette:
        merge_options(comparison, {'data_root': args.imagenette, 'encoder.vae': args.vae})
        comparison.students = dict(resnetap10=comparison.students.resnetap10)
        comparison.val_dataset = dict(comparison.train_dataset, indices=list(range(0, 9469, 9)))
    else:
        comparison.val_dataset = dict(comparison.test_dataset, split='val')
    comparison.training_sets, comparison.split = sets, split
    comparison.image_sets, comparison.trainings = args.seeds, args.trainings
    if soft:
        comparison.overrides = {'custom_hooks.OnlineLabelsHook.teacher.checkpoint': teacher(args)}
    results = ComparisonRunner(comparison, folder).run(args.workers)
    return {row['set']: format_value(row) for row in results['rows'] if row['metric'] == 'top1'}


def teacher(args):
    """Path of the teacher's weights; the teacher is trained if they do not exist."""
    weights = args.work_dir / 'teacher/iter_1500.pth'
    if not weights.is_file():
        # In a separate process, since a training leaves mmpretrain as the default scope.
        run = [sys.executable, '-m', 'mmdistill', 'train', TEACHER['config'], '--work-dir', str(weights.parent)]
        subprocess.run(run, check=True)
    return str(weights)


def choose(args):
    """Compare the settings of CHOICES on the validation pictures."""
    units, sets = [], {}
    for method in args.methods:
        for name, (options, encoder) in args.choices[method].items():
            seeds = range(100, 100 + args.seeds)
            folders = [str(args.work_dir / f'choose/{method}_{name}_{seed}'.replace(' ', '_')) for seed in seeds]
            units += [unit_of(args, method, options, encoder, *pair) for pair in zip(seeds, folders)]
            sets[f'{method} {name}'] = dict(data_root=[f'{folder}/distilled' for folder in folders])
    distil_all(units, args.workers)
    found = compare(sets, args, 'hard', 'val', args.work_dir / 'choose/comparison')
    print(markdown([['setting', 'top-1'], *([name, found[name]] for name in sets)]))


def table(args):
    """Compare all methods and variants on the test pictures."""
    units, sets = {}, dict(random_real=dict(selector=dict(type='RandomPerClassSelector')),
                           herding_real=dict(selector=dict(type='HerdingSelector', per_class=True)))
    for method, variant in itertools.product(args.methods, args.variants):
        encoder, weights, options = VARIANTS[variant]
        if variant == 'fast' and method in FAST_SCALES and not args.imagenette:
            options = {**options, f'{HOOK}scale': FAST_SCALES[method]}
        name = f'{method}{"_choice" if encoder else ""}{f"_{variant}" if options else ""}'
        folders = [str(args.work_dir / f'{name}_{seed}') for seed in range(args.seeds)]
        units.update((folder, unit_of(args, method, options, encoder, seed, folder))
                     for seed, folder in enumerate(folders))
        sets[f'{method} {variant}'] = dict(data_root=[f'{folder}/distilled' for folder in folders],
                                           **(dict(weights=True) if weights else {}))
    seconds = distil_all(list(units.values()), args.workers)
    found = {labels: compare(sets, args, labels, 'test', args.work_dir / f'comparison_{labels}')
             for labels in args.labels}
    lines = [[name, *(found[labels][name] for labels in args.labels), mean_seconds(seconds, spec)]
             for name, spec in sets.items()]
    print(markdown([['set', *(f'{labels} labels' for labels in args.labels), 'seconds'], *lines]))


def mean_seconds(seconds, spec):
    """Mean seconds of a row of the comparison, as text; '' for real images."""
    took = [seconds[folder.removesuffix('/distilled')] for folder in spec.get('data_root', ())]
    return f'{sum(took) / len(took):.0f}' if took else ''


def enter_root(args, parser):
    """Change to the root of the repository, where configs are found, and check the folders in the options."""
    resolve_paths(args, 'imagenette', 'vae', 'generator')
    os.chdir(ROOT)
    for name in ('imagenette', 'generator') if args.imagenette else ():
        if not Path(getattr(args, name)).is_dir():
            parser.error(f'--{name}: no folder {getattr(args, name)}')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('methods', nargs='*', metavar='METHOD',
                        help=f'of {", ".join(OBJECTS)}, with --choose also s3; all by default')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/methods'))
    parser.add_argument('--seeds', type=int, default=5, help='image sets')
    parser.add_argument('--trainings', type=int, default=1, help='students of each image set')
    parser.add_argument('--variants', nargs='+', default=list(VARIANTS)[:4], choices=VARIANTS)
    parser.add_argument('--labels', nargs='+', choices=['hard', 'soft'], help='both, or hard with --imagenette')
    parser.add_argument('--choose', action='store_true', help='compare settings on the validation pictures')
    parser.add_argument('--workers', type=int, default=2, help='sets and students at a time, on one thread each')
    parser.add_argument('--imagenette', metavar='FOLDER', help='ImageNette in place of the built-in pictures')
    parser.add_argument('--vae', metavar='FOLDER', default='madebyollin/taesd',
                        help='autoencoder of the generator of ImageNette')
    parser.add_argument('--generator', metavar='FOLDER', default='work_dirs/class-unet_cpu_imagenette-128px/export')
    args = parser.parse_args()
    args.configs, args.choices = (IMAGENETTE, IMAGENETTE_CHOICES) if args.imagenette else (OBJECTS, CHOICES)
    known = list(args.choices if args.choose else args.configs)
    args.methods, args.work_dir = args.methods or known, args.work_dir.resolve()
    if unknown := [method for method in args.methods if method not in known]:
        parser.error(f'{unknown[0]} is none of {", ".join(known)}')
    args.labels = args.labels or (['hard'] if args.imagenette else ['hard', 'soft'])
    if args.imagenette and 'soft' in args.labels:
        parser.error('ImageNette is compared with hard labels: --labels hard')
    os.environ.setdefault('MMDISTILL_CACHE', str(args.work_dir / 'cache'))  # the real images are encoded once
    enter_root(args, parser)
    ConvNet.forward, ResNetAP.forward = torch.compile(ConvNet.forward), torch.compile(ResNetAP.forward)
    sys.exit(choose(args) if args.choose else table(args))


if __name__ == '__main__':
    main()
