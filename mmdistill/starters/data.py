"""Reads the dataset of a config, and writes values of configs as text."""
import os
import os.path as osp
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from mmengine.config import Config
from PIL import Image

from mmdistill.config import read_config
from mmdistill.datasets.wrapped_configs import part_configs, with_pipeline, without_pipeline
from mmdistill.engine.inherited import dataset_scope
from mmdistill.errors import DistillError
from mmdistill.registry import DATASETS
from mmdistill.tasks.base import task_of_dataset


@dataclass(frozen=True)
class Data:
    """A dataset as described by a config.

    Attributes:
        path: Path of the config.
        cfg: Config of the training split, with the scope of its package.
        dataset_class: Name of the dataset class; for wrapped datasets, of the first one inside.
        task: ``'segmentation'`` or ``'classification'``.
        classes: Class names from the config, the dataset class or, for a folder per class, the names of the folders;
            None if there are none.
        imports: ``custom_imports`` of the config.
    """
    path: str
    cfg: Dict[str, Any]
    dataset_class: str
    task: str
    classes: Optional[Sequence[str]]
    imports: Optional[Mapping[str, Any]]

    def number(self) -> int:
        """The number of classes; raises a DistillError if they are unknown."""
        if not self.classes:
            raise DistillError(f'--dataset {self.path}: {self.dataset_class} has no class names, which this generator '
                               'needs: give the dataset metainfo=dict(classes=(...))')
        return len(self.classes)

    def image_size(self, side: int, unit: int) -> Tuple[int, int]:
        """A size (height, width) of about the shape and area of the first photo, but at most the area of a square.

        Args:
            side: Side of the square.
            unit: Height and width are multiples of it.

        Returns:
            The size; it is square if no photo is found on this machine.
        """
        _, first = next(part_configs(self.cfg))
        folder = _image_folder(first)
        aspect, area = 1.0, side**2
        with suppress(OSError, ValueError, Image.DecompressionBombError):
            name = min(name for name in os.listdir(folder) if name.endswith(first.get('img_suffix', '.jpg')))
            with Image.open(osp.join(folder, name)) as photo:
                aspect = min(max(photo.width / photo.height, 0.25), 4)
                area = min(area, photo.width * photo.height)
        height, width = (max(round(area**0.5 * scale / unit), 1) * unit for scale in (aspect**-0.5, aspect**0.5))
        return height, width


def read_data(path: str) -> Data:
    """Read the dataset of a dataset file or training config of mmseg, mmpretrain or mmdistill.

    Args:
        path: Path of the config, or ``package::path``.

    Raises:
        DistillError: The config has no training dataset, its type is unknown, or it belongs to no supported task.
    """
    cfg = read_config(path)
    loader = cfg.get('train_dataloader')
    found = loader.get('dataset') if isinstance(loader, Mapping) else cfg.get('train_dataset')
    if not isinstance(found, Mapping):
        raise DistillError(f'--dataset {path}: it has no train_dataloader.dataset: give a dataset file or a training '
                           'config of mmseg or mmpretrain, such as mmseg::_base_/datasets/ade20k.py')
    dataset = _scoped(Config(dict(dataset=found)).to_dict()['dataset'], cfg.get('default_scope'))
    _, first = next(part_configs(dataset))
    name = first['type'] if '.' in str(first['type']) else f'{first.get("_scope_") or "mmseg"}.{first["type"]}'
    component = DATASETS.get(name) if isinstance(name, str) else name
    if component is None:
        raise DistillError(f'--dataset {path}: {name} is not in the registry of datasets: check its spelling and '
                           'custom_imports')
    task = task_of_dataset(component, f'--dataset {path}')
    task.check_dataset(component, first, f'--dataset {path}')
    named = [first.get('metainfo'), first, getattr(component, 'METAINFO', None)]
    classes = next(filter(None, ((one or {}).get('classes') for one in named)), None)
    if not classes and task.name == 'classification' and not first.get('ann_file'):
        classes = _subfolders(_image_folder(first))
    return Data(path, dataset, component.__name__, task.name,
                classes if isinstance(classes, (list, tuple)) else None, cfg.get('custom_imports'))


