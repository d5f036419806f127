"""What a task is: all that mmdistill has to know to distil one kind of dataset and to compare its students.

A further task is one subclass of :class:`Task` in a file of its own and one line in :mod:`mmdistill.registry`.
"""
import sys
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, Type

import numpy as np

from mmdistill.datasets.wrappers import real_dataset, real_parts, real_rows, wrapper_names
from mmdistill.errors import DistillError
from mmdistill.plan import Request
from mmdistill.registry import TASKS, LazyRegistry
from mmdistill.selection.report import shorten
from .resources import Resources


class Source:
    """The real dataset of a run, as selection and synthesis read it; a DistillError where it names no classes."""
    dataset: Any  # the OpenMMLab dataset, or the samples of several (:func:`~mmdistill.datasets.wrappers.real_dataset`)
    parts: List[Any]  # the datasets that read its files
    rows: List[Tuple[int, int]]  # (part, index in it) of each image
    classes: Tuple[str, ...]  # their names, in the order of the ids
    folds: bool  # whether a part of the images was left out as a fold
    palette: Tuple[Tuple[int, int, int], ...] = ()  # one RGB triple per class, 0..255, where masks are drawn
    images: List[str]  # path or URI of each image

    def __init__(self, dataset: Any) -> None:
        self.dataset = real_dataset(dataset)
        self.parts, self.rows = real_parts(self.dataset), real_rows(self.dataset)
        self.folds = 'KFoldDataset' in wrapper_names(dataset)
        self.classes = class_names(self.dataset.metainfo.get('classes'), type(self.parts[0]).__name__)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def files(self) -> List[str]:
        """Paths and URIs of all that is read."""
        return self.images

    def check_files(self) -> None:
        """Raise a DistillError where a file that the dataset lists is missing; no file is opened."""

    def fingerprint(self) -> str:
        """Changes when a file or the way in which it is read does."""
        raise NotImplementedError

    def reading(self) -> Dict[str, Any]:
        """How its images are read where that is not the default, for the report: JSON values without secrets."""
        return {}

    def inputs(self, requests: Sequence[Request], size: Tuple[int, int]) -> Dict[str, Any]:
        """What the generator of images of ``size`` (H, W) reads besides a batch of requests, by argument."""
        return {}

    def annotation(self, inputs: Mapping[str, Any], row: int) -> Dict[str, Any]:
        """What the writer gets beside the image of a row of a batch with these ``inputs``, by its arguments' names."""
        return {}

    def preview(self, image: np.ndarray, inputs: Mapping[str, Any], row: int) -> np.ndarray:
        """An image as it is shown while the run goes on, uint8 RGB (H, W', 3)."""
        return image


def class_names(classes: Any, where: str) -> Tuple[str, ...]:
    """The names of a dataset's ``metainfo.classes``, which may be numbers, as strings.

    Raises:
        DistillError: There are none, or what is there is no list of names; the message calls the dataset ``where``.
    """
    if classes is None or not len(classes):
        raise DistillError(f'{where} names no classes: give it metainfo=dict(classes=(...))')
    if isinstance(classes, (str, Mapping)):
        raise DistillError(f'{where}: metainfo.classes={shorten(str(classes))!r} is no list of names: give a list, or '
                           'the path of a file with one name on each line')
    if unnamed := [label for label, name in enumerate(classes) if name is None]:
        raise DistillError(f'{where}: class {unnamed[0]} of metainfo.classes is None: give it a name')
    return tuple(map(str, classes))


def repeated_name(classes: Sequence[str]) -> str:
    """What says that two classes have one name, ``"classes 0 and 3 are both called 'road'"``; '' where none have."""
    first: Dict[str, int] = {}
    for label, name in enumerate(map(str, classes)):
        if first.setdefault(name, label) != label:
            return f'classes {first[name]} and {label} are both called {name!r}'
    return ''


