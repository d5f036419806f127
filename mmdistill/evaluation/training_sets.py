"""The training sets of a comparison: distilled sets, and baselines of selected real images."""
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Callable, ContextManager, Dict, List, Mapping, Optional, Sequence, Union

import numpy as np

from mmdistill.components import resolve
from mmdistill.datasets.manifest import read_manifest
from mmdistill.datasets.wrapped_configs import part_config, scoped, without_pipeline
from mmdistill.datasets.wrappers import Part, parts_of, real_dataset, real_parts, real_rows
from mmdistill.errors import DistillError, named
from mmdistill.lock import one_at_a_time
from mmdistill.registry import ENCODERS, SELECTORS
from mmdistill.selection.base import resolve_budget
from mmdistill.tasks.base import Task
from .building import build_wrapped
from .encoders import encode_dataset
from .guards import check_classes, check_overlap, paths_of

KINDS = ('data_root', 'dataset', 'selector', 'source_of', 'union')


class RealData:
    """The real training set, from which baselines are selected. Everything is loaded or computed at first use.

    Args:
        dataset: Its config.
        task: Its task.
        cache: Folder for class histograms and features.
        encoder: Config of the encoder of the features (:mod:`mmdistill.evaluation.encoders`).
    """

    def __init__(self, dataset: dict, task: Task, cache: Union[str, Path], encoder: Optional[dict] = None) -> None:
        self.cfg = dataset
        self.task, self.cache = task, Path(cache)
        self._encoder = encoder

    @cached_property
    def encoder(self) -> Any:
        """The encoder; None if the comparison has none."""
        return ENCODERS.build(self._encoder) if self._encoder else None

    @cached_property
    def _built(self) -> Any:
        return build_wrapped(self.cfg, self.task.scope, 'train_dataset')

    @cached_property
    def dataset(self) -> Any:
        """The dataset without a pipeline, each sample once (:func:`~mmdistill.datasets.wrappers.real_dataset`)."""
        return real_dataset(self._built)

    @cached_property
    def labels(self) -> Optional[np.ndarray]:
        """int64 (N,) class ids; None if the images have no single class (segmentation)."""
        return self.task.labels(self.dataset)

    @cached_property
    def histograms(self) -> np.ndarray:
        """int64 (N, K): pixels (segmentation) or images (classification) of each class, per image, for selectors."""
        return self._count(self.task.class_counts)

    @cached_property
    def totals(self) -> np.ndarray:
        """int64 (K,): pixels (segmentation) or images (classification) of each class."""
        return self._count(self.task.class_totals)

    def _count(self, function: Callable[[Any, Path], np.ndarray]) -> np.ndarray:
        path = self.cache / MEASURED['histograms']
        with one_at_a_time(path):  # the processes of a launcher that divide the students
            return function(self.dataset, path)

    @cached_property
    def features(self) -> np.ndarray:
        """float32 (N, D), features from the encoder."""
        path = self.cache / MEASURED['features']
        with one_at_a_time(path):
            return encode_dataset(self.encoder, self.dataset, cache=path)

    def select(self, selector: dict, budget: Union[int, float, None], random_state: int) -> List[int]:
        """Indices of the images that a selector chooses.

        Args:
            selector: Config of the selector.
            budget: Number or share of images, if the config has none. A number is divided evenly among the classes for
                selectors whose budget is per class.
            random_state: Seed of a random selector, if the config has none.
        """
        defaults = dict(random_state=random_state) if _draws(selector) else {}
        fitted = SELECTORS.build({'budget': budget, **defaults, **selector})
        if getattr(fitted, 'per_class', False) and 'budget' not in selector and isinstance(budget, int):
            fitted.budget = budget // len(self.dataset.metainfo['classes'])
        fitted.fit(*READS[fitted.needs](self))
        return [int(index) for index in fitted.selected_]

    def subset(self, indices: Sequence[int]) -> Dict[str, Any]:
        """Config of a dataset of these images, each once, without dataset wrappers and pipeline."""
        parts, rows = parts_of(self._built), real_rows(self.dataset)
        chosen: List[List[int]] = [[] for _ in parts]
        for index in indices:
            number, inner = rows[index]
            chosen[number].append(inner)
        configs = [_restricted(part_config(self.cfg, part.key), part, kept)
                   for part, kept in zip(parts, chosen) if kept]
        if len(configs) == 1:
            return configs[0]
        return dict(type='mmdistill.UnionDataset', datasets=[scoped(cfg, self.task.scope) for cfg in configs])

    def data_root(self, index: int) -> Optional[str]:
        """The ``data_root`` of the dataset that contains an image."""
        return getattr(real_parts(self.dataset)[real_rows(self.dataset)[index][0]], 'data_root', None)


