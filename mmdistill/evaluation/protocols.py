"""Named protocols, and the mmseg or mmpretrain configs that train students under them."""
import copy
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Union

from mmengine.config import Config, ConfigDict

from mmdistill.config import changed, merge_options, read_config, type_name
from mmdistill.datasets.wrapped_configs import pipeline_of, with_pipeline, without_pipeline
from mmdistill.errors import DistillError
from mmdistill.settings import PositiveInt, check_value
from .schedule import fit_to_size, set_epochs

_FOLDER = Path(__file__).resolve().parents[1] / '.mim' / 'configs' / 'protocols'


def protocol_names() -> List[str]:
    """Names of the protocols that come with the package."""
    return sorted(path.stem for path in _FOLDER.glob('*.py'))


def load_protocol(name: str) -> Config:
    """Load a protocol by its name, or any config of mmseg or mmpretrain by its path.

    Raises:
        DistillError: There is no such protocol, or the config cannot be read.
    """
    if name.endswith('.py'):
        return read_config(name)
    if name not in protocol_names():
        raise DistillError(f'no protocol {name!r}: choose among {", ".join(protocol_names())}, or give the path of a '
                           'config')
    return read_config(f'mmdistill::protocols/{name}.py')


def joined(overrides: Mapping[str, Any]) -> Dict[str, Any]:
    """Overrides with dotted keys merged into the dict of their first part, if there is one; later values win.

    Example:
        >>> joined({'train_cfg.max_iters': 6, 'train_cfg': {'max_iters': 30}, 'model.depth': 18})
        {'train_cfg': {'max_iters': 30}, 'model.depth': 18}
    """
    found: Dict[str, Any] = {}
    for key, value in overrides.items():
        name, *path = key.split('.')
        if isinstance(overrides.get(name), Mapping):
            for part in reversed(path):
                value = {part: value}
            key, value = name, _merged(found.get(name, {}), value, name)
        found[key] = value
    return found


def _merged(old: Any, new: Any, where: str) -> Any:
    """Like :func:`~mmdistill.config.changed`, but keeps ``_delete_``, which is meant for the protocol."""
    if not isinstance(new, Mapping) or not isinstance(old, (Mapping, list)) or new.get('_delete_'):
        return new
    for key, value in new.items():
        old = changed(old, [key], value, where) if isinstance(old, list) else {
            **old, key: _merged(old.get(key), value, f'{where}.{key}')}
    return old


def override(protocol: Config, overrides: Mapping[str, Any]) -> None:
    """Merge the ``overrides`` of an evaluation config into a protocol, in place.

    Raises:
        DistillError: A key is unknown or has no effect, or the training would have no iteration.
    """
    try:
        merge_options(protocol, dict(overrides))
    except DistillError as error:
        raise DistillError(f'overrides.{error}') from None
    for key in ('max_iters', 'max_epochs'):
        check_value(f'overrides.train_cfg.{key}', protocol.train_cfg.get(key, 1), PositiveInt)


