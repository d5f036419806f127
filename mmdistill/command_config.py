"""From the command line to the config, the launcher and the work dir of a run."""
import argparse
import logging
import os
import os.path as osp
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Iterator, Optional, Tuple

from . import stopping
from .errors import DistillError, counted
from .files import make_folder

if TYPE_CHECKING:
    from mmengine.config import Config

# Environment variables of the launchers: rank, number of processes, rank on this machine.
LAUNCHERS = dict(
    pytorch=('RANK', 'WORLD_SIZE', 'LOCAL_RANK'),
    slurm=('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_LOCALID'),
    mpi=('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE', 'OMPI_COMM_WORLD_LOCAL_RANK'))


def load_config(args: argparse.Namespace, check: Optional[Callable[['Config'], object]] = None) -> 'Config':
    """Read the config of a run, apply the command line, check it with ``check``, and create the work dir."""
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    if args.launcher != 'none':
        stopping.current.join(*launcher_ranks(args)[:2])
    cfg = command_config(args)
    # With split=val, a comparison gets a separate work dir, so that no second option is needed.
    split = '_val' if args.command == 'evaluate' and cfg.get('split') == 'val' else ''
    cfg.work_dir = args.work_dir or cfg.get('work_dir') or osp.join('work_dirs', Path(args.config).stem + split)
    stopping.current.kept = lambda: KEPT[args.command](Path(cfg.work_dir))
    if check is not None:
        check(cfg)
    cfg.launcher = args.launcher
    import torch
    if args.launcher == 'pytorch' and not torch.cuda.is_available() and not torch.distributed.is_initialized():
        # MMEngine would set a CUDA device; it skips a group that is already initialized.
        seconds = (cfg.get('env_cfg') or {}).get('dist_cfg', {}).get('timeout')
        torch.distributed.init_process_group('gloo', timeout=timedelta(seconds=seconds) if seconds else None)
    if args.dry_run and args.command != 'distill':  # distill writes its plan to the work dir
        return cfg
    make_folder(cfg.work_dir, f'cannot write into the work dir {cfg.work_dir}', 'choose another --work-dir')
    stopping.current.watch(cfg.work_dir)
    return cfg


def _kept_images(work_dir: Path) -> str:
    from .datasets.checksums import Journal
    root = next((folder for folder in (work_dir / 'candidates', work_dir / 'distilled') if folder.is_dir()),
                work_dir / 'distilled')
    (journal := Journal(work_dir, root, None)).read()
    return f'{counted(len(journal), "image")} in {root}; the same command with --resume continues'


def _kept_checkpoint(work_dir: Path) -> str:
    from .engine.resuming import checkpoints
    found = checkpoints(work_dir)
    return (f'the last checkpoint is {found[-1]}; the same command with --resume continues from it' if found else
            f'no checkpoint is in {work_dir} yet; the same command starts again')


def _kept_students(work_dir: Path) -> str:
    count = len(list((work_dir / 'cells').glob('*.json')))
    return f'{counted(count, "finished student")} in {work_dir / "cells"}; the same command continues'


KEPT = dict(distill=_kept_images, train=_kept_checkpoint, evaluate=_kept_students)


def launcher_ranks(args: argparse.Namespace) -> Tuple[int, int, int]:
    """Rank, number of processes and rank on this machine, from the environment variables of the launcher."""
    if args.launcher == 'none':
        return 0, 1, 0
    try:
        rank, world, local = (int(os.environ[name]) for name in LAUNCHERS[args.launcher])
    except KeyError as error:
        raise DistillError(f'--launcher {args.launcher}: the variable {error} is not set: start the command with that '
                           'launcher') from None
    return rank, world, local


def own_device(local: int) -> str:
    """Number of the GPU for the process with rank ``local`` on its machine, of those in ``CUDA_VISIBLE_DEVICES``."""
    visible = os.environ.get('CUDA_VISIBLE_DEVICES')
    devices = visible.split(',') if visible else []
    if devices and local >= len(devices):
        raise DistillError(f'the launcher starts at least {local + 1} processes on this machine, and '
                           f'CUDA_VISIBLE_DEVICES={visible} names {len(devices)}: start one process per GPU')
    return devices[local] if devices else str(local)


@contextmanager
def lock_work_dir(args: argparse.Namespace, cfg: 'Config') -> Iterator[None]:
    """Context that locks the work dir, in the process of rank 0. After a DistillError, an empty work dir is removed."""
    from .lock import locked
    if stopping.current.rank:
        yield
        return
    try:
        with locked(cfg.work_dir, f'mmdistill {args.command} {args.config}'):
            stopping.current.discard_notes(cfg.work_dir)
            yield
    except DistillError:
        with suppress(OSError):  # it contains files
            os.rmdir(cfg.work_dir)
        raise


def command_config(args: argparse.Namespace) -> 'Config':
    """Read the config that the command line names, with its ``--cfg-options``."""
    from .config import merge_options, read_config
    from .config_variables import unused_variables
    from .engine.loading import restrict_loading
    from .options import read_options
    from .terminal import quiet_mmengine
    restrict_loading()
    quiet_mmengine()
    options = read_options(args.cfg_options)
    cfg = read_config(args.config)
    known = ['labels']
    if args.command == 'evaluate':
        from dataclasses import fields

        from .evaluation.comparison import Comparison
        from .evaluation.protocols import joined
        known = [field.name for field in fields(Comparison)]
        if isinstance(cfg.get('overrides'), dict):
            cfg.overrides = joined(cfg.overrides)  # before the options, which win
    for text in unused_variables(args.config, cfg, known):
        logging.getLogger('mmdistill').warning(text)
    merge_options(cfg, options, known)
    return cfg
