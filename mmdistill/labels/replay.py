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
    """Any classification set of mmpretrain, whose random views repeat and have a teacher's labels in a store.

    The views follow from (seed, image, epoch) (:mod:`mmdistill.labels.views`), so they need no store themselves. A
    mixed view costs the loading of two images. Weights of a ``DistilledDataset(weights=True)`` are mixed alike, and
    scale the labels (:class:`mmdistill.models.losses.WeightedLoss`).

    ``mmdistill label`` with the config of the training makes the store; the training needs a ``ReplayedLabelsHook``.

    Args:
        dataset: Config of the set, with its pipeline. The pipeline ends with ``PackInputs`` and has no ``Normalize``.
        store: Folder of the labels.
        temperature: T > 0 of the labels, the loss's.
        seed: Of the views, 0 or more.
        cutmix: α of CutMix, in every view; None mixes nothing. mmpretrain's own CutMix, of batches, has to be off.

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
        """The set's."""
        return self.dataset.metainfo

    def full_init(self) -> None:
        """List the images."""
        self.dataset.full_init()

    def get_data_info(self, index: int) -> dict:
        """The set's entry of an image."""
        return self.dataset.get_data_info(index)

    def __len__(self) -> int:
        return len(self.dataset)

    def view(self, image: int, epoch: int) -> Dict[str, Any]:
        """``inputs`` and ``data_samples`` of a view, with the set's label; a DistillError if CutMix's sizes differ."""
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
        """The weight of a view of (H, W) pixels, mixed as it is; None for a set without weights."""
        if not self._weighted:
            return None
        weight = self.dataset.get_data_info(image)['weight']
        if self.cutmix is None:
            return weight
        partner, rows, columns = draw_mix(self.seed, image, epoch, len(self), size, self.cutmix)
        share = (rows.stop - rows.start) * (columns.stop - columns.start) / (size[0] * size[1])
        return (1 - share) * weight + share * self.dataset.get_data_info(partner)['weight']

    def set_epoch(self, epoch: int) -> None:
        """Which epoch's views the set has; worker processes that run already see it too."""
        self._epoch.fill_(epoch)

    def open(self, epochs: int) -> LabelStore:
        """Open the store for a training of ``epochs`` epochs; a DistillError where it does not fit or is too short."""
        labels = LabelStore(self.store)
        labels.check(**self.header())
        if labels.header['epochs'] < epochs:
            raise DistillError(f"the label store {self.store} has {labels.header['epochs']} epochs and the training "
                               f'takes {epochs}: run mmdistill label with this config, it adds the rest')
        self._labels = labels
        return labels

    def header(self) -> Dict[str, Any]:
        """What labels of these views have to be of."""
        views = config_hash([self.seed, self.cutmix, self._pipeline])
        return dict(classes=list(self.metainfo['classes']), set=set_fingerprint(self.dataset), augmentation=views,
                    temperature=self.temperature)


def set_fingerprint(dataset) -> str:
    """A hash of the images' names, folders, sizes in bytes and labels, in their order, wherever the set lies."""
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
