"""K-means of each class's latents, streamed: D4M's prototypes and DMGD's support points."""
from dataclasses import dataclass, field
from typing import Any, Dict, List

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.cluster import MiniBatchKMeans

from ..cache import read_arrays, write_arrays
from ..errors import DistillError
from ..settings import NonNegativeInt, PositiveInt
from .base import check_params

_FORMAT = 2
_MAX_STEP = 16384  # latents that wait for a step: 1 GiB of Stable Diffusion's at 512 pixels


@dataclass(frozen=True)
class ClassClusters:
    """The centres of each class.

    Attributes:
        centers: Class id → float32 (n, ...), the shape of a latent behind n.
        counts: Class id → int64 (n,), images assigned to each centre; their sum is the images of the class.
        inertia: Class id → sum of the squared distances of its images to their centres.
        metadata: JSON values of the caller's, such as fingerprints of the data and the weights; saved along.
    """
    centers: Dict[int, np.ndarray]
    counts: Dict[int, np.ndarray]
    inertia: Dict[int, float]
    metadata: Dict[str, Any] = field(default_factory=dict)

    @property
    def masses(self) -> Dict[int, np.ndarray]:
        """Class id → float64 (n,), the share of the class's images at each centre; sums to 1."""
        return {label: counts / counts.sum() for label, counts in self.counts.items()}

    def save(self, path) -> None:
        """Write a safetensors file, atomically: ``centers/<class id>``, ``counts/<class id>``, metadata."""
        tensors = {f'centers/{label}': rows for label, rows in self.centers.items()}
        tensors.update({f'counts/{label}': rows for label, rows in self.counts.items()})
        inertia = {str(label): value for label, value in self.inertia.items()}
        write_arrays(path, tensors, dict(format=_FORMAT, metadata=self.metadata, inertia=inertia))

    @classmethod
    def load(cls, path) -> 'ClassClusters':
        """Read them back, classes ascending; a DistillError where the file is missing, or is no such file."""
        try:
            tensors, header = read_arrays(path)
            if header['format'] != _FORMAT:
                raise ValueError('of another version')
            labels = sorted(int(label) for label in header['inertia'])
            return cls(
                centers={label: tensors[f'centers/{label}'] for label in labels},
                counts={label: tensors[f'counts/{label}'] for label in labels},
                inertia={label: header['inertia'][str(label)] for label in labels}, metadata=header['metadata'])
        except FileNotFoundError:
            raise DistillError(f'no clusters at {path}: make them first') from None
        except (KeyError, TypeError, ValueError) as error:
            raise DistillError(f'{path} is no readable file of clusters ({error}): delete it and make them '
                               'again') from None


@dataclass(eq=False, repr=False)
class LatentClusters(BaseEstimator):
    """Streaming k-means of one class: scikit-learn's ``MiniBatchKMeans.partial_fit``, no image left out.

    A step of k-means takes 256 latents or 4 ``n_clusters``, the larger; the result depends on the order of the latents
    and not on their batches. :meth:`finish` takes what is left for a last step (D4M's released code drops it for all
    classes but the last). A class with fewer images than clusters gets its images as centres.

    Args:
        n_clusters: Centres: images per class (D4M) or support points (DMGD).
        label: Class id. Each class draws from (``random_state``, ``label``), whatever other classes there are.

    Attributes:
        centers_: float32 (n, ...), n <= ``n_clusters``.
        counts_: int64 (n,), images at each centre. Each was counted when it came; later images moved the centres.
        inertia_: Sum of the squared distances of the images to their centres at that time.
    """
    n_clusters: PositiveInt
    label: NonNegativeInt = 0
    random_state: NonNegativeInt = 0

    def partial_fit(self, latents: np.ndarray, y=None) -> 'LatentClusters':
        """Take a batch (B, ...), clustered in float32; a DistillError for a bad parameter or non-finite latents."""
        if not hasattr(self, '_waiting'):
            check_params(self)
            seed = int(np.random.SeedSequence((self.random_state, self.label)).generate_state(1)[0])
            self._model = MiniBatchKMeans(self.n_clusters, n_init=1, random_state=seed)
            self._waiting: List[np.ndarray] = []
            self.counts_, self.inertia_ = np.zeros(self.n_clusters, np.int64), 0.0
        step = max(256, min(4 * self.n_clusters, max(self.n_clusters, _MAX_STEP)))
        for row, latent in enumerate(np.asarray(latents, np.float32)):
            if not np.isfinite(latent).all():
                raise DistillError(f'the latent of an image of class {self.label} (number {row} of its batch) is not '
                                   'finite: encode in float32 or bfloat16, or remove the image')
            self._waiting.append(latent.copy())  # a view would keep the whole batch
            if len(self._waiting) == step:
                self._step()
        return self

    def finish(self) -> 'LatentClusters':
        """Take the latents that wait, and set the attributes; a DistillError where there was no latent."""
        waiting, started = getattr(self, '_waiting', []), hasattr(self, '_shape')
        if not waiting and not started:
            raise DistillError(f'class {self.label} has no image: leave it out or add images')
        if not started and len(waiting) < self.n_clusters:
            self.centers_, self.counts_ = np.stack(waiting), np.ones(len(waiting), np.int64)
            return self
        if waiting:
            self._step()
        self.centers_ = self._model.cluster_centers_.reshape(-1, *self._shape).astype(np.float32, copy=False)
        return self

    def _step(self) -> None:
        rows = np.stack(self._waiting)
        self._shape, self._waiting = rows.shape[1:], []
        self._model.partial_fit(rows.reshape(len(rows), -1))
        self.counts_ += np.bincount(self._model.labels_, minlength=self.n_clusters)
        self.inertia_ += float(self._model.inertia_)
