"""K-means of latents in each class, streamed: D4M's prototypes and DMGD's support points."""
import json
from dataclasses import dataclass, field, replace
from typing import Any, Dict, Iterable, List, Optional, Sequence, Tuple

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from sklearn.base import BaseEstimator
from sklearn.cluster import MiniBatchKMeans

from ..errors import DistillError
from ..files import write_atomic

_FORMAT = 1


@dataclass(frozen=True)
class ClassClusters:
    """The centres of each class.

    Attributes:
        centers: Class id → float32 (n, ...), the shape of a latent behind n; n <= ``n_clusters``.
        counts: Class id → int64 (n,), images assigned to each centre; their sum is the images of the class.
        inertia: Class id → sum of the squared distances of its images to their centres.
        n_clusters: Centres that were asked for.
        exact: Whether ``counts`` and ``inertia`` are of a whole pass against these centres (:meth:`recount`). If not,
            each image was counted when it streamed by, and later images moved the centres.
        metadata: JSON values of the caller's, such as fingerprints of the data and the weights; saved along.
    """
    centers: Dict[int, np.ndarray]
    counts: Dict[int, np.ndarray]
    inertia: Dict[int, float]
    n_clusters: int
    exact: bool = False
    metadata: Dict[str, Any] = field(default_factory=dict)

    @property
    def short(self) -> Dict[int, int]:
        """Class id → images, of the classes with fewer images than ``n_clusters``: each image is a centre there."""
        return {label: len(rows) for label, rows in self.centers.items() if len(rows) < self.n_clusters}

    @property
    def masses(self) -> Dict[int, np.ndarray]:
        """Class id → float64 (n,), the share of the class's images at each centre; sums to 1."""
        return {label: counts / counts.sum() for label, counts in self.counts.items()}

    def assign(self, latents: np.ndarray, labels: Sequence[int]) -> Tuple[np.ndarray, np.ndarray]:
        """The nearest centre of its own class for each latent; of equally near ones the first.

        Args:
            latents: (B, ...) as they were clustered.
            labels: (B,) class ids.

        Returns:
            int64 (B,) index into the class's centres, and float64 (B,) squared distance.

        Raises:
            DistillError: A class has no centres, or bad latents or labels.
        """
        latents, labels = _check(latents, labels)
        index, squared = np.zeros(len(labels), np.int64), np.zeros(len(labels))
        for label in np.unique(labels).tolist():
            if label not in self.centers:
                raise DistillError(f'class {label} has no centres: cluster a data set that has its images')
            centers, rows = self.centers[label], np.flatnonzero(labels == label)
            if latents.shape[1:] != centers.shape[1:]:
                raise DistillError(f'latents of shape {latents.shape[1:]} do not fit centres of shape '
                                   f'{centers.shape[1:]}: encode both by the same autoencoder at the same size')
            centers = centers.reshape(len(centers), -1).astype(np.float64)
            flat = latents[rows].reshape(len(rows), -1).astype(np.float64)
            # One centre after the other: differences first, so that near points lose no digits, and little memory.
            distances = np.stack([np.square(flat - center).sum(1) for center in centers], 1)
            index[rows], squared[rows] = distances.argmin(1), distances.min(1)
        return index, squared

    def recount(self, batches: Iterable[Tuple[np.ndarray, Sequence[int]]]) -> 'ClassClusters':
        """The same centres with the exact counts and inertia of a pass.

        Args:
            batches: (latents, labels) of all images once more, in batches of any size.
        """
        counts = {label: np.zeros(len(rows), np.int64) for label, rows in self.centers.items()}
        inertia = dict.fromkeys(self.centers, 0.0)
        for latents, labels in batches:
            index, squared = self.assign(latents, labels)
            for label, i, distance in zip(np.asarray(labels).tolist(), index, squared):
                counts[label][i] += 1
                inertia[label] += float(distance)
        empty = [label for label, values in counts.items() if not values.any()]
        if empty:
            raise DistillError(f'the pass over the data set has no image of class {empty[0]}: give the one that was '
                               'clustered')
        return replace(self, counts=counts, inertia=inertia, exact=True)

    def save(self, path) -> None:
        """Write a safetensors file, atomically: ``centers/<class id>``, ``counts/<class id>``, metadata."""
        tensors = {f'centers/{label}': np.ascontiguousarray(rows) for label, rows in self.centers.items()}
        tensors.update({f'counts/{label}': rows for label, rows in self.counts.items()})
        header = dict(format=_FORMAT, n_clusters=self.n_clusters, exact=self.exact, metadata=self.metadata,
                      inertia={str(label): value for label, value in self.inertia.items()})
        write_atomic(path, save(tensors, dict(clusters=json.dumps(header))))

    @classmethod
    def load(cls, path) -> 'ClassClusters':
        """Read them back, classes ascending.

        Raises:
            DistillError: The file is missing, truncated, or holds something else.
        """
        try:
            with safe_open(path, 'np') as file:
                header = json.loads((file.metadata() or {})['clusters'])
                if header['format'] != _FORMAT:
                    raise ValueError('of another version')
                labels = sorted(int(label) for label in header['inertia'])
                return cls(
                    centers={label: file.get_tensor(f'centers/{label}') for label in labels},
                    counts={label: file.get_tensor(f'counts/{label}') for label in labels},
                    inertia={label: header['inertia'][str(label)] for label in labels},
                    n_clusters=header['n_clusters'], exact=header['exact'], metadata=header['metadata'])
        except FileNotFoundError:
            raise DistillError(f'no clusters at {path}: make them first') from None
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise DistillError(f'{path} is no readable file of clusters ({error}): delete it and make them '
                               'again') from None


