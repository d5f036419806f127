"""Train a part of a generator (or any model) with MMEngine's runner: ``python tools/train.py CONFIG``."""
import argparse
import os
import os.path as osp

from mmengine.config import Config, DictAction
from mmengine.runner import Runner

import mmdistill.registry  # noqa: F401  makes 'mmdistill::' and 'mmseg::' usable in _base_
from mmdistill.errors import DistillError


def parse_args() -> argparse.Namespace:
    """The command line, as in the hosts' tools/train.py."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('--work-dir', help='folder of logs, checkpoints and exports; work_dirs/<config> by default')
    parser.add_argument('--resume', action='store_true', help='continue from the last checkpoint in the work dir')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='keys of the config to override, a.b=c')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)
    args = parser.parse_args()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def main() -> None:
    """Build the runner from the config and train."""
    args = parse_args()
    try:
        if not osp.isfile(args.config):
            raise DistillError(f'no config at {args.config}')
        cfg = Config.fromfile(args.config)
        cfg.launcher = args.launcher
        cfg.resume = args.resume
        cfg.merge_from_dict(args.cfg_options or {})
        cfg.work_dir = args.work_dir or cfg.get('work_dir') or osp.join(
            'work_dirs', osp.splitext(osp.basename(args.config))[0])
        Runner.from_cfg(cfg).train()
    except DistillError as error:
        raise SystemExit(f'error: {error}') from None


if __name__ == '__main__':
    main()
