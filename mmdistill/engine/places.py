"""Checks of the folders that a run writes to."""
import inspect
import os
import os.path as osp
from typing import Any, List, Mapping, Optional

from mmdistill.components import resolve
from mmdistill.datasets.wrapped_configs import part_configs
from mmdistill.errors import DistillError
from mmdistill.registry import DATASETS

_LISTING = ('BaseSegDataset', 'CustomDataset')  # base classes of datasets that list a folder of images


def set_folders(work_dir: str) -> List[str]:
    """The folders in a work dir to which a run writes images."""
    return [osp.join(work_dir, name) for name in ('distilled', 'candidates')]


def check_empty(*folders: str) -> None:
    """Raise a DistillError if a folder that a new run will write to contains files."""
    for folder in folders:
        if any(files for _, _, files in os.walk(folder)):
            raise DistillError(f'{folder} already contains a distilled set: continue it with --resume, remove it, or '
                               'choose another --work-dir')


def check_work_dir(work_dir: Optional[str], dataset: Mapping[str, Any], where: str) -> None:
    """Check that the files of a run will not become part of its dataset.

    Args:
        work_dir: The work dir; with None nothing is checked.
        dataset: Config of the dataset.
        where: Key of the dataset in the config.

    Raises:
        DistillError: The work dir is inside a folder that the dataset lists.
    """
    for key, part in part_configs(dataset):
        name = f'{where}.{key}' if key else where
        folder = _listed_folder(part, resolve(part, DATASETS, name))
        if not work_dir or not folder:
            continue
        inside = osp.realpath(folder)
        if osp.commonpath([osp.realpath(work_dir), inside]) == inside:
            raise DistillError(f'work_dir={work_dir!r} is inside {folder}, and {name} reads all images in that folder, '
                               'so it would read the distilled ones too: choose another --work-dir')


def _listed_folder(cfg: Mapping[str, Any], component: Any) -> Optional[str]:
    """The local folder that a dataset lists; None if there is none or an ``ann_file`` names the files."""
    bases = inspect.getmro(component) if inspect.isclass(component) else ()
    if cfg.get('ann_file') or not any(base.__name__ in _LISTING for base in bases):
        return None
    prefix = cfg.get('data_prefix') or cfg.get('split') or ''
    prefix = prefix.get('img_path') or '' if isinstance(prefix, Mapping) else prefix
    folder = osp.join(cfg.get('data_root') or '', prefix)
    return folder if folder and '://' not in folder else None
