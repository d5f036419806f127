"""Evaluation configs, checked before any dataset or weight is read."""
import inspect
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, ContextManager, Literal, Mapping, Optional, Sequence, Tuple

from mmengine.config import Config

from mmdistill.components import check_component, check_parts, check_spelling, resolve
from mmdistill.config import RUNNER_KEYS
from mmdistill.datasets.subsets import check_subsets
from mmdistill.datasets.wrapped_configs import bare, part_configs, scoped
from mmdistill.engine.check_data import check_dataset
from mmdistill.engine.training_checks import check_training
from mmdistill.errors import DistillError, MissingWeights, Problems
from mmdistill.registry import DATASETS, ENCODERS, MODELS, SELECTORS
from mmdistill.selection.base import Budget
from mmdistill.settings import PositiveInt, check_value, nearest, parameters
from mmdistill.tasks.base import Task, all_tasks, task_of_scope
from .protocols import joined, load_protocol, override, student_models
from .schedule import check_schedule
from .training_sets import KINDS, READS

_RUNNER = {*RUNNER_KEYS, 'custom_imports'}
_OF_STUDENTS = ('model', 'train_dataloader', 'val_dataloader', 'test_dataloader', 'train_cfg', 'val_cfg', 'test_cfg',
                'optim_wrapper', 'param_scheduler', 'custom_hooks')  # set by the protocol


@dataclass(frozen=True)
class Comparison:
    """A comparison of training sets under one protocol: the keys of an evaluation config."""
    protocol: str  #: Its id, or the path of any config of mmseg or mmpretrain.
    train_dataset: dict  #: The real training set.
    test_dataset: dict  #: The test set of the students. It must not be used to choose settings.
    training_sets: dict  #: Name → :class:`~mmdistill.evaluation.training_sets.TrainingSet` config; None skips the set.
    val_dataset: Optional[dict] = None  #: The validation set, on which settings are chosen.
    split: Literal['test', 'val'] = 'test'  #: The set that the students are tested on.
    students: Optional[dict] = None  #: Name → path of a config with ``model``, a model, or None for the protocol's own.
    budget: Optional[Budget] = None  #: Size of the baselines: number of images, or share of the real set.
    ipc: Optional[PositiveInt] = None  #: Images per class of the baselines, instead of ``budget``.
    image_sets: PositiveInt = 1  #: Number of image sets of a training set whose selector is random.
    trainings: PositiveInt = 1  #: Trainings per image set. Every training set gets ``image_sets * trainings`` runs.
    evaluations: PositiveInt = 1  #: Evaluations of each student during its training, evenly spaced.
    epochs: Optional[PositiveInt] = None  #: Number of epochs to which the protocol's schedule is rescaled.
    encoder: Optional[dict] = None  #: For baselines and metrics on features (:mod:`mmdistill.evaluation.encoders`).
    judge: Optional[dict] = None  #: Segmentation network that measures how well images agree with masks.
    neighbours: PositiveInt = 5  #: k of coverage and density.
    overrides: Optional[dict] = None  #: Merged into the protocol last.

    @property
    def tested(self) -> str:
        """The key of the dataset that the students are tested on."""
        return f'{self.split}_dataset'


def check_comparison(cfg: Config, problems: Optional[Problems] = None) -> Comparison:
    """Check a whole evaluation config without building anything or reading any dataset or weight.

    Args:
        cfg: The evaluation config; its keys are the fields of :class:`Comparison` and MMEngine's runner keys.
        problems: Collects the errors for missing weights of students or the judge. By default, the first is raised.

    Raises:
        DistillError: A key is unknown, missing or has a wrong value.
    """
    comparison = _read(cfg)
    protocol, task = _protocol(comparison)
    if not getattr(comparison, comparison.tested):
        raise DistillError(f'split={comparison.split!r}: the evaluation config has no {comparison.tested}: give one')
    for key in dict.fromkeys(('train_dataset', 'test_dataset', comparison.tested)):
        _check_dataset(getattr(comparison, key), task, key)
    _check_overrides(comparison, protocol)
    for name, spec in comparison.training_sets.items():
        check_training_set(name, spec, comparison, task)
    _check_sizes(comparison, task)
    if comparison.encoder:
        check_component(comparison.encoder, ENCODERS, 'encoder')
    check_schedule(protocol, comparison.ipc, comparison.epochs)
    _check_networks(comparison, protocol, task, problems)
    return comparison


