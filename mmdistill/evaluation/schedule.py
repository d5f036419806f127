"""Epochs and batch size of a protocol by images per class, and its schedule stretched to any number of epochs."""
from typing import Any, Mapping, MutableMapping, Optional, Sequence

from mmdistill.errors import DistillError


def by_ipc(protocol: Mapping[str, Any], key: str, ipc: int) -> Optional[int]:
    """Epochs (``key`` is ``'epochs_by_ipc'``) or batch size (``'batch_size_by_ipc'``) for ``ipc`` images per class.

    The key of a config's ``protocol`` has rows (largest ipc, value) in ascending order; the row of None stands for all
    above. None where the protocol has no such key. A DistillError where it has no row for ``ipc``.
    """
    for largest, value in protocol.get(key, [(None, None)]):
        if largest is None or ipc <= largest:
            return value
    raise DistillError(f'protocol {protocol.get("id")} has no {key} for {ipc} images per class: give it a row of None')


def fit_schedule(cfg: MutableMapping[str, Any], ipc: Optional[int], epochs: Optional[int]) -> None:
    """Give a config ``epochs``, or its protocol's for ``ipc``, and the batch size of that; changes ``cfg``."""
    rules = cfg.get('protocol') or {}
    if ipc is not None:
        epochs = epochs or by_ipc(rules, 'epochs_by_ipc', ipc)
        if size := by_ipc(rules, 'batch_size_by_ipc', ipc):
            cfg['train_dataloader']['batch_size'] = size
    if epochs is not None:
        set_epochs(cfg, epochs)


def set_epochs(cfg: MutableMapping[str, Any], epochs: int) -> None:
    """Make a config with an epoch-based ``train_cfg`` train for ``epochs`` (at least 1), its schedule in proportion.

    ``cfg`` is changed: ``train_cfg.max_epochs`` and ``val_interval``, and ``begin``, ``end``, ``T_max`` of the
    schedulers are scaled. Milestones are the whole part of ``protocol.milestones`` (shares of the training) times
    ``epochs`` where the config has that, else scaled too; none is at 0, before the first step.

    Raises:
        DistillError: The config or one of its schedulers counts iterations, or a warm-up is left without an epoch.
    """
    loop = cfg['train_cfg']
    old = loop.get('max_epochs')
    if not old:
        raise DistillError('the config counts iterations (train_cfg has no max_epochs): set its train_cfg.max_iters')
    schedulers: Any = cfg.get('param_scheduler') or []
    for scheduler in [schedulers] if isinstance(schedulers, Mapping) else schedulers:
        _stretch(scheduler, epochs, old, (cfg.get('protocol') or {}).get('milestones'))
    loop['max_epochs'] = epochs
    if 'val_interval' in loop:
        loop['val_interval'] = _scaled(loop['val_interval'], epochs, old)


def _stretch(scheduler: Any, epochs: int, old: int, shares: Optional[Sequence[float]]) -> None:
    """Make the config of a scheduler of ``old`` epochs one of ``epochs``."""
    name = f'{scheduler["type"]} in param_scheduler'
    if not scheduler.get('by_epoch', True):
        raise DistillError(f'{name} counts iterations (by_epoch=False): have it count epochs, or set train_cfg and '
                           'param_scheduler by hand')
    for key in ('begin', 'end', 'T_max'):
        if scheduler.get(key) is not None:
            scheduler[key] = _scaled(scheduler[key], epochs, old)
    if 'milestones' in scheduler:  # 1e-6: two thirds of 1500 are 1000
        scheduler['milestones'] = [max(1, int(share * epochs + 1e-6)) for share in shares] if shares else [
            max(1, _scaled(milestone, epochs, old)) for milestone in scheduler['milestones']]
    if scheduler.get('end') is not None and scheduler['end'] <= scheduler.get('begin', 0):
        raise DistillError(f'{epochs} epochs leave none to {name}: train longer')


def _scaled(value: int, epochs: int, old: int) -> int:
    return max(1, round(value * epochs / old)) if value else 0
