"""K-means of each class's latents (D4M's prototypes, DMGD's support points), and the real latents nearest to them."""
import warnings
from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Tuple

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from ..cache import read_arrays, write_arrays
from ..errors import DistillError
from ..settings import NonNegativeInt, PositiveInt
from .base import check_params

#: Version of the algorithm; part of the fingerprint of cached clusters. Raise it when the resulting centres change.
CLUSTERS_VERSION = 2
_FORMAT = 2
_MAX_BYTES = 1 << 30  # limit of latents per class for full k-means: 16 384 of Stable Diffusion's at 512 pixels
_MIN_STEP, _MAX_STEP = 256, 16384  # latents per mini-batch step of a larger class
_STARTS = 3  # k-means starts; in benchmarks/clusters.py, one start gives 1 % more inertia, ten give 0.8 % less


@dataclass(frozen=True)
class ClassClusters:
    """The cluster centres of each class.

    Attributes:
        centers: Class id → float32 (n, ...), n centres in the shape of a latent.
        counts: Class id → int64 (n,), images assigned to each centre; the sum is the number of images of the class.
        inertia: Class id → sum of the squared distances of its images to their centres.
        metadata: JSON values from the caller, such as fingerprints of the data and the weights; saved with the rest.

    Example:
        >>> clusters = ClassClusters({0: np.zeros((2, 4, 8, 8))}, counts={0: np.array([3, 1])}, inertia={0: 5.0})
        >>> clusters.masses[0]
        array([0.75, 0.25])
    """
    centers: Dict[int, np.ndarray]
    counts: Dict[int, np.ndarray]
    inertia: Dict[int, float]
    metadata: Dict[str, Any] = field(default_factory=dict)

    @property
    def masses(self) -> Dict[int, np.ndarray]:
        """Class id → float64 (n,), share of the class's images assigned to each centre; sums to 1."""
        return {label: counts / counts.sum() for label, counts in self.counts.items()}

    def save(self, path) -> None:
        """Write a safetensors file, atomically: ``centers/<class id>``, ``counts/<class id>``, metadata."""
        tensors = {f'centers/{label}': rows for label, rows in self.centers.items()}
        tensors.update({f'counts/{label}': rows for label, rows in self.counts.items()})
        inertia = {str(label): value for label, value in self.inertia.items()}
        write_arrays(path, tensors, dict(format=_FORMAT, metadata=self.metadata, inertia=inertia))

    @classmethod
    def load(cls, path) -> 'ClassClusters':
        """Read a file of :meth:`save`, classes in ascending order.

        Raises:
            DistillError: The file is missing or unreadable.
        """
        try:
            tensors, header = read_arrays(path)
            if header['format'] != _FORMAT:
                raise ValueError('written by another version')
            labels = sorted(int(label) for label in header['inertia'])
            return cls(
                centers={label: tensors[f'centers/{label}'] for label in labels},
                counts={label: tensors[f'counts/{label}'] for label in labels},
                inertia={label: header['inertia'][str(label)] for label in labels}, metadata=header['metadata'])
        except FileNotFoundError:
            raise DistillError(f'no clusters at {path}: make them first') from None
        except (KeyError, TypeError, ValueError) as error:
            raise DistillError(f'{path} is not a readable file of clusters ({error}): delete it and make them '
                               'again') from None


