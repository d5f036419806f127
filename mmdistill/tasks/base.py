"""What a task is: all that mmdistill has to know to distil one kind of dataset and to compare its students.

A further task is one subclass of :class:`Task` in a file of its own and one line in :mod:`mmdistill.registry`.
"""
import sys
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, Type

import numpy as np

from mmdistill.errors import DistillError
from mmdistill.plan import Request
from mmdistill.registry import TASKS


class Source:
    """The real dataset of a run, as selection and synthesis read it.

    Attributes:
        dataset: The OpenMMLab dataset.
        classes: Names of the classes, in the order of the ids.
        palette: One RGB triple per class, 0..255; empty where nothing is drawn in colours.
        images: Path or URI of each image.
    """
    dataset: Any
    classes: Tuple[str, ...]
    palette: Tuple[Tuple[int, int, int], ...] = ()
    images: List[str]

    def __len__(self) -> int:
        return len(self.images)

    def fingerprint(self) -> str:
        """Changes when a file or the way in which it is read does."""
        raise NotImplementedError

    def inputs(self, requests: Sequence[Request], size: Tuple[int, int]) -> Dict[str, Any]:
        """What the generator reads besides the requests, by the names of its arguments.

        Args:
            requests: A batch.
            size: (H, W) of the images that are made.
        """
        return {}

    def annotation(self, inputs: Mapping[str, Any], row: int) -> Dict[str, Any]:
        """What the writer gets beside an image, by the names of its arguments.

        Args:
            inputs: As :meth:`inputs` gave them.
            row: Of the batch.
        """
        return {}

    def preview(self, image: np.ndarray, inputs: Mapping[str, Any], row: int) -> np.ndarray:
        """An image as it is shown while the run goes on, uint8 RGB (H, W', 3)."""
        return image


class Resources:
    """What objectives can declare in ``needs``, made when the first of them asks.

    A public method is a resource: an objective with ``needs = dict(statistics=('min_area', ))`` is built with
    ``statistics=resources.statistics(min_area=...)``, where ``min_area`` is taken out of its own settings. A task adds
    methods; their settings in the config of :class:`GuidedSynthesisHook` are the keyword arguments of ``__init__``.

    Args:
        run: The run (:class:`~mmdistill.engine.loop.DistillLoop`).
    """

    def __init__(self, run: Any) -> None:
        self.run = run

    def requests(self) -> Tuple[Request, ...]:
        """All requests of the plan, whatever is left to make."""
        return self.run.plan.requests

    def classes(self) -> Tuple[str, ...]:
        """Names of the classes."""
        return self.run.source.classes

    def generator(self) -> Any:
        """The generator of the run."""
        return self.run.generator

    def describe(self) -> Dict[str, Any]:
        """Settings of the resources, as JSON values for the manifest."""
        return {}

    @classmethod
    def check(cls, settings: Mapping[str, Any], needs: Mapping[str, Sequence[str]], where: str) -> None:
        """Check, before anything is built, that objectives will get what they need.

        Args:
            settings: Keyword arguments of the constructor.
            needs: Name of each objective → the resources that it declares.
            where: Key of the config, for messages.

        Raises:
            DistillError: A resource that this task does not have, or bad settings.
        """
        known = [name for name in dir(cls) if not name.startswith('_') and name not in ('check', 'describe', 'give')]
        for objective, names in needs.items():
            for name in names:
                if name not in known:
                    raise DistillError(f'{where}: {objective} needs {name}, which this task does not have; it has '
                                       f'{", ".join(known)}')

    def give(self, objective: Any, settings: Mapping[str, Any]) -> Dict[str, Any]:
        """The settings of an objective together with the resources that it declares.

        Args:
            objective: A class with ``needs``: names of resources, or a dict of them to the settings that go to the
                resource instead of the objective.
            settings: The objective's settings by the config.
        """
        needs, settings = declared_needs(objective), dict(settings)
        taken = {key: settings.pop(key) for keys in needs.values() for key in keys if key in settings}
        for name, keys in needs.items():
            settings[name] = getattr(self, name)(**{key: taken[key] for key in keys if key in taken})
        return settings


def declared_needs(component: Any) -> Dict[str, Tuple[str, ...]]:
    """The ``needs`` of a class, as a dict of resources to the settings that they take."""
    needs = getattr(component, 'needs', ())
    return dict(needs) if isinstance(needs, Mapping) else dict.fromkeys(needs, ())


