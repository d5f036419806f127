"""Checks of a training config that run before anything is read."""
from typing import Any, Mapping

from mmdistill.datasets.subsets import check_subsets
from mmdistill.errors import DistillError, named
from mmdistill.weights.checkpoints import check_checkpoint, check_exists
from .optimizing import check_optimization
from .runner_parts import check_evaluator, check_hooks, check_loader, check_loop, check_visualizer, incomplete_loop
from .runtime import check_runtime


def check_training(cfg: Mapping[str, Any], name: str) -> None:
    """Check a training config of any OpenMMLab package, except the model and the datasets.

    Loops, dataloaders, metrics and visualizer are checked by their signatures; hooks, optimizer and schedulers are also
    built, since their constructors check more.

    Args:
        cfg: The config.
        name: Its file name, for messages.

    Raises:
        DistillError: The config has a mistake. The message names the key and the remedy.
    """
    if missing := [key for key in ('model', 'train_dataloader', 'train_cfg', 'optim_wrapper') if not cfg.get(key)]:
        raise DistillError(f'{name} is not a training config: it has no {", ".join(missing)}')
    check_runtime(cfg)
    if isinstance(path := cfg.get('load_from'), str):
        check_exists(path, 'load_from', 'give a checkpoint, or load_from=None')
        if '://' not in path:
            with named('load_from'):
                check_checkpoint(path)
    scope = dict(_scope_=cfg['default_scope']) if cfg.get('default_scope') else {}
    loop = dict(cfg['train_cfg'])
    default = 'EpochBasedTrainLoop' if loop.pop('by_epoch', True) else 'IterBasedTrainLoop'
    check_loop(loop, 'train_cfg', default, ('runner', 'dataloader'), scope)
    check_optimization(cfg, scope)
    check_loader(cfg['train_dataloader'], 'train_dataloader', scope)
    for part in ('val', 'test'):
        keys = f'{part}_dataloader', f'{part}_cfg', f'{part}_evaluator'
        if incomplete := incomplete_loop(cfg, *keys):
            raise DistillError(f'{incomplete}: give all three, or set all three to None')
    if cfg.get('val_dataloader'):
        check_loop(cfg['val_cfg'], 'val_cfg', 'ValLoop', ('runner', 'dataloader', 'evaluator'), scope)
        check_loader(cfg['val_dataloader'], 'val_dataloader', scope)
        check_evaluator(cfg['val_evaluator'], 'val_evaluator', scope)
    for _ in check_hooks(cfg, scope, check_visualizer(cfg.get('visualizer'), scope)):
        pass
    if isinstance(dataset := cfg['train_dataloader'].get('dataset'), Mapping):
        check_subsets(dataset, 'train_dataloader.dataset')