def _read(cfg: Config) -> Comparison:
    """The fields of :class:`Comparison` in a config, with values of the right types."""
    fields = parameters(Comparison)
    check_spelling(cfg, {*fields, *_RUNNER})
    if unread := [key for key in _OF_STUDENTS if cfg.get(key)]:
        raise DistillError(f'{unread[0]}: the protocol decides how students are trained: set overrides.{unread[0]} in '
                           'its place')
    values = {key: value for key, value in _plain(cfg.to_dict()).items() if key in fields and value is not None}
    values.update(_enabled_sets(values))
    if isinstance(values.get('overrides'), Mapping):
        values['overrides'] = joined(values['overrides'])
    for key, (parameter, hint) in fields.items():
        if parameter.default is parameter.empty and not values.get(key):
            raise DistillError(f'the evaluation config has no {key}: see configs/evaluation')
        check_value(key, values.get(key, parameter.default), hint)
    return Comparison(**values)


def _check_networks(comparison: Comparison, protocol: Config, task: Task, problems: Optional[Problems]) -> None:
    """Check the judge and the students; missing weights are collected in ``problems``, if it is given."""
    def weights() -> ContextManager[None]:
        return problems.collect(MissingWeights) if problems else nullcontext()

    if comparison.judge:
        with weights():
            task.check_judge(comparison.judge)
    for name, model in student_models(comparison.students or {'default': None}).items():
        if model is not None:
            resolve(dict(model, _scope_=task.scope), MODELS, f'students.{name}.model')
        with weights():
            check_parts(protocol.model if model is None else model, MODELS, f'students.{name}.model')


def _check_sizes(comparison: Comparison, task: Task) -> None:
    """Check that only one of ``budget`` and ``ipc`` is set."""
    if comparison.budget is not None and comparison.ipc is not None:
        keep, remove = ('ipc', 'budget') if task.annotation == 'classes' else ('budget', 'ipc')
        raise DistillError(f'{remove}={getattr(comparison, remove)} and {keep}={getattr(comparison, keep)}: the size '
                           f'of baselines for {task.name} is {keep}; remove {remove}')