def _restricted(cfg: Mapping[str, Any], part: Part, indices: Sequence[int]) -> Dict[str, Any]:
    """The config of a dataset with a subset of its images; ``indices`` in the config are composed with the new ones."""
    outer = cfg.get('indices')
    if isinstance(outer, int):  # a number selects the first or the last images
        whole = len(part.dataset) if isinstance(part.indices, range) else -outer
        outer = range(outer) if outer >= 0 else range(-whole, 0)
    inner = [int(part.indices[index]) for index in indices]
    return dict(without_pipeline(cfg), indices=inner if outer is None else [int(outer[index]) for index in inner])


# Value of a selector's ``needs`` → the arguments of its ``fit``.
READS: Dict[str, Callable[[RealData], tuple]] = dict(
    histograms=lambda real: (real.histograms, ),
    features=lambda real: (real.features, real.labels),
    samples=lambda real: (real.dataset, real.labels))


# Value of ``needs`` → file or folder of the measured values in the work dir.
MEASURED = dict(histograms='class_histograms.npz', features='real_features')


def selects_per_class(selector: Mapping[str, Any]) -> bool:
    """Whether the budget of a selector is per class, from its config."""
    return selector.get('per_class', getattr(resolve(selector, SELECTORS, 'selector'), 'per_class', False))


def _draws(selector: dict) -> bool:
    return getattr(resolve(selector, SELECTORS, 'selector'), 'stochastic', False)


