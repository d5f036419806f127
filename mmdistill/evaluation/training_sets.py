"""The training sets of a comparison: distilled ones, and baselines of real images made by selectors."""
import importlib
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Union

import numpy as np

from mmdistill.components import resolve
from mmdistill.datasets.manifest import read_manifest
from mmdistill.datasets.wrapped_configs import bare, part_config, scoped, without_pipeline
from mmdistill.datasets.wrappers import Part, parts_of, real_dataset, real_parts, real_rows
from mmdistill.engine.wrapped_data import readable_parts
from mmdistill.errors import DistillError
from mmdistill.registry import DATASETS, ENCODERS, SELECTORS
from mmdistill.tasks.base import Task
from .encoders import encode_dataset
from .guards import check_classes, check_overlap, paths_of

KINDS = ('data_root', 'dataset', 'selector', 'source_of', 'union')


class RealData:
    """The real training set, by the config ``dataset``: what baselines are selected from and guards compare with.

    ``cache`` is the folder for what is computed once, class histograms and features; those are of the ``encoder``, by
    its config (:mod:`mmdistill.evaluation.encoders`).
    """

    def __init__(self, dataset: dict, task: Task, cache: Union[str, Path], encoder: Optional[dict] = None) -> None:
        self.cfg = dataset
        self.task, self.cache = task, Path(cache)
        self.encoder: Any = ENCODERS.build(encoder) if encoder else None

    @cached_property
    def _built(self) -> Any:
        return build_wrapped(self.cfg, self.task.scope, 'train_dataset')

    @cached_property
    def dataset(self) -> Any:
        """Built without a pipeline; each real sample once (:func:`~mmdistill.datasets.wrappers.real_dataset`)."""
        return real_dataset(self._built)

    @cached_property
    def labels(self) -> Optional[np.ndarray]:
        """int64 (N,) class ids; None where an image has not exactly one."""
        return self.task.labels(self.dataset)

    @cached_property
    def histograms(self) -> np.ndarray:
        """int64 (N, K): how much of each class an image shows."""
        return self.task.class_counts(self.dataset, self.cache / 'class_histograms.npz')

    @cached_property
    def features(self) -> np.ndarray:
        """float32 (N, D) by the encoder."""
        return encode_dataset(self.encoder, self.dataset, cache=self.cache / 'real_features')

    def select(self, selector: dict, budget: Union[int, float, None], random_state: int) -> List[int]:
        """Indices of the images that the selector of a config chooses.

        ``budget`` and, if it draws, ``random_state`` are used where the config has none. A ``budget`` that is a count
        is shared out evenly if the selector takes one per class.
        """
        defaults = dict(random_state=random_state) if _draws(selector) else {}
        fitted = SELECTORS.build({'budget': budget, **defaults, **selector})
        if getattr(fitted, 'per_class', False) and 'budget' not in selector and isinstance(budget, int):
            fitted.budget = budget // len(self.dataset.metainfo['classes'])
        fitted.fit(*READS[fitted.needs](self))
        return [int(index) for index in fitted.selected_]

    def subset(self, indices: Sequence[int]) -> Dict[str, Any]:
        """Config of some of the images, each once whatever wraps them; without a pipeline."""
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
        """That of the dataset that reads an image."""
        return getattr(real_parts(self.dataset)[real_rows(self.dataset)[index][0]], 'data_root', None)


def _restricted(cfg: Mapping[str, Any], part: Part, indices: Sequence[int]) -> Dict[str, Any]:
    """The config of a dataset with some of its images only; its own ``indices`` may have made it of a larger one."""
    outer = cfg.get('indices')
    if isinstance(outer, int):  # the first or the last images
        whole = len(part.dataset) if isinstance(part.indices, range) else -outer
        outer = range(outer) if outer >= 0 else range(-whole, 0)
    inner = [int(part.indices[index]) for index in indices]
    return dict(without_pipeline(cfg), indices=inner if outer is None else [int(outer[index]) for index in inner])