@dataclass(eq=False, repr=False)
class LatentClusters(BaseEstimator):
    """K-means of one class: minimises Σ_i min_k ‖z_i − c_k‖² over the centres c_k.

    If the latents of the class take at most 1 GiB in float32, all are clustered with scikit-learn's ``KMeans``: Lloyd's
    iterations until no image changes its cluster, the best of three starts by k-means++. Each centre is then the mean
    of its images, computed in float64. Larger classes are streamed through ``MiniBatchKMeans.partial_fit``, as in D4M's
    released code. A step takes max(256, 4 ``n_clusters``) latents, and :meth:`finish` uses the remaining ones for a
    last step (the released code drops them for all classes but the last).

    The result depends on the order of the latents, but not on the batch size or the number of threads, since one thread
    computes it. If a class has at most ``n_clusters`` images, these are the centres.

    Args:
        n_clusters: Number of centres: images per class (D4M) or support points (DMGD).
        label: Class id. The random numbers of a class only depend on ``random_state`` and ``label``.
        random_state: Seed.

    Attributes:
        centers_: float32 (n, ...), n <= ``n_clusters``.
        counts_: int64 (n,), images assigned to each centre; 0 only if a class has fewer different images than centres.
            In a streamed class, each image is counted when it arrives, and later images move the centres.
        inertia_: Sum of the squared distances of the images to their centres (in a streamed class: at arrival).
        latents_: float32 (N, ...), all latents of the class in order; None for a streamed class.

    Example:
        >>> latents = np.array([[0.0, 0.0], [0.0, 2.0], [9.0, 0.0], [9.0, 2.0], [9.0, 1.0]])
        >>> clusters = LatentClusters(n_clusters=2).partial_fit(latents[:3]).partial_fit(latents[3:]).finish()
        >>> sorted(zip(clusters.centers_.tolist(), clusters.counts_.tolist()))
        [([0.0, 1.0], 2), ([9.0, 1.0], 3)]
    """
    n_clusters: PositiveInt
    label: NonNegativeInt = 0
    random_state: NonNegativeInt = 0

    def partial_fit(self, latents: np.ndarray, y=None) -> 'LatentClusters':
        """Add a batch of latents (B, ...), which are converted to float32.

        Raises:
            DistillError: A parameter is invalid, or a latent is not finite.
        """
        if not hasattr(self, '_waiting'):
            check_params(self)
            self._waiting: List[np.ndarray] = []
            self._stream: Optional[MiniBatchKMeans] = None
            self._bytes = 0
        step = max(_MIN_STEP, min(4 * self.n_clusters, max(self.n_clusters, _MAX_STEP)))
        for row, latent in enumerate(np.asarray(latents, np.float32)):
            if not np.isfinite(latent).all():
                raise DistillError(f'the latent of an image of class {self.label} (number {row} of its batch) is not '
                                   'finite: encode in float32 or bfloat16, or remove the image')
            self._waiting.append(latent.copy())  # a view would keep the whole batch in memory
            self._bytes += latent.nbytes
            while self._bytes > _MAX_BYTES and len(self._waiting) >= step:
                self._step(step)
        return self

    def finish(self) -> 'LatentClusters':
        """Cluster the remaining latents and set the attributes.

        Raises:
            DistillError: The class has no latents.
        """
        if not getattr(self, '_bytes', 0):
            raise DistillError(f'class {self.label} has no image: leave it out or add images')
        self.latents_: Optional[np.ndarray] = None
        if self._stream is None:
            self.latents_ = np.stack(self._waiting)
            self._waiting = []
            self._fit(self.latents_)
            return self
        if self._waiting:
            self._step(len(self._waiting))
        self.centers_ = self._stream.cluster_centers_.reshape(-1, *self._shape).astype(np.float32, copy=False)
        return self

    def _fit(self, latents: np.ndarray) -> None:
        if len(latents) <= self.n_clusters:
            self.centers_, self.inertia_ = latents, 0.0
            self.counts_: np.ndarray = np.ones(len(latents), np.int64)
            return
        rows = latents.reshape(len(latents), -1)
        with threadpool_limits(1), warnings.catch_warnings():
            warnings.simplefilter('ignore', ConvergenceWarning)  # for duplicate images, which counts_ shows
            model = KMeans(self.n_clusters, n_init=_STARTS, tol=0, random_state=self._seed()).fit(rows)
        centers, labels = model.cluster_centers_.astype(np.float64), model.labels_
        self.counts_ = np.bincount(labels, minlength=self.n_clusters)
        for center in np.flatnonzero(self.counts_):
            centers[center] = rows[labels == center].mean(0, dtype=np.float64)
        self.inertia_ = float(sum(np.square(row - centers[label]).sum() for row, label in zip(rows, labels)))
        self.centers_ = centers.astype(np.float32).reshape(-1, *latents.shape[1:])

    def _step(self, size: int) -> None:
        rows = np.stack(self._waiting[:size])
        del self._waiting[:size]
        if self._stream is None:
            self._stream = MiniBatchKMeans(self.n_clusters, n_init=1, random_state=self._seed())
            self._shape, self.counts_, self.inertia_ = rows.shape[1:], np.zeros(self.n_clusters, np.int64), 0.0
        with threadpool_limits(1):
            self._stream.partial_fit(rows.reshape(size, -1))
        self.counts_ += np.bincount(self._stream.labels_, minlength=self.n_clusters)
        self.inertia_ += float(self._stream.inertia_)

    def _seed(self) -> int:
        return int(np.random.SeedSequence((self.random_state, self.label)).generate_state(1)[0])


class NearestLatents:
    """The real latent nearest to each cluster centre, among the latents of the cluster.

    An empty cluster gets the nearest of all latents. Ties are broken by the first latent. CoDA (ICLR 2026) also
    represents clusters by real latents, but clusters with UMAP and HDBSCAN instead of k-means.

    Args:
        centers: float32 (n, ...).

    Attributes:
        latents_: float32 (n, ...), the nearest latents so far.
    """

    def __init__(self, centers: np.ndarray) -> None:
        self.centers, self.latents_ = centers, centers.copy()
        # (in another cluster, squared distance) of each latent; smaller is better.
        self._ranks: List[Tuple[bool, float]] = [(True, np.inf)] * len(centers)

    def partial_fit(self, latents: np.ndarray, y=None) -> 'NearestLatents':
        """Add a batch (B, ...) of the clustered latents."""
        rows = np.asarray(latents, np.float32).reshape(len(latents), -1)
        # No matrix product: its rounding depends on the batch, so equal images could have different distances.
        distances = np.stack([np.square(rows - center).sum(1, dtype=np.float64)
                              for center in self.centers.reshape(len(self.centers), -1)], 1)
        foreign = distances.argmin(1)[:, None] != np.arange(len(self.centers))
        for center, (is_foreign, distance) in enumerate(zip(foreign.T, distances.T)):
            row = np.lexsort((distance, is_foreign))[0]
            if (rank := (bool(is_foreign[row]), float(distance[row]))) < self._ranks[center]:
                self._ranks[center], self.latents_[center] = rank, latents[row]
        return self
