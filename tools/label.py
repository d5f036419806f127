"""Make the soft labels that a training config reads: python tools/label.py CONFIG.

The labels of replayed views go to the store that the config names; one label an image goes to its annotation file.
Run again, it goes on where it was stopped, and adds epochs if the config takes more.
"""
import argparse

from mmengine.config import DictAction

from mmdistill.config import merge_options, read_config
from mmdistill.engine.cli import run


def main() -> None:
    """Build data set and teacher from the config and label."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config of the training, with labels=dict(teacher=...)')
    parser.add_argument('--batch-size', type=int, default=64, help='views that the teacher sees at once')
    parser.add_argument('--workers', type=int, default=2, help='processes that load images')
    parser.add_argument('--device', help='of the teacher; a GPU if there is one')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='keys of the config to set, a.b=c')
    args = parser.parse_args()
    from mmdistill.labels.label import label
    cfg = read_config(args.config)
    merge_options(cfg, args.cfg_options or {})
    print(label(cfg, args.batch_size, args.workers, args.device))


if __name__ == '__main__':
    run(main)
