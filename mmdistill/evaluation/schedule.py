"""Protocol settings that depend on the number of classes and images per class, and rescaled schedules."""
from typing import Any, Dict, List, Mapping, MutableMapping, Optional, Sequence, Tuple

from mmdistill.errors import DistillError, counted
from mmdistill.settings import NonNegative, Positive, PositiveInt, check_value, nearest

Row = Tuple[Optional[PositiveInt], Optional[PositiveInt], Mapping]
_HINTS: Dict[str, Any] = dict(epochs=PositiveInt, batch_size=PositiveInt, lr=Positive, weight_decay=NonNegative)


def settings_by_size(rules: Mapping[str, Any], classes: int, ipc: Optional[int]) -> Dict[str, Any]:
    """The settings from ``protocol.by_size`` for a training set of this size.

    The rows of ``by_size`` are (maximum number of classes, maximum number of images per class, settings), with None for
    no limit; the first matching row is used. Settings are ``epochs``, ``batch_size``, ``lr`` and ``weight_decay``;
    settings that a row omits keep the config's values.

    Args:
        rules: The value of ``protocol`` in a config.
        classes: Number of classes of the training set.
        ipc: Images per class; None takes ``protocol.ipc``.

    Raises:
        DistillError: A row is malformed, or none fits.
    """
    rows, ipc = _rows(rules, ipc)
    for most_classes, most_images, settings in rows:
        if classes <= (most_classes or classes) and ipc <= (most_images or ipc):
            return dict(settings)
    if rows:
        raise DistillError(f'protocol {rules.get("id")}: no row of by_size fits {classes} classes and {ipc} images per '
                           'class: add one of (None, None, {...})')
    return {}


def _rows(rules: Mapping[str, Any], ipc: Optional[int]) -> Tuple[Sequence[Row], int]:
    """The checked rows of ``by_size`` and the images per class to look up."""
    rows = rules.get('by_size') or []
    check_value('protocol.by_size', rows, List[Row])
    check_value('protocol.ipc', rules.get('ipc'), Optional[PositiveInt])
    for number, (_, _, settings) in enumerate(rows):
        for key, value in settings.items():
            where = f'protocol.by_size.{number}.2.{key}'
            if key not in _HINTS:
                raise DistillError(f'{where}: unknown setting{nearest(key, _HINTS)}; known: {", ".join(_HINTS)}')
            check_value(where, value, _HINTS[key])
    if rows and not (ipc or rules.get('ipc')):
        raise DistillError(f'protocol {rules.get("id")} has settings by images per class: give the comparison an ipc, '
                           'or protocol.ipc')
    return rows, ipc or rules.get('ipc') or 0


def check_schedule(cfg: MutableMapping[str, Any], ipc: Optional[int], epochs: Optional[int]) -> None:
    """Check a protocol's ``by_size`` and that its schedule can be rescaled, before any dataset is read.

    ``cfg`` is modified in place.

    Raises:
        DistillError: A row is malformed, or :func:`set_epochs` cannot rescale the schedule.
    """
    rows, _ = _rows(cfg.get('protocol') or {}, ipc)
    lengths = [settings['epochs'] for _, _, settings in rows if 'epochs' in settings]
    if longest := epochs or max(lengths, default=None):
        set_epochs(cfg, longest)


def training_length(cfg: Mapping[str, Any]) -> Tuple[int, str]:
    """The length of a training: number and unit, ``'iteration'`` or ``'epoch'``."""
    loop = cfg['train_cfg']
    return (loop['max_iters'], 'iteration') if loop.get('max_iters') else (loop['max_epochs'], 'epoch')


def check_evaluations(cfg: Mapping[str, Any], evaluations: int) -> None:
    """Raise a DistillError if a training is too short for this number of evaluations."""
    length, unit = training_length(cfg)
    if evaluations > length:
        raise DistillError(f'evaluations={evaluations} is out of range: the students are trained for '
                           f'{counted(length, unit)}, use 1..{length}')


def fit_to_size(cfg: MutableMapping[str, Any], classes: int, ipc: Optional[int]) -> None:
    """Apply the settings for this size (:func:`settings_by_size`) to a config, in place."""
    settings = settings_by_size(cfg.get('protocol') or {}, classes, ipc)
    if 'batch_size' in settings:
        cfg['train_dataloader']['batch_size'] = settings['batch_size']
    for key in settings.keys() & {'lr', 'weight_decay'}:
        cfg['optim_wrapper']['optimizer'][key] = settings[key]
    if 'epochs' in settings:
        set_epochs(cfg, settings['epochs'])


def set_epochs(cfg: MutableMapping[str, Any], epochs: int) -> None:
    """Set the number of ``epochs`` (at least 1) of an epoch-based config and rescale its schedule, in place.

    ``train_cfg.max_epochs``, ``val_interval``, and ``begin``, ``end``, ``T_max`` of the schedulers are scaled. If the
    config has ``protocol.milestones`` (fractions of the training), the milestones are these fractions of ``epochs``,
    rounded down; otherwise they are scaled too. No milestone is below 1.

    Raises:
        DistillError: The config or one of its schedulers counts iterations, or a scheduler would have no epoch left.
    """
    loop = cfg['train_cfg']
    old = loop.get('max_epochs')
    if not old:
        raise DistillError('epochs: the protocol counts iterations (its train_cfg has no max_epochs): set '
                           'overrides.train_cfg.max_iters')
    schedulers: Any = cfg.get('param_scheduler') or []
    for scheduler in [schedulers] if isinstance(schedulers, Mapping) else schedulers:
        _stretch(scheduler, epochs, old, (cfg.get('protocol') or {}).get('milestones'))
    loop['max_epochs'] = epochs
    if 'val_interval' in loop:
        loop['val_interval'] = _scaled(loop['val_interval'], epochs, old)


def _stretch(scheduler: Any, epochs: int, old: int, shares: Optional[Sequence[float]]) -> None:
    """Rescale a scheduler's config from ``old`` to ``epochs`` epochs."""
    name = f'{scheduler["type"]} in param_scheduler'
    if not scheduler.get('by_epoch', True):
        raise DistillError(f'{name} counts iterations (by_epoch=False): set by_epoch=True, or set train_cfg and '
                           'param_scheduler by hand')
    for key in ('begin', 'end', 'T_max'):
        if scheduler.get(key) is not None:
            scheduler[key] = _scaled(scheduler[key], epochs, old)
    if 'milestones' in scheduler:  # 1e-6 against rounding: two thirds of 1500 must be 1000
        scheduler['milestones'] = [max(1, int(share * epochs + 1e-6)) for share in shares] if shares else [
            max(1, _scaled(milestone, epochs, old)) for milestone in scheduler['milestones']]
    if scheduler.get('end') is not None and scheduler['end'] <= scheduler.get('begin', 0):
        raise DistillError(f'{epochs} epochs are too few for {name}: train longer')


def _scaled(value: int, epochs: int, old: int) -> int:
    return max(1, round(value * epochs / old)) if value else 0