def _enabled_sets(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """The training sets that are not None, so that a set can be skipped from the command line."""
    sets = values.get('training_sets')
    return dict(training_sets={name: spec for name, spec in sets.items() if spec is not None}) if isinstance(
        sets, Mapping) else {}


def check_training_set(name: str, spec: Any, comparison: Comparison, task: Task) -> None:
    """Check that the config of a training set has exactly one of the keys ``KINDS``, with a valid value."""
    where = f'training_sets.{name}'
    key, value = _parts(spec, where)
    where = f'{where}.{key}'
    members = value if isinstance(value, (list, tuple)) else [value]
    if key not in KINDS:
        raise DistillError(f'{where}: unknown key of a training set{nearest(key, KINDS)}')
    if key == 'selector':
        _check_selector(value, where, comparison)
    elif key == 'source_of':
        check_value(where, value, str)
        other = comparison.training_sets.get(value)
        if not isinstance(other, Mapping) or 'data_root' not in other:
            raise DistillError(f'{where}={value!r} is not a distilled set of this comparison')
    elif key == 'union':
        _check_union(value, where, comparison)
    elif not members:
        raise DistillError(f'{where}=[] has no image set: give at least one')
    for member in members:
        if key == 'dataset':
            _check_dataset(member, task, where)
        elif key == 'data_root':
            check_value(where, member, str)


def _parts(spec: Any, where: str) -> Tuple[str, Any]:
    """Key and value of a training set's config."""
    if not isinstance(spec, Mapping) or len(spec) - ('weights' in spec) != 1:
        raise DistillError(f'{where}: set exactly one of {", ".join(KINDS)}')
    (key, value), = ((key, value) for key, value in spec.items() if key != 'weights')
    check_value(f'{where}.weights', weighted := spec.get('weights', False), bool)
    if weighted and key != 'data_root':
        raise DistillError(f'{where}.weights: only a data_root has weights of images, not {key}: remove weights')
    return key, value


def _check_union(value: Any, where: str, comparison: Comparison) -> None:
    check_value(where, value, Sequence[str])
    single = [name for name, spec in comparison.training_sets.items() if not isinstance(spec, Mapping)
              or 'union' not in spec]
    if absent := [name for name in value if name not in single]:
        advice = nearest(absent[0], single) or ': correct it, or set the union to None, too'
        raise DistillError(f'{where}: {absent[0]!r} is not a set of this comparison, or is itself a union{advice}')
    if len(set(value)) < max(2, len(value)):
        raise DistillError(f'{where}={list(value)}: give it two or more different sets')
    sets = [comparison.training_sets[name] for name in value]
    weighted = [isinstance(spec, Mapping) and bool(spec.get('weights')) for spec in sets]
    if 0 < sum(weighted) < len(weighted):
        raise DistillError(f'{where}: {value[weighted.index(True)]!r} has weights and {value[weighted.index(False)]!r} '
                           'has none: give weights=True to all or to none')


def _protocol(comparison: Comparison) -> Tuple[Config, Task]:
    """The protocol and its task."""
    protocol, name = load_protocol(comparison.protocol), f'protocol {comparison.protocol}'
    task = task_of_scope(protocol.get('default_scope'), name)
    if not protocol.get('test_dataloader'):
        raise DistillError(f'{name} has no test_dataloader: give a config that trains and tests')
    return protocol, task


def _check_overrides(comparison: Comparison, protocol: Config) -> None:
    """Merge the config's ``overrides`` into the protocol, in place, and check the training."""
    overrides, name = comparison.overrides or {}, f'protocol {comparison.protocol}'
    check_spelling([key.partition('.')[0] for key in overrides], {*_RUNNER, *protocol}, 'overrides.')
    override(protocol, overrides)
    try:
        check_training(protocol, name)
    except DistillError as error:
        raise DistillError(f'{name} with overrides: {error}' if overrides else str(error)) from None


def _check_dataset(cfg: Any, task: Task, where: str) -> None:
    check_value(where, cfg, dict)
    scopes = [other.scope for other in all_tasks()]
    cfg = bare(scoped(cfg, cfg['_scope_'] if cfg.get('_scope_') in scopes else task.scope))
    for key, part in part_configs(cfg, where):
        component = resolve(part, DATASETS, key)
        for other in all_tasks():
            if inspect.isclass(component) and other.name != task.name and other.owns(component):
                raise DistillError(f'{key}.type={part["type"]!r} is a dataset of {other.name}, the protocol trains '
                                   f'{task.name}: give one of its datasets, or another protocol')
        if inspect.isclass(component):
            task.check_dataset(component, part, key)
    check_dataset(cfg, where)
    check_subsets(cfg, where)


def _check_selector(cfg: Any, where: str, comparison: Comparison) -> None:
    component = check_component(cfg, SELECTORS, where, ('budget', 'random_state'))
    needs = getattr(component, 'needs', None)
    if needs not in READS:
        raise DistillError(f'{where}: {component.__name__} declares needs={needs!r}: set it on the class to one of '
                           f'{", ".join(READS)}')
    if needs == 'features' and not comparison.encoder:
        raise DistillError(f'{where}: {component.__name__} needs an encoder: give the evaluation config one, e.g. '
                           "encoder=dict(type='LatentEncoder', vae=...)")
    if 'budget' not in cfg and comparison.budget is None and comparison.ipc is None:
        raise DistillError(f'{where}: give the evaluation config a budget (or ipc)')


def _plain(value: Any) -> Any:
    """A config with class names instead of classes, so that JSON and worker processes can handle it."""
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(_plain, value))
    return f'{value.__module__}.{value.__qualname__}' if inspect.isclass(value) else value
