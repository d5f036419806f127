"""The commands. Each imports its modules when it runs, so that ``mmdistill --help`` is fast."""
import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from . import stopping
from .command_config import command_config, launcher_ranks, load_config, lock_work_dir, own_device
from .errors import DistillError, Problems, counted

if TYPE_CHECKING:
    from mmengine.config import Config

GENERATORS = ('sd15-controlnet++', 'freestylenet', 'dit-xl2', 'sd15', 'train-your-own')


def init(args: argparse.Namespace) -> None:
    """Write a first config for a dataset.

    The new config distils the dataset of a config of mmseg or mmpretrain. Its comments name the weights that it needs,
    their size and their licence.
    """
    from .config import read_config  # noqa: F401  enables 'mmseg::' in names of configs
    from .engine.loading import restrict_loading
    from .starters import write_config
    from .terminal import quiet_mmengine
    restrict_loading()
    quiet_mmengine()
    print(write_config(args.out, args.dataset, args.generator))


def distill(args: argparse.Namespace) -> None:
    """Distil a dataset.

    Selects real images, plans the synthetic ones, generates them with guidance and writes the distilled set. The work
    dir then contains plan.json, previews, logs and distilled/, a data root for configs of mmseg and mmpretrain.
    """
    from .engine.check import check_run, has_begun
    from .engine.inherited import distillation_config
    from .engine.places import check_empty, set_folders

    def check(cfg: 'Config') -> None:
        if args.resume and not has_begun(cfg.work_dir):
            args.resume = False
            if stopping.current.rank == 0:
                print(f'There is no run to resume in {cfg.work_dir}: starting a new one', flush=True)
        check_run(cfg, args.resume)
        if not args.resume:
            check_empty(*set_folders(cfg.work_dir))

    cfg = distillation_config(load_config(args, check))
    from .engine.failures import supervised
    from .engine.runner import Runner
    cfg.test_cfg.update(resume=args.resume, dry_run=args.dry_run, tflops=args.tflops)
    with lock_work_dir(args, cfg), supervised(cfg.work_dir) as runners:
        runners.append(Runner.from_cfg(cfg))
        runners[0].test()


def train(args: argparse.Namespace) -> None:
    """Train a part of a generator, or any model of OpenMMLab.

    CONFIG is any training config of MMEngine; it can use components of mmdistill.
    """
    from .components import check_parts
    from .engine.resuming import continue_training, discard_partial_checkpoint, guard_loading
    from .engine.training import build_loops
    from .engine.training_checks import check_training
    from .registry import MODELS

    def check(cfg: 'Config') -> None:
        check_training(cfg, cfg.filename)
        check_parts(cfg.model, MODELS, 'model')

    cfg = load_config(args, check)
    if args.dry_run:
        from .engine.dry_training import plan_text
        text = plan_text(cfg, args.resume)
        if stopping.current.rank == 0:
            print(text)
        return
    from .engine.failures import supervised
    from .engine.runner import Runner
    from .engine.training_bar import TrainingBarHook
    from .engine.training_settings import SettingsHook
    from .terminal import shows_all
    with lock_work_dir(args, cfg), supervised(cfg.work_dir) as runners:
        continue_training(cfg, args.resume)
        runners.append(runner := Runner.from_cfg(cfg))
        guard_loading(runner)
        runner.register_hook(SettingsHook(cfg))
        if sys.stdout.isatty() and not runner.rank and not shows_all():
            runner.register_hook(TrainingBarHook())
        build_loops(runner)
        with discard_partial_checkpoint(cfg.work_dir):
            runner.train()


def evaluate(args: argparse.Namespace) -> None:
    """Train students on several training sets and compare them.

    The training sets are distilled sets and baselines of real images; all students are trained under one protocol.
    Finished students are not trained again. With torchrun or Slurm, the students are divided among the processes.
    """
    rank, world, local = launcher_ranks(args)
    if args.launcher != 'none':
        stopping.current.join(rank, world)
        # Each student is trained in a single process, with one GPU and no process group.
        os.environ['CUDA_VISIBLE_DEVICES'] = own_device(local)
        args.launcher, args.workers = 'none', args.workers or 1
    from .evaluation.comparison_runner import ComparisonRunner
    runners = []
    cfg = load_config(args, lambda cfg: runners.append(ComparisonRunner(cfg, cfg.work_dir)))
    runner, = runners
    if args.dry_run:
        from .evaluation.dry_run import plan_text
        if rank == 0:
            print(plan_text(runner))
        return
    from .evaluation.results import markdown, table_cells
    from .evaluation.set_report import measure_sets, summary_cells
    from .files import write_atomic
    with lock_work_dir(args, cfg):
        results = runner.run(args.workers, rank, world)
        if rank:
            return
        parts = [markdown(table_cells(results['rows'])), '', *results['notes']]
        if measured := measure_sets(runner):
            parts += ['', markdown(summary_cells(measured)), '', f'Features: {measured["encoder"]}.']
        text = '\n'.join([*parts, ''])
        write_atomic(Path(cfg.work_dir) / 'results.md', text.encode())
    print(f'\n{text}\nIn {cfg.work_dir}: results.json, results.md; the page: mmdistill report {cfg.work_dir}')