def student_config(protocol: Config, model: Optional[dict], test_dataset: dict, num_classes: int,
                overrides: Optional[Dict[str, Any]] = None, ipc: Optional[int] = None,
                epochs: Optional[int] = None) -> Config:
    """The OpenMMLab config that trains and tests one student.

    Args:
        protocol: Training, augmentation, test pipeline and a default student.
        model: The student; None takes the protocol's.
        test_dataset: Config of the test set.
        num_classes: Number of classes of the test set, set in all heads of the student.
        overrides: Settings merged like ``--cfg-options``, after the settings that depend on the size of the set.
        ipc: Images per class, on which these settings depend; None takes ``protocol.ipc``.
        epochs: Number of epochs to which the schedule is finally rescaled; None: unchanged.

    Raises:
        DistillError: ``overrides`` change ``num_classes``, the model has a ``class_weight`` for another number of
            classes or no head for the protocol's loss, or the schedule cannot be rescaled.
    """
    cfg = copy.deepcopy(protocol)
    if model is not None:
        loss = protocol.model.get('head', {}).get('loss')
        cfg.model = ConfigDict(copy.deepcopy(dict(model)))
        if loss is not None:  # the protocol's, not the student's
            if 'head' not in cfg.model:
                raise DistillError(f'the student, a {cfg.model.get("type")}, has no head for the loss of the protocol')
            cfg.model.head.loss = loss
    pipeline = pipeline_of(cfg.test_dataloader.dataset)
    cfg.test_dataloader.dataset = ConfigDict(with_pipeline(without_pipeline(test_dataset), pipeline))
    if 'ClassWeightsHook' in map(type_name, cfg.get('custom_hooks') or ()):
        for part in _dicts(cfg.model):
            part.pop('class_weight', None)  # the hook sets the weights of the training set
    _set_classes([cfg.model, cfg.get('data_preprocessor')], num_classes)
    fit_to_size(cfg, num_classes, ipc)
    override(cfg, overrides or {})
    _check_classes([cfg.model, cfg.get('data_preprocessor')], num_classes)
    if epochs is not None:
        set_epochs(cfg, epochs)
    return cfg


def weighted_config(cfg: Config, name: str) -> Config:
    """A copy of a student's config with image weights in its loss (:class:`~mmdistill.models.losses.WeightedLoss`).

    Args:
        cfg: Config of the student.
        name: Its name, for messages.

    Raises:
        DistillError: The student has no head.
    """
    cfg = copy.deepcopy(cfg)
    if 'head' not in cfg.model:
        raise DistillError(f'the student {name}, a {cfg.model.get("type")}, has no head whose loss could use '
                           'image weights: leave weights out, or use another student')
    head = cfg.model.head
    loss = head.get('loss') or dict(type='CrossEntropyLoss')
    if loss.get('type') not in ('mmdistill.WeightedLoss', 'WeightedLoss'):
        head.loss = ConfigDict(type='mmdistill.WeightedLoss', loss=loss)
    head.pop('cal_acc', None)  # it only works with class ids
    return cfg


def student_models(students: Dict[str, Union[None, str, dict]]) -> Dict[str, Optional[dict]]:
    """The ``model`` of each student: read from a config (a path or ``package::path``), a model's config, or None."""
    models: Dict[str, Optional[dict]] = {}
    for name, student in students.items():
        check_value(f'students.{name}', student, Union[None, str, dict])
        if isinstance(student, str):
            config = read_config(student)
            if 'model' not in config:
                raise DistillError(f'students.{name}: {student} has no model: give a config of mmseg or mmpretrain')
            student = config.model.to_dict()
        models[name] = student
    return models


def _set_classes(parts: Any, num_classes: int) -> None:
    """Set ``num_classes`` of every head inside ``parts``."""
    for part in _dicts(parts):
        weights = part.get('class_weight')
        if isinstance(weights, (list, tuple)) and len(weights) not in (num_classes, num_classes + 1):
            raise DistillError(f'class_weight of the student has {len(weights)} classes, the test set has '
                               f'{num_classes}: change class_weight in the config of the student')
        if isinstance(part.get('num_classes'), int):
            part['num_classes'] = num_classes


def _check_classes(parts: Any, num_classes: int) -> None:
    """Raise a DistillError if overrides have changed ``num_classes`` of a part."""
    found = {part['num_classes'] for part in _dicts(parts) if 'num_classes' in part} - {num_classes, None}
    if found:
        raise DistillError(f'overrides: num_classes={found.pop()!r} in the model, but the test set has {num_classes} '
                           'classes, and its number is used for every student: remove num_classes from overrides')


def _dicts(part: Any) -> Iterator[dict]:
    """Every dict of a config, outer ones first."""
    if isinstance(part, dict):
        yield part
        part = list(part.values())
    for member in part if isinstance(part, (list, tuple)) else ():
        yield from _dicts(member)
