"""The interface of a task: how to distil its datasets and to compare its students.

To add a task, write a subclass of :class:`Task` in a new file and add one line to :mod:`mmdistill.registry`.
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
    """Reader of the real dataset of a run, for selection and generation.

    Args:
        dataset: A built OpenMMLab dataset, possibly with wrappers.

    Raises:
        DistillError: The dataset has no class names.
    """
    dataset: Any  # the OpenMMLab dataset without wrappers (:func:`~mmdistill.datasets.wrappers.real_dataset`)
    parts: List[Any]  # the datasets that read the files
    rows: List[Tuple[int, int]]  # (index of the part, index in the part) of each image
    classes: Tuple[str, ...]  # class names, in the order of the ids
    folds: bool  # whether images were left out by a KFoldDataset
    palette: Tuple[Tuple[int, int, int], ...] = ()  # RGB colour of each class, 0..255, for tasks with masks
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
        """Paths and URIs of all files of the samples."""
        return self.images

    def check_files(self) -> None:
        """Raise a DistillError if a file that the dataset lists is missing; no file is opened."""

    def fingerprint(self) -> str:
        """Hash of the files and of the settings with which they are read."""
        raise NotImplementedError

    def reading(self) -> Dict[str, Any]:
        """Non-default settings for reading images, for the report: JSON values without secrets."""
        return {}

    def inputs(self, requests: Sequence[Request], size: Tuple[int, int]) -> Dict[str, Any]:
        """Further arguments of the generator for a batch of requests and images of ``size`` (H, W), such as masks."""
        return {}

    def annotation(self, inputs: Mapping[str, Any], row: int) -> Dict[str, Any]:
        """Further arguments of the writer for one image: row ``row`` of the batch with these ``inputs``."""
        return {}

    def preview(self, image: np.ndarray, inputs: Mapping[str, Any], row: int) -> np.ndarray:
        """A generated image as shown during the run, uint8 RGB (H, W', 3), possibly next to its mask."""
        return image


def class_names(classes: Any, where: str) -> Tuple[str, ...]:
    """The names in a dataset's ``metainfo.classes`` as strings; they may be numbers.

    Args:
        classes: Value of ``metainfo.classes``.
        where: Name of the dataset in messages.

    Raises:
        DistillError: There are no names, or the value is not a list of names.
    """
    if classes is None or not len(classes):
        raise DistillError(f'{where} has no class names: give it metainfo=dict(classes=(...))')
    if isinstance(classes, (str, Mapping)):
        raise DistillError(f'{where}: metainfo.classes={shorten(str(classes))!r} is not a list of names: give a '
                           'list, or the path of a file with one name per line')
    if unnamed := [label for label, name in enumerate(classes) if name is None]:
        raise DistillError(f'{where}: class {unnamed[0]} of metainfo.classes is None: give it a name')
    return tuple(map(str, classes))


def repeated_name(classes: Sequence[str]) -> str:
    """Text such as ``"classes 0 and 3 are both called 'road'"`` if a name is used twice; otherwise ''."""
    first: Dict[str, int] = {}
    for label, name in enumerate(map(str, classes)):
        if first.setdefault(name, label) != label:
            return f'classes {first[name]} and {label} are both called {name!r}'
    return ''


class Task:
    """Everything that is specific to a task, such as segmentation."""
    name: str  # as in the manifest of a distilled set
    scope: str  # the OpenMMLab package that reads the data and trains the students
    annotation: str  # annotation of an image: 'masks' or 'classes'; generators and writers declare the same
    dataset_base: Tuple[str, str]  # module and name of the base class of all datasets of the task
    plan_hook: str  # the hook to suggest if no hook made a plan
    writer: str  # name of the default writer
    resources: Type[Resources] = Resources  # resources that objectives can declare in `needs`
    metric: str  # main metric of a student, in percent
    evaluator: Dict[str, Any]  # config of the metric
    class_metric: str  # prefix of the metrics per class: '{class_metric}.{class}'
    rare_metric: Optional[str] = None  # name of the mean over the rare classes
    counted: str = 'images'  # unit of class_totals(): 'pixels' or 'images'
    drawn: Optional[str] = None  # what draw() shows, such as 'mask'; None if annotations are not drawn

    def owns(self, dataset: type) -> bool:
        """Whether a dataset class belongs to this task."""
        module = sys.modules.get(self.dataset_base[0])  # a dataset's package has been imported
        return module is not None and issubclass(dataset, getattr(module, self.dataset_base[1]))

    def check_dataset(self, dataset: type, settings: Mapping[str, Any], where: str) -> None:
        """Raise a DistillError if a dataset of the task has no files or no annotation that can be distilled.

        Args:
            dataset: The dataset class.
            settings: Its settings in the config.
            where: Key of the dataset in the config.
        """

    def check_annotation(self, component: Any, where: str, registry: LazyRegistry,
                         otherwise: str = 'use another dataset') -> None:
        """Raise a DistillError if a component (a class in the registry, at key ``where``) needs another annotation.

        ``otherwise`` is the advice if no component in the registry fits.
        """
        annotation = getattr(component, 'annotation', self.annotation)
        if annotation != self.annotation:
            fitting = [name for name in registry.names()
                       if getattr(registry.get(name), 'annotation', '') == self.annotation]
            raise DistillError(f'{where}: {component.__name__} is for {annotation}, but the dataset is for '
                               f'{self.name}: {f"use {names}" if (names := " or ".join(fitting)) else otherwise}')

    def source(self, dataset: Any) -> Source:
        """The reader of a real dataset.

        Raises:
            DistillError: The dataset is empty, or has no class names or no annotation.
        """
        raise NotImplementedError

    def distilled_dataset(self) -> type:
        """The dataset class for distilled sets with a manifest."""
        raise NotImplementedError

    def labels(self, dataset: Any) -> Optional[np.ndarray]:
        """Class id of each image, int64 (N,); None if images have no single class."""
        return None

    def class_counts(self, dataset: Any, cache: Any = None) -> np.ndarray:
        """Pixels or images of each class, per image, int64 (N, K); ``cache`` is a file for slow counts."""
        raise NotImplementedError

    def class_totals(self, dataset: Any, cache: Any = None) -> np.ndarray:
        """Pixels or images of each class in the dataset, int64 (K,); ``cache`` as in :meth:`class_counts`."""
        return self.class_counts(dataset, cache).sum(0)

    def check_files(self, dataset: Any) -> None:
        """Raise a DistillError if a file that students would read as a label is missing; no file is opened."""

    def check_annotations(self, dataset: Any, cache: Any = None) -> None:
        """Raise a DistillError if an annotation of a test set is wrong; ``cache`` is a file for slow checks."""

    def check_training_set(self, name: str, dataset: Any) -> None:
        """Raise a DistillError if the training set ``name`` would make a comparison unfair."""

    def notes(self, real: Any, test: Any) -> List[str]:
        """Sentences about the real training set and the test set, for the notes below a table."""
        return []

    def draw(self, manifest: Mapping[str, Any], image: Mapping[str, Any], read: Callable[[str], np.ndarray]
             ) -> np.ndarray:
        """Draw the annotation of an image.

        Args:
            manifest: Manifest of a distilled set.
            image: The image's entry in it.
            read: Function from the path of a file in the set to its pixels.

        Returns:
            uint8 RGB (H, W, 3).
        """
        raise NotImplementedError

    def check_judge(self, cfg: Mapping[str, Any]) -> None:
        """Check the config of a judge network, which measures how well images agree with their annotation."""
        raise DistillError(f'judge: {self.name} has no measure of how well images agree with their annotation: leave '
                           'judge out')

    def judge(self, cfg: Mapping[str, Any]) -> Callable[[Any], Dict[str, float]]:
        """Build a judge network.

        Returns:
            Function from a dataset to the metrics: first ``metric``, in percent, then the metrics per class.
        """
        raise NotImplementedError


def all_tasks() -> Iterator[Task]:
    """Yield all registered tasks."""
    return (TASKS.build(dict(type=name)) for name in TASKS.names())


def task_of_dataset(dataset: type, where: str = '') -> Task:
    """The task of a dataset class.

    Args:
        dataset: The class.
        where: Its key in the config.

    Raises:
        DistillError: It belongs to no task.
    """
    bases = ', '.join('.'.join(task.dataset_base) for task in all_tasks())
    return _first(lambda task: task.owns(dataset),
                  f'{where}{": " if where else ""}{dataset.__name__} belongs to no known task: use a dataset derived '
                  f'from {bases}')


def task_of_datasets(datasets: Mapping[str, type]) -> Task:
    """The common task of several dataset classes by config key; raises a DistillError if they have several tasks."""
    (first, task), *others = [(where, task_of_dataset(dataset, where)) for where, dataset in datasets.items()]
    for where, other in others:
        if other.name != task.name:
            raise DistillError(f'{where} is a dataset for {other.name}, but {first} is for {task.name}: distil them in '
                               'separate runs')
    return task


def task_of_scope(scope: Optional[str], where: str) -> Task:
    """The task of an OpenMMLab package, the ``default_scope`` of the config ``where``.

    Raises:
        DistillError: There is no task for this package.
    """
    scopes = ' or '.join(sorted(task.scope for task in all_tasks()))
    return _first(lambda task: task.scope == scope, f'{where} has default_scope={scope!r}: set it to {scopes}')


def task_of_manifest(manifest: Mapping[str, Any], where: str) -> Task:
    """The task named in the manifest of a distilled set, or in the results of a comparison.

    Raises:
        DistillError: The task is unknown.
    """
    name, names = manifest.get('task'), ', '.join(sorted(task.name for task in all_tasks()))
    return _first(lambda task: task.name == name, f'{where} is of task {name!r}; known: {names}')


def _first(fits: Callable[[Task], bool], problem: str) -> Task:
    task = next(filter(fits, all_tasks()), None)
    if task is None:
        raise DistillError(problem)
    return task