def label(args: argparse.Namespace) -> None:
    """Compute the soft labels that a training config reads.

    Labels of replayed views are written to the store that the config names; labels per image are written to the
    annotation file of the config. Re-running resumes an interrupted run and appends missing epochs.
    """
    from .labels.label import label as make_labels
    stopping.current.kept = lambda: 'the saved labels are kept; the same command continues'
    print(make_labels(command_config(args), args.batch_size, args.workers, args.device))


def convert(args: argparse.Namespace) -> None:
    """Write COCO-Stuff's masks as PNG files of train ids.

    Reads the pixel maps of the authors, the stuff and instances JSON, or the .mat files of the 10k set. Existing files
    are kept, so re-running continues an interrupted conversion. Training and distillation do not need it:
    mmdistill.COCOStuff reads all of these formats directly.
    """
    from .bars import track
    from .datasets.coco_stuff.convert import convert_masks
    stopping.current.kept = lambda: f'the finished masks are in {args.out}; the same command continues'
    print(convert_masks(args.form, args.masks, args.out, args.things, args.names, args.images, args.crowds,
                        args.workers, track))


def convert_unet(args: argparse.Namespace) -> None:
    """Convert the UNet of a Stable Diffusion checkpoint.

    Converts a checkpoint of the original code, such as FreestyleNet's, to a diffusers folder, which the setting
    `unet` of a generator reads. Only tensors are read. This takes about a minute, and as much memory as the
    checkpoint's size.
    """
    from .generation.conversion import convert_unet as convert
    print(convert(args.checkpoint, args.folder, args.like, args.dtype))


def verify(args: argparse.Namespace) -> None:
    """Check that distilled sets are complete and undamaged.

    Checks that every file in the manifest can be read and has its checksum, that masks have valid ids and the size of
    their image, and that there are no other files. Problems are listed, one line per file, and the exit status is 1.
    `mmdistill distill … --resume` writes damaged and missing files again.
    """
    from .datasets.verify import summary, verify_set
    wrong, errors = 0, Problems()
    for root in map(_set_folder, args.sets):
        with errors.collect():
            problems = verify_set(root)
            print('\n'.join(f'{root}: {problem}' for problem in problems) or summary(root), flush=True)
            wrong += len(problems)
    if wrong:
        errors.errors.append(DistillError(f'{counted(wrong, "problem")} found'))
    errors.report()


def export(args: argparse.Namespace) -> None:
    """Write a distilled set in the format of another program.

    Formats: a folder per class, with names that sort in the order of the class ids; the same in the order of
    DD-Ranking; tar files of WebDataset. A dataset card, README.md, is written too: read it before you publish the set.
    Nothing is uploaded.
    """
    from .datasets.publishing import export_set
    tables, root = [], _set_folder(args.set)
    if args.results:
        from .evaluation.results import published_table
        tables = [published_table(work_dir, root) for work_dir in args.results]
    print(export_set(root, args.out, args.to, args.shard_images, tables))


def _set_folder(folder: str) -> Path:
    """The folder of a distilled set. ``folder`` is the set or a work dir that contains it."""
    return Path(folder, 'distilled') if Path(folder, 'distilled').is_dir() else Path(folder)


def report(args: argparse.Namespace) -> None:
    """Write an HTML page about finished work dirs.

    The page has a section per work dir: results, learning curves, classes and metrics of the sets for `mmdistill
    evaluate`; selection, images and provenance for `mmdistill distill`. Real images are read only from the folders in
    --data-root, whatever paths the files contain.
    """
    from .evaluation.report import write_report
    print(write_report(args.work_dirs, args.out, title=args.title, data_roots=args.data_root))
