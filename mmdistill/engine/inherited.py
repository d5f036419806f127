"""Adapts configs that inherit a dataset file of mmseg or mmpretrain, whose training split is distilled."""
import copy
import inspect
from contextlib import suppress
from typing import Any, Mapping, Optional

from mmengine.config import Config, ConfigDict

from mmdistill.datasets.wrapped_configs import part_configs, without_pipeline
from mmdistill.errors import DistillError
from mmdistill.registry import DATASETS
from mmdistill.tasks.base import all_tasks

KEY, TRAINING_KEY = 'test_dataloader.dataset', 'train_dataloader.dataset'
_UNUSED = ('train_dataloader', 'val_dataloader', 'val_evaluator')


def inherits_training(cfg: Mapping[str, Any]) -> bool:
    """Whether a distillation config has a ``train_dataloader`` but no training, as after
    ``_base_ = 'mmseg::_base_/datasets/ade20k.py'``."""
    loader = cfg.get('train_dataloader')
    return isinstance(loader, Mapping) and 'dataset' in loader and not any(
        cfg.get(key) for key in ('train_cfg', 'optim_wrapper', 'val_cfg'))


def distillation_config(cfg: Config) -> Config:
    """Adapt a distillation config to MMEngine's runner.

    If the config inherits a dataset file of mmseg or mmpretrain, the result is a copy: ``train_dataloader.dataset``
    replaces ``test_dataloader.dataset``, with the scope of its package, and the keys of training and validation, which
    the runner would reject, are removed. ``test_dataloader`` keeps its batch size and number of workers. Other configs
    are returned unchanged.

    Example:
        >>> cfg = distillation_config(read_config('ade20k_d3s2.py'))  # as mmdistill distill does it
        >>> Runner.from_cfg(cfg).test()
    """
    if not inherits_training(cfg):
        return cfg
    new, loader = copy.deepcopy(cfg), cfg.get('test_dataloader') or {}
    dataset = copy.deepcopy(cfg['train_dataloader']['dataset'])
    if isinstance(dataset, dict) and (scope := dataset_scope(dataset)):
        dataset['_scope_'] = scope
    new['test_dataloader'] = ConfigDict(
        {key: loader[key] for key in ('batch_size', 'num_workers') if key in loader},
        sampler=dict(type='DefaultSampler', shuffle=False), dataset=dataset)
    new['test_evaluator'] = []
    if isinstance(new.get('test_cfg'), dict):
        new['test_cfg']['dataset_key'] = TRAINING_KEY
    for key in (*_UNUSED, 'data_preprocessor'):  # MMEngine would pass it to the model
        new.pop(key, None)
    return new


def check_unused(cfg: Mapping[str, Any]) -> None:
    """Raise a DistillError if a config distils its training split but changes the test split, which is not read."""
    if not inherits_training(cfg):
        return
    test, *others = (_first_part(cfg.get(key)) for key in ('test_dataloader', 'val_dataloader', 'train_dataloader'))
    if test and test not in others:
        raise DistillError(f'{KEY}: the config has a train_dataloader, so {TRAINING_KEY} is distilled, and this one is '
                           f'not read: change {TRAINING_KEY} in its place, or set {", ".join(_UNUSED)} to None')


def _first_part(loader: Any) -> Any:
    """Data root of a dataloader's dataset, and whether its type has a scope (in stock files, types have none)."""
    dataset = loader.get('dataset') if isinstance(loader, Mapping) else None
    if not isinstance(dataset, Mapping):
        return None
    _, part = next(part_configs(dataset))
    return str(part.get('data_root') or '').rstrip('/'), '.' in str(part.get('type')) or '_scope_' in part


def same_split(cfg: Mapping[str, Any]) -> str:
    """Why a config seems to distil its validation set; '' if it does not."""
    test, val = ((cfg.get(key) or {}).get('dataset') for key in ('test_dataloader', 'val_dataloader'))
    return "it is val_dataloader's dataset" if isinstance(val, Mapping) and _images(test) == _images(val) else ''


def _images(dataset: Any) -> Any:
    """The settings that determine the images of a dataset: all but the pipeline and the mode."""
    if not isinstance(dataset, Mapping):
        return dataset
    return {key: value for key, value in without_pipeline(dataset).items() if key not in ('_scope_', 'test_mode')}


def dataset_scope(dataset: Mapping[str, Any]) -> Optional[str]:
    """The package whose registry a dataset's config refers to; None if the config names it or needs none."""
    for _, part in part_configs(dataset):
        name = part.get('type')
        if '_scope_' in part or not isinstance(name, str):
            return None
        for task in all_tasks():
            for full in [name] if '.' in name else [f'{task.scope}.{name}']:
                with suppress(Exception):  # the package of another task may not be installed
                    component = DATASETS.get(full)
                    if component is not None and (full != name or inspect.isclass(component) and task.owns(component)):
                        return task.scope
    return None