class LatentClusters(BaseEstimator):
    r"""Streaming k-means in each class: scikit-learn's ``MiniBatchKMeans.partial_fit``, no image left out.

    The stream may mix classes and comes in batches of any size; the result depends on the order of the images alone.
    Latents wait until ``batch_size`` of their class are there; :meth:`finish` hands over the rest (D4M's released code
    drops it for all classes but the last). Memory is bounded by ``buffer_size`` latents, twice the centres, and the
    caller's batch.

    A class with fewer images than clusters gets its images as centres; see :attr:`ClassClusters.short`.

    Args:
        n_clusters: Centres of each class, images per class (D4M) or support points (DMGD).
        batch_size: Latents of a class in a step of k-means, at least ``n_clusters``. None is 256 or 4 ``n_clusters``,
            the larger.
        random_state: Seed, 0 or more. Each class draws from (seed, class id), whatever other classes there are.
        buffer_size: When so many latents of all classes wait, they are handed over in smaller steps. The first step
            places the centres: for a stream that mixes many classes, give room for several times ``n_clusters`` of
            each. The default is 1 GiB of Stable Diffusion's latents at 512 pixels.

    Attributes:
        counts_: Class id → images so far.
    """

    def __init__(self, n_clusters: int, batch_size: Optional[int] = None, random_state: int = 0,
                 buffer_size: int = 16384):
        self.n_clusters = n_clusters
        self.batch_size = batch_size
        self.random_state = random_state
        self.buffer_size = buffer_size

    def partial_fit(self, latents: np.ndarray, labels: Sequence[int]) -> 'LatentClusters':
        """Take a batch.

        Args:
            latents: (B, ...), finite; clustered in float32.
            labels: (B,) class ids, 0 or more.

        Raises:
            DistillError: Bad arguments, latents of another shape than before, or a value that is not finite.
        """
        if not hasattr(self, 'counts_'):
            self._start()
        latents, labels = _check(latents, labels)
        if self._shape is None:
            self._shape = latents.shape[1:]
        if latents.shape[1:] != self._shape:
            raise DistillError(f'latents of shape {latents.shape[1:]} after those of shape {self._shape}: images have '
                               'to have one size')
        for label, latent in zip(labels.tolist(), latents):
            waiting = self._waiting.setdefault(label, [])
            waiting.append(latent.flatten())  # a copy: a view would keep the whole batch
            self.counts_[label] = self.counts_.get(label, 0) + 1
            self._held += 1
            if len(waiting) == self._step_size:
                self._step(label)
            elif self._held >= self._limit:
                for other in list(self._waiting):
                    if other in self._models or len(self._waiting[other]) >= self.n_clusters:
                        self._step(other)
                self._limit = self._held + self.buffer_size
        return self

    def finish(self, classes: Optional[Sequence[int]] = None) -> ClassClusters:
        """Hand over what waits, and give the centres, classes ascending. It may be called once.

        Args:
            classes: Class ids that have to be there; None asks for none.

        Raises:
            DistillError: There was no image at all, or none of a class asked for.
        """
        found = getattr(self, 'counts_', {})
        absent = [label for label in classes or () if label not in found]
        if absent or not found:
            raise DistillError(f'class {absent[0]} has no image: leave it out or add images' if absent else
                               'no image was clustered: the data set is empty')
        centers, counts, inertia = {}, {}, {}
        for label in sorted(found):
            if label not in self._models and len(self._waiting[label]) < self.n_clusters:
                rows = np.stack(self._waiting.pop(label))
                counts[label], inertia[label] = np.ones(len(rows), np.int64), 0.0
            else:
                if self._waiting.get(label):
                    self._step(label)
                rows, counts[label], inertia[label] = (self._models.pop(label).cluster_centers_, self._counts[label],
                                                       self._inertia[label])
            centers[label] = rows.reshape(len(rows), *self._shape).astype(np.float32, copy=False)
        self._waiting = {}
        return ClassClusters(centers, counts, inertia, self.n_clusters)

    def _start(self) -> None:
        if not self.n_clusters >= 1:
            raise DistillError(f'n_clusters {self.n_clusters} is out of range: it has to be at least 1')
        self._step_size = max(256, 4 * self.n_clusters) if self.batch_size is None else self.batch_size
        if self._step_size < self.n_clusters:
            raise DistillError(f'batch_size {self.batch_size} is too small: the first step of k-means needs as many '
                               f'latents as clusters, {self.n_clusters}')
        if not self.buffer_size >= 1:
            raise DistillError(f'buffer_size {self.buffer_size} is out of range: it has to be at least 1')
        self.counts_: Dict[int, int] = {}
        self._models: Dict[int, MiniBatchKMeans] = {}
        self._waiting: Dict[int, List[np.ndarray]] = {}
        self._counts: Dict[int, np.ndarray] = {}
        self._inertia: Dict[int, float] = {}
        self._shape: Optional[Tuple[int, ...]] = None
        self._held, self._limit = 0, self.buffer_size

    def _step(self, label: int) -> None:
        rows = np.stack(self._waiting.pop(label))
        self._held -= len(rows)
        if label not in self._models:
            seed = int(np.random.SeedSequence((self.random_state, label)).generate_state(1)[0])
            self._models[label] = MiniBatchKMeans(self.n_clusters, n_init=1, random_state=seed)
            self._counts[label], self._inertia[label] = np.zeros(self.n_clusters, np.int64), 0.0
        model = self._models[label].partial_fit(rows)
        self._counts[label] += np.bincount(model.labels_, minlength=self.n_clusters)
        self._inertia[label] += float(model.inertia_)


def _check(latents: np.ndarray, labels: Sequence[int]) -> Tuple[np.ndarray, np.ndarray]:
    """float32 (B, ...) and int64 (B,)."""
    latents, labels = np.asarray(latents, np.float32), np.asarray(labels)
    if latents.ndim < 2 or labels.shape != latents.shape[:1]:
        raise DistillError(f'latents have to be of shape (B, ...) with one label each, not {latents.shape} with '
                           f'labels {labels.shape}')
    if labels.size and (labels.dtype.kind not in 'iu' or labels.min() < 0):
        raise DistillError('labels have to be class ids, whole numbers of 0 or more')
    finite = np.isfinite(latents.reshape(len(latents), -1)).all(1) if len(latents) else np.ones(0, bool)
    if not finite.all():
        row = int(np.argmin(finite))
        raise DistillError(f'the latent of an image of class {labels[row]} (number {row} of its batch) is not finite: '
                           'encode in float32 or bfloat16, or remove the image')
    return latents, labels.astype(np.int64)