# What selectors declare in ``needs``, and the arguments of their ``fit``.
READS: Dict[str, Callable[[RealData], tuple]] = dict(
    histograms=lambda real: (real.histograms, ),
    features=lambda real: (real.features, real.labels),
    samples=lambda real: (real.dataset, real.labels))


def _draws(selector: dict) -> bool:
    return getattr(resolve(selector, SELECTORS, 'selector'), 'stochastic', False)


class TrainingSet:
    """One training set of a comparison.

    Args:
        name: Its name.
        spec: Its config, one of ``data_root`` (a distilled set), ``dataset`` (any dataset's config), each a value or a
            list with one for each image set, with ``data_root`` also ``weights`` (whether the images weigh what their
            manifest says); ``selector`` (real images that it chooses); ``source_of`` (the real
            images that another set's were made from); ``union`` (the names of other sets, all of whose images it has).
        real: The real training set.
        budget: Of selectors that name none: images, or their share.
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
        """Whether its images have weights, which a student's loss has to know."""
        return self._weights or any(member.weighted for member in self.members)

    def num_image_sets(self, wanted: int) -> int:
        """How many image sets there are: ``wanted`` of a selector that draws, else those that the config names.

        A union has as many as the member that has most.
        """
        if self.members:
            return max(member.num_image_sets(wanted) for member in self.members)
        return wanted if self._draws else len(self.values)

    @property
    def _draws(self) -> bool:
        return self.kind == 'selector' and _draws(self.values[0])

    def dataset(self, image_set: int) -> Dict[str, Any]:
        """The config of one image set's dataset, without a pipeline; a DistillError where its source is not at hand.

        One that has fewer image sets gives them in turn.
        """
        if self.members:
            return dict(type='mmdistill.UnionDataset', datasets=[
                scoped(member.dataset(image_set), self.real.task.scope) for member in self.members])
        if self.kind == 'selector':
            number = image_set if self._draws else 0
            if number not in self._selected:  # herding a large set takes long, and several ask
                self._selected[number] = self.real.select(self.values[0], self.budget, number)
            return self.real.subset(self._selected[number])
        value = self.values[image_set % len(self.values)]
        if self.kind == 'source_of':
            return self.real.subset(self._sources(value))
        if self.kind == 'dataset':
            return dict(value)
        weights = dict(weights=True) if self._weights else {}
        return dict(type='mmdistill.DistilledDataset', data_root=str(value), **weights)

    def _sources(self, root: str) -> List[int]:
        """Indices in the real dataset of the images that those of a distilled set were made from, each once."""
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
        return list(dict.fromkeys(indices))  # several images may be of one mask

    def check(self, dataset: Any, test: Any) -> None:
        """The guards: classes by name and order, overlap with the test set, what the task checks."""
        check_classes(self.name, dataset.metainfo['classes'], test.metainfo['classes'])
        self.real.task.check_training_set(self.name, dataset)
        check_overlap(self.name, paths_of(dataset), paths_of(test))


def same_image(recorded: str, path: str, data_root: Optional[str]) -> bool:
    """Whether the path or URI in a manifest is that of an image: equal, or equal below the ``data_root`` of the image's
    dataset, which may have moved."""
    old, new = PurePosixPath(recorded), PurePosixPath(path)
    if old == new or not data_root or not new.is_relative_to(data_root):
        return old == new
    below = new.relative_to(data_root).parts
    return old.parts[-len(below):] == below


def build_dataset(cfg: Mapping[str, Any], scope: str, where: str = 'dataset') -> Any:
    """The images of a dataset by its config at the key ``where``, with no pipeline; a DistillError if it is empty.

    Wrappers repeat none of them, but those that two wrapped datasets list are there twice."""
    return real_dataset(build_wrapped(cfg, scope, where), distinct=False)


def build_wrapped(cfg: Mapping[str, Any], scope: str, where: str) -> Any:
    """:func:`build_dataset` with the wrappers."""
    importlib.import_module(f'{scope}.datasets')
    cfg = bare(scoped(cfg, scope))
    with readable_parts(cfg, where):
        dataset = DATASETS.build(cfg)
        dataset.full_init()
        if not len(dataset):
            raise ValueError('it finds no image: check data_root and the prefixes')
    return dataset
