"""A dataset of replayed views with stored soft labels."""
import copy
import hashlib
import os
from pathlib import Path
from typing import Any, Dict, Optional, Union

import numpy as np
import torch

from mmdistill.datasets.distilled import has_weights
from mmdistill.datasets.wrapped_configs import inner_configs, part_configs
from mmdistill.errors import DistillError
from mmdistill.files import config_hash
from mmdistill.registry import DATASETS
from mmdistill.settings import NonNegativeInt, Positive, validated
from .store import LabelStore
from .views import draw_mix, seeded


@DATASETS.register_module()
class ReplayedViews(torch.utils.data.Dataset):
    """A classification dataset of mmpretrain with reproducible random views and stored labels of a teacher.

    Views are determined by (seed, image, epoch) (:mod:`mmdistill.labels.views`), so only the labels are stored. A mixed
    view loads two images. Image weights of a ``DistilledDataset(weights=True)`` are mixed in the same way and
    multiply the labels (:class:`mmdistill.models.losses.WeightedLoss`).

    ``mmdistill label`` with the training config creates the store. The training needs a ``ReplayedLabelsHook``.

    Args:
        dataset: Config of the dataset. Its pipeline must end with ``PackInputs`` and have no ``Normalize``.
        store: Folder of the labels.
        temperature: Temperature T > 0 of the labels, equal to that of the loss.
        seed: Seed of the views, >= 0.
        cutmix: α of CutMix, which is applied to every view; None: no mixing. mmpretrain's CutMix must be off.

    Examples:
        >>> train_dataloader = dict(dataset=dict(
        ...     _delete_=True, type='mmdistill.ReplayedViews', dataset=dict(_base_.train_dataset, pipeline=...),
        ...     store='work_dirs/labels', temperature=20))
        >>> data_preprocessor = dict(batch_augments=None)
        >>> custom_hooks = [dict(type='mmdistill.ReplayedLabelsHook')]
    """

    @validated
    def __init__(self, dataset: dict, store: Union[str, Path], temperature: Positive, seed: NonNegativeInt = 0,
                 cutmix: Optional[Positive] = 1.0) -> None:
        self.store, self.temperature, self.seed, self.cutmix = store, temperature, seed, cutmix
        pipelines = [part.get('pipeline') for _, part in part_configs(dataset)]
        self._pipeline = copy.deepcopy(pipelines if inner_configs(dataset) else dataset.get('pipeline'))
        self.dataset = DATASETS.build(dataset)
        self._weighted = has_weights(self.dataset)
        self._labels: Optional[LabelStore] = None
        self._epoch = torch.full((), -1, dtype=torch.int64).share_memory_()  # one value for all workers

    @property
    def metainfo(self) -> dict:
        """Metainfo of the dataset."""
        return self.dataset.metainfo

    def full_init(self) -> None:
        """List the images."""
        self.dataset.full_init()

    def get_data_info(self, index: int) -> dict:
        """The dataset's entry for an image."""
        return self.dataset.get_data_info(index)

    def __len__(self) -> int:
        return len(self.dataset)

    def view(self, image: int, epoch: int) -> Dict[str, Any]:
        """``inputs`` and ``data_samples`` of a view, without soft label.

        Raises:
            DistillError: The two images of CutMix have different sizes.
        """
        sample = self._single(image, epoch)
        if self.cutmix is not None:
            inputs = sample['inputs']
            partner, rows, columns = draw_mix(self.seed, image, epoch, len(self), inputs.shape[-2:], self.cutmix)
            other = self._single(partner, epoch)['inputs']
            if other.shape != inputs.shape:
                raise DistillError(f'views of {tuple(inputs.shape)} and {tuple(other.shape)} cannot be mixed: end the '
                                   'pipeline with a transform that gives one size')
            inputs[..., rows, columns] = other[..., rows, columns]
        return sample

    def _single(self, image: int, epoch: int) -> Dict[str, Any]:
        with seeded(self.seed, image, epoch):
            return self.dataset[image]

    def __getitem__(self, image: int) -> Dict[str, Any]:
        epoch = int(self._epoch)
        if epoch < 0 or self._labels is None:
            raise DistillError("ReplayedViews does not know the epoch: add custom_hooks=[dict(type="
                               "'mmdistill.ReplayedLabelsHook')] to the config")
        sample = self.view(image, epoch)
        scores, weight = self._labels.scores(image, epoch), self._weight(image, epoch, sample['inputs'].shape[-2:])
        sample['data_samples'].set_gt_score(torch.from_numpy(scores if weight is None else scores * np.float32(weight)))
        return sample

    def _weight(self, image: int, epoch: int, size: Any) -> Optional[float]:
        """The mixed weight of a view of ``size`` (H, W) pixels; None for a dataset without image weights."""
        if not self._weighted:
            return None
        weight = self.dataset.get_data_info(image)['weight']
        if self.cutmix is None:
            return weight
        partner, rows, columns = draw_mix(self.seed, image, epoch, len(self), size, self.cutmix)
        share = (rows.stop - rows.start) * (columns.stop - columns.start) / (size[0] * size[1])
        return (1 - share) * weight + share * self.dataset.get_data_info(partner)['weight']

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the views, also in worker processes that are already running."""
        self._epoch.fill_(epoch)

    def open(self, epochs: int) -> LabelStore:
        """Open the store for a training of ``epochs`` epochs; raises a DistillError if it does not fit or is too short.
        """
        labels = LabelStore(self.store)
        labels.check(**self.header())
        if labels.header['epochs'] < epochs:
            raise DistillError(f"the label store {self.store} has {labels.header['epochs']} epochs and the training "
                               f'takes {epochs}: run mmdistill label with this config, which adds the missing epochs')
        self._labels = labels
        return labels

    def header(self) -> Dict[str, Any]:
        """The header entries that a store for these views must have."""
        views = config_hash([self.seed, self.cutmix, self._pipeline])
        return dict(classes=list(self.metainfo['classes']), set=set_fingerprint(self.dataset), augmentation=views,
                    temperature=self.temperature)


def set_fingerprint(dataset) -> str:
    """Hash of the images' names, folders, sizes in bytes and labels, in order; it does not depend on the data root."""
    digest = hashlib.sha256()
    for i in range(len(dataset)):
        entry = dataset.get_data_info(i)
        path = str(entry.get('img_path', ''))
        try:
            size = os.stat(path).st_size if path and '://' not in path else 0
        except OSError as error:
            raise DistillError(f'cannot read {path}: {error.strerror}') from None
        label = entry.get('gt_label')
        digest.update(repr((Path(path).parts[-2:], size, None if label is None else int(label))).encode())
    if not len(dataset):
        raise DistillError('the set has no image')
    return digest.hexdigest()[:16]