def _image_folder(part: Mapping[str, Any]) -> str:
    """The folder of a dataset's images."""
    prefix = part.get('data_prefix') or ''
    return osp.join(part.get('data_root') or '', prefix if isinstance(prefix, str) else prefix.get('img_path') or '')


def _subfolders(folder: str) -> Optional[List[str]]:
    """Sorted names of the folders in a folder; None if there are none on this machine."""
    with suppress(OSError):
        return sorted(entry.name for entry in os.scandir(folder) if entry.is_dir()) or None
    return None


def _scoped(cfg: Dict[str, Any], scope: Optional[str]) -> Dict[str, Any]:
    found = dataset_scope(cfg) or (scope if scope in ('mmseg', 'mmpretrain') else None)
    return cfg if '_scope_' in cfg or found is None else dict(cfg, _scope_=found)


def code(value: Any, indent: int = 0, before: int = 0) -> str:
    """Write a value of a config as Python code, in lines of up to 120 characters.

    Args:
        value: Dicts, lists, tuples and plain values.
        indent: Indentation of the lines after the first.
        before: Number of characters before the code in its first line.
    """
    if not isinstance(value, (dict, list, tuple)):
        return f"'{value.__module__}.{value.__name__}'" if isinstance(value, type) else repr(value)
    begin, end, members = _members(value)
    flat = ', '.join(name + code(one) for name, one in members)
    flat += ',' * (isinstance(value, tuple) and len(value) == 1)
    if len(flat) + before + len(begin) <= 116 and '\n' not in flat or not members:
        return f'{begin}{flat}{end}'
    inner = indent + 4
    lines = ['']
    for name, one in members:
        text = f'{name}{code(one, inner, inner + len(name))},'
        plain = not isinstance(one, (dict, list, tuple))
        if plain and lines[-1] and len(lines[-1]) + len(text) < 116:  # puts several class names on a line
            lines[-1] += f' {text}'
        else:
            lines.append(' ' * inner + text)
    return '\n'.join([begin, *lines[1:]]).removesuffix(',') + (',' if len(members) == 1 else '') + end


def _members(value: Any) -> Tuple[str, str, List[Tuple[str, Any]]]:
    """Opening and closing text of a dict, list or tuple, and its members, each with the text before it."""
    if isinstance(value, list):
        return '[', ']', [('', one) for one in value]
    if isinstance(value, tuple):
        return '(', ')', [('', one) for one in value]
    if not all(str(key).isidentifier() for key in value):
        return '{', '}', [(f'{key!r}: ', one) for key, one in value.items()]
    first = {key: value[key] for key in ('_scope_', 'type') if key in value}
    return 'dict(', ')', [(f'{key}=', one) for key, one in {**first, **value}.items()]


def data_lines(data: Data, pipeline: Optional[str] = None) -> List[str]:
    """Lines with the dataset. If ``pipeline`` is given, the name of a variable, it replaces the pipeline."""
    cfg = data.cfg if pipeline is None else with_pipeline(without_pipeline(data.cfg), ['@'])
    roots = {part.get('data_root') for _, part in part_configs(cfg)}
    text = 'dataset = ' + code(cfg, before=10).replace("['@']", str(pipeline))
    lines = ['', f'custom_imports = {code(data.imports)}'] if data.imports else []
    if len(roots) == 1 and isinstance(root := roots.pop(), str):
        where = '# The real data. To change the folder: --cfg-options data_root=/path/to/the/data'
        return [*lines, where, f'data_root = {root!r}', text.replace(f'data_root={root!r}', 'data_root=data_root')]
    return [*lines, '# The real data.', text]