class Task:
    """One task.

    Attributes:
        name: Of the task; the manifest of a distilled set names it.
        scope: The OpenMMLab package that reads the data and trains the students.
        annotation: What is known of an image: ``'masks'``, ``'classes'``. Generators and writers declare the same.
        dataset_base: Module and class that all datasets of the task derive from.
        plan_hook: The hook to name where no hook made a plan.
        writer: Name of the default writer.
        resources: What objectives can declare in ``needs``.
        metric: What a student is judged by, in points.
        evaluator: The metric's config.
        class_metric: Prefix of the metric of one class: ``{class_metric}.{class}``.
        rare_metric: Name of the mean over the rare classes; None where there is none.
        counted: What :meth:`class_counts` counts: ``'pixels'``, ``'images'``.
        drawn: What :meth:`draw` shows, in a word; None where annotations are not drawn.
    """
    name: str
    scope: str
    annotation: str
    dataset_base: Tuple[str, str]
    plan_hook: str
    writer: str
    resources: Type[Resources] = Resources
    metric: str
    evaluator: Dict[str, Any]
    class_metric: str
    rare_metric: Optional[str] = None
    counted: str = 'images'
    drawn: Optional[str] = None

    def owns(self, dataset: type) -> bool:
        """Whether a dataset class is one of this task."""
        module = sys.modules.get(self.dataset_base[0])  # a dataset's package has been imported
        return module is not None and issubclass(dataset, getattr(module, self.dataset_base[1]))

    def source(self, dataset: Any) -> Source:
        """The reader of a real dataset.

        Raises:
            DistillError: It is empty, or names no classes or no annotation.
        """
        raise NotImplementedError

    def distilled_dataset(self) -> type:
        """The dataset class that reads a distilled set by its manifest."""
        raise NotImplementedError

    def labels(self, dataset: Any) -> Optional[np.ndarray]:
        """int64 (N,) class id of each image; None where an image has not exactly one."""
        return None

    def class_counts(self, dataset: Any, cache: Any = None) -> np.ndarray:
        """int64 (N, K): how much of each class an image shows.

        Args:
            dataset: Any of this task.
            cache: File that keeps the counts, where counting takes long.
        """
        raise NotImplementedError

    def check_training_set(self, name: str, dataset: Any) -> None:
        """Refuse a training set that would make a comparison unfair.

        Raises:
            DistillError: With the name of the set.
        """

    def notes(self, real: Any, test: Any) -> List[str]:
        """Sentences on the real training set and the test set that belong under a table."""
        return []

    def draw(self, manifest: Mapping[str, Any], image: Mapping[str, Any], read: Callable[[str], np.ndarray]
             ) -> np.ndarray:
        """The annotation of a distilled image as a picture, uint8 RGB (H, W, 3).

        Args:
            manifest: Of the distilled set.
            image: The image's entry in it.
            read: Reads a picture of the set by its name.
        """
        raise NotImplementedError

    def judge(self, cfg: Mapping[str, Any]) -> Callable[[Any], Dict[str, float]]:
        """How well a network finds the annotation in the images: a function of a dataset.

        Args:
            cfg: Config of the network.

        Raises:
            DistillError: The task has no such measure.
        """
        raise DistillError(f'judge: it measures agreement with masks, and this is {self.name}: leave judge out')


def all_tasks() -> Iterator[Task]:
    """Every registered task."""
    return (TASKS.build(dict(type=name)) for name in TASKS.names())


def task_of_class(dataset: type) -> Task:
    """The task of a dataset class.

    Raises:
        DistillError: There is none.
    """
    for task in all_tasks():
        if task.owns(dataset):
            return task
    bases = ', '.join('.'.join(task.dataset_base) for task in all_tasks())
    raise DistillError(f'{dataset.__name__} is a dataset of no known task: give one derived from {bases}')


def task_of_dataset(dataset: Any) -> Task:
    """The task of a built dataset; see :func:`task_of_class`."""
    return task_of_class(type(dataset))


def task_of_scope(scope: Optional[str], where: str) -> Task:
    """The task that an OpenMMLab package trains.

    Args:
        scope: ``default_scope`` of a config.
        where: What has it, for the message.

    Raises:
        DistillError: There is none.
    """
    for task in all_tasks():
        if task.scope == scope:
            return task
    raise DistillError(f'{where} has default_scope={scope!r}: set it to '
                       f'{" or ".join(sorted(task.scope for task in all_tasks()))}')


def task_of_manifest(manifest: Mapping[str, Any], where: str) -> Task:
    """The task that the manifest of a distilled set, or the results of a comparison, name.

    Raises:
        DistillError: It is not known.
    """
    for task in all_tasks():
        if task.name == manifest.get('task'):
            return task
    raise DistillError(f'{where} is of task {manifest.get("task")!r}; known: '
                       f'{", ".join(sorted(task.name for task in all_tasks()))}')