class Task:
    """One task."""
    name: str  # the manifest of a distilled set names it
    scope: str  # the OpenMMLab package that reads the data and trains the students
    annotation: str  # what is known of an image: 'masks', 'classes'; generators and writers declare the same
    dataset_base: Tuple[str, str]  # module and class that all datasets of the task derive from
    plan_hook: str  # the hook to name where no hook made a plan
    writer: str  # name of the default writer
    resources: Type[Resources] = Resources  # what objectives can declare in `needs`
    metric: str  # what a student is judged by, in points
    evaluator: Dict[str, Any]  # the metric's config
    class_metric: str  # prefix of the metric of one class: '{class_metric}.{class}'
    rare_metric: Optional[str] = None  # name of the mean over the rare classes
    counted: str = 'images'  # what class_counts() counts: 'pixels', 'images'
    drawn: Optional[str] = None  # what draw() shows, in a word; None where annotations are not drawn

    def owns(self, dataset: type) -> bool:
        """Whether a dataset class is one of this task."""
        module = sys.modules.get(self.dataset_base[0])  # a dataset's package has been imported
        return module is not None and issubclass(dataset, getattr(module, self.dataset_base[1]))

    def check_dataset(self, dataset: type, settings: Mapping[str, Any], where: str) -> None:
        """Raise a DistillError where a dataset class of the task, by the settings at key ``where`` of a config, has no
        files or no annotation that can be distilled."""

    def check_annotation(self, component: Any, where: str, registry: LazyRegistry) -> None:
        """Raise a DistillError where a component of the registry, at key ``where``, is for another annotation."""
        annotation = getattr(component, 'annotation', self.annotation)
        if annotation != self.annotation:
            fitting = [name for name in registry.names()
                       if getattr(registry.get(name), 'annotation', '') == self.annotation]
            raise DistillError(f'{where}: {component.__name__} is for {annotation}, but the dataset is one of '
                               f'{self.name}: take {" or ".join(fitting) or "another dataset"}')

    def source(self, dataset: Any) -> Source:
        """The reader of a real dataset; a DistillError where that is empty, or names no classes or no annotation."""
        raise NotImplementedError

    def distilled_dataset(self) -> type:
        """The dataset class that reads a distilled set by its manifest."""
        raise NotImplementedError

    def labels(self, dataset: Any) -> Optional[np.ndarray]:
        """int64 (N,) class id of each image; None where an image has not exactly one."""
        return None

    def class_counts(self, dataset: Any, cache: Any = None) -> np.ndarray:
        """int64 (N, K): how much of each class an image shows; the file ``cache`` keeps it if counting takes long."""
        raise NotImplementedError

    def check_training_set(self, name: str, dataset: Any) -> None:
        """Raise a DistillError with the name of a training set that would make a comparison unfair."""

    def notes(self, real: Any, test: Any) -> List[str]:
        """Sentences on the real training set and the test set that belong under a table."""
        return []

    def draw(self, manifest: Mapping[str, Any], image: Mapping[str, Any], read: Callable[[str], np.ndarray]
             ) -> np.ndarray:
        """The annotation of an image of a manifest as a picture, uint8 RGB (H, W, 3); ``read`` reads one by name."""
        raise NotImplementedError

    def check_judge(self, cfg: Mapping[str, Any]) -> None:
        """Check the config of a network that judges how well images follow their annotation, if there is such one."""
        raise DistillError(f'judge: {self.name} has no measure of how well images follow their annotation: leave judge '
                           'out')

    def judge(self, cfg: Mapping[str, Any]) -> Callable[[Any], Dict[str, float]]:
        """Build that network: a function of a dataset that gives ``metric`` first, in points, then the classes'."""
        raise NotImplementedError


def all_tasks() -> Iterator[Task]:
    """Every registered task."""
    return (TASKS.build(dict(type=name)) for name in TASKS.names())


def task_of_dataset(dataset: type, where: str = '') -> Task:
    """The task of a dataset class, which is at the key ``where`` of a config."""
    bases = ', '.join('.'.join(task.dataset_base) for task in all_tasks())
    return _first(lambda task: task.owns(dataset),
                  f'{where}{": " if where else ""}{dataset.__name__} is a dataset of no known task: give one derived '
                  f'from {bases}')


def task_of_datasets(datasets: Mapping[str, type]) -> Task:
    """The task of several dataset classes by where they stand; a DistillError where they are not of one."""
    (first, task), *others = [(where, task_of_dataset(dataset, where)) for where, dataset in datasets.items()]
    for where, other in others:
        if other.name != task.name:
            raise DistillError(f'{where} is a dataset of {other.name}, but {first} one of {task.name}: distil them in '
                               'runs of their own')
    return task


def task_of_scope(scope: Optional[str], where: str) -> Task:
    """The task that an OpenMMLab package, the ``default_scope`` of the config ``where``, trains."""
    scopes = ' or '.join(sorted(task.scope for task in all_tasks()))
    return _first(lambda task: task.scope == scope, f'{where} has default_scope={scope!r}: set it to {scopes}')


def task_of_manifest(manifest: Mapping[str, Any], where: str) -> Task:
    """The task that the manifest of a distilled set, or the results of a comparison, name."""
    name, names = manifest.get('task'), ', '.join(sorted(task.name for task in all_tasks()))
    return _first(lambda task: task.name == name, f'{where} is of task {name!r}; known: {names}')


def _first(fits: Callable[[Task], bool], problem: str) -> Task:
    task = next(filter(fits, all_tasks()), None)
    if task is None:
        raise DistillError(problem)
    return task
