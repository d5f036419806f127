"""What the command line tools share."""
import argparse
import os
import os.path as osp
import re
import sys
from typing import Callable

import torch
from mmengine.config import Config, DictAction

from mmdistill.config import merge_options, read_config
from mmdistill.errors import DistillError


def runner_parser(description: str, resume: bool = True) -> argparse.ArgumentParser:
    """The hosts' usual arguments: config, work dir, resume, overrides, launcher.

    Args:
        description: Of the tool.
        resume: Whether it has ``--resume``; those that always go on have none.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('config', help='config file')
    parser.add_argument('--work-dir', help='where everything goes; work_dirs/<name of the config> by default')
    if resume:
        parser.add_argument('--resume', action='store_true', help='go on with the run in the work dir')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='keys of the config to set, a.b=c')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)
    return parser


def load_config(args: argparse.Namespace) -> Config:
    """The config that the arguments ask for, its work dir made.

    Raises:
        DistillError: No such config, or a work dir that cannot be written.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = read_config(args.config)
    cfg.launcher = args.launcher
    if args.launcher == 'pytorch' and not torch.cuda.is_available() and not torch.distributed.is_initialized():
        torch.distributed.init_process_group('gloo')  # MMEngine's own start sets a CUDA device; it skips this one
    merge_options(cfg, args.cfg_options or {})
    cfg.work_dir = args.work_dir or cfg.get('work_dir') or osp.join(
        'work_dirs', osp.splitext(osp.basename(args.config))[0])
    try:
        os.makedirs(cfg.work_dir, exist_ok=True)
        if not os.access(cfg.work_dir, os.W_OK):
            raise PermissionError(13, 'permission denied')
    except OSError as error:
        raise DistillError(f'cannot write into the work dir {cfg.work_dir} ({error.strerror}): '
                           'choose another --work-dir') from None
    return cfg


def run(main: Callable[[], None]) -> None:
    """Run ``main``; a user's mistake becomes one line and exit status 1."""
    try:
        main()
    except DistillError as error:
        # The registry puts where it was building in front of the message.
        message = re.sub(r'^(class `\w+` in \S+: )+', '', ' '.join(str(error).split()))
        sys.exit(f'error: {message}')
