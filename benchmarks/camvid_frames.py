"""Functions that the CamVid benchmarks share: they read frames and distilled sets, and start a program."""
import os
from pathlib import Path

from paths import ROOT, resolve_paths

import mmdistill.registry  # noqa: F401  'mmdistill::' in configs
from mmdistill.cli import run
from mmdistill.config import read_config
from mmdistill.datasets.manifest import read_manifest
from mmdistill.evaluation.building import build_dataset
from mmdistill.tasks.segmentation import Segmentation

CONFIG = 'configs/_base_/datasets/camvid.py'


def begin(function, args):
    """Call a function with the arguments of a program, in the root of the repository, where configs are found.

    Paths in the arguments are made absolute first. A mistake of the user is printed in one line, without a traceback.
    """
    resolve_paths(args, *({'sets', 'guide', 'vae', 'data_root'} & vars(args).keys()))
    os.chdir(ROOT)
    run(function, args)


def frames(split, data_root, **settings):
    """The source (:class:`~mmdistill.datasets.masks.DatasetMasks`) of the frames of 'train', 'val' or 'test'.

    Settings of the dataset can be changed, such as ``indices``.
    """
    cfg = dict(getattr(read_config(CONFIG), f'{split}_dataset'), data_root=data_root, **settings)
    return Segmentation().source(build_dataset(cfg, 'mmseg', f'{split}_dataset'))


def distilled(folder):
    """Source of a distilled set (``folder`` or its sub-folder ``distilled``), and the indices of its real frames."""
    root = Path(folder, 'distilled') if Path(folder, 'distilled').is_dir() else Path(folder)
    indices = tuple(image['source_index'] for image in read_manifest(root)['images'])
    cfg = dict(type='mmdistill.DistilledDataset', data_root=str(root))
    return Segmentation().source(build_dataset(cfg, 'mmseg', folder)), indices