class TrainingSet:
    """One training set of a comparison.

    Args:
        name: Its name.
        spec: Its config, a dict with one key: ``data_root`` (a distilled set) or ``dataset`` (any dataset's config),
            each a value or a list with one value per image set; ``selector`` (a selector of real images); ``source_of``
            (name of a distilled set: the real images it was made from); ``union`` (names of other sets to merge). With
            ``data_root``, ``weights=True`` weights the images in the loss as their manifest says.
        real: The real training set.
        budget: Number or share of images, for selectors whose config has no budget.
        others: The configs of all sets, by name.
    """

    def __init__(self, name: str, spec: Mapping[str, Any], real: RealData, budget: Union[int, float, None],
                 others: Mapping[str, Mapping[str, Any]]) -> None:
        self.kind, value = next((key, value) for key, value in spec.items() if key in KINDS)
        self._weights = bool(spec.get('weights'))
        self.name, self.real, self.budget = name, real, budget
        if self.kind == 'source_of':
            value = others[value]['data_root']
        self.values = list(value) if isinstance(value, (list, tuple)) else [value]
        self.members = [TrainingSet(one, others[one], real, budget, others) for one in self.values
                        ] if self.kind == 'union' else []
        self._selected: Dict[int, List[int]] = {}

    @property
    def weighted(self) -> bool:
        """Whether its images have weights, which the students' loss must use."""
        return self._weights or any(member.weighted for member in self.members)

    def num_image_sets(self, wanted: int) -> int:
        """Number of image sets: ``wanted`` for a random selector, otherwise the number of values in the config.

        For a union, it is the maximum over its members.
        """
        if self.members:
            return max(member.num_image_sets(wanted) for member in self.members)
        return wanted if self._draws else len(self.values)

    def sizes(self) -> List[int]:
        """Number of images in each image set of a distilled set; empty for other training sets."""
        return [len(read_manifest(root)['images']) for root in self.values] if self.kind == 'data_root' else []

    def selected_later(self) -> bool:
        """Whether the selection needs masks or features of the whole real set that are not in the work dir yet."""
        if self.members:
            return any(member.selected_later() for member in self.members)
        component: Any = resolve(self.values[0], SELECTORS, 'selector') if self.kind == 'selector' else None
        needs = getattr(component, 'needs', '')
        return needs in MEASURED and not (self.real.cache / MEASURED[needs]).exists()

    def planned_images(self) -> Optional[int]:
        """Number of images of a set that is :meth:`selected_later`; None if it depends on the selection."""
        if self.kind != 'selector':
            return None
        selector, total = self.values[0], len(self.real.dataset)
        with self._named():
            budget = resolve_budget(selector.get('budget', self.budget), total, 'image')
        return None if selects_per_class(selector) else budget

    @property
    def _draws(self) -> bool:
        return self.kind == 'selector' and _draws(self.values[0])

    def _named(self) -> ContextManager[None]:
        return named(f'training_sets.{self.name}.selector')

    def dataset(self, image_set: int) -> Dict[str, Any]:
        """The dataset config of one image set, without a pipeline. Indices beyond the last image set wrap around.

        Raises:
            DistillError: The set's images were not made from single images of the real training set (``source_of``).
        """
        if self.members:
            return dict(type='mmdistill.UnionDataset', datasets=[
                scoped(member.dataset(image_set), self.real.task.scope) for member in self.members])
        if self.kind == 'selector':
            number = image_set if self._draws else 0
            if number not in self._selected:  # cached, since herding a large set is slow
                with self._named():
                    self._selected[number] = self.real.select(self.values[0], self.budget, number)
            return self.real.subset(self._selected[number])
        value = self.values[image_set % len(self.values)]
        if self.kind == 'source_of':
            return self.real.subset(self._sources(value))
        if self.kind == 'dataset':
            return without_pipeline(value)  # the protocol's pipeline is used
        weights = dict(weights=True) if self._weights else {}
        return dict(type='mmdistill.DistilledDataset', data_root=str(value), **weights)

    def _sources(self, root: str) -> List[int]:
        """Indices of the real images from which a distilled set was made, without duplicates."""
        paths, indices = paths_of(self.real.dataset), []
        for image in read_manifest(root)['images']:
            index, source = image['source_index'], image.get('source')
            if index is None:
                raise DistillError(f'training set {self.name!r}: the images of {root} were not made from single real '
                                   'ones: leave this set out')
            path = paths[index] if index < len(paths) else None
            if path is None or source and not same_image(source, path, self.real.data_root(index)):
                raise DistillError(f'training set {self.name!r}: {root} was made from {source or "an image"} as image '
                                   f'{index} of its real dataset, train_dataset has {path or f"{len(paths)} images"} '
                                   'there: give the train_dataset that the set was distilled from')
            indices.append(index)
        return list(dict.fromkeys(indices))  # several images may share a source

    def check(self, dataset: Any, test: Any) -> None:
        """Check the classes, the overlap with the test set, and what the task requires of a training set.

        Raises:
            DistillError: A check fails (:mod:`.guards`).
        """
        check_classes(self.name, dataset.metainfo['classes'], test.metainfo['classes'])
        self.real.task.check_training_set(self.name, dataset)
        check_overlap(self.name, paths_of(dataset), paths_of(test))


def same_image(recorded: str, path: str, data_root: Optional[str]) -> bool:
    """Whether a path or URI recorded in a manifest refers to the image at ``path``.

    The paths must be equal, or equal below ``data_root``, so that a dataset may have been moved.
    """
    old, new = PurePosixPath(recorded), PurePosixPath(path)
    if old == new or not data_root or not new.is_relative_to(data_root):
        return old == new
    below = new.relative_to(data_root).parts
    return old.parts[-len(below):] == below
