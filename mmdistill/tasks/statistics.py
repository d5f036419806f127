"""What objectives of masks need: a frozen segmentor, and what it sees in the real set."""
import os.path as osp
from functools import cached_property
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

import numpy as np
import torch
from mmengine.device import get_device
from mmengine.dist import barrier, is_main_process
from mmengine.utils import ProgressBar
from torch import Tensor

from mmdistill.components import check_component
from mmdistill.errors import DistillError
from mmdistill.files import config_hash
from mmdistill.guidance import ClassStatistics
from mmdistill.registry import MODELS
from mmdistill.settings import Share
from .resources import Resources


class MaskResources(Resources):
    """A frozen segmentor of the real set's classes, its features, and their statistics of each class.

    Args:
        segmentor: Config of the network (:class:`~mmdistill.models.segmentor.SegmentorGuide`), which all objectives
            share.
    """

    def __init__(self, run: Any, /, segmentor: Optional[dict] = None) -> None:
        super().__init__(run)
        self._config = segmentor

    @classmethod
    def check(cls, settings: Mapping[str, Any], needs: Mapping[str, Sequence[str]], where: str) -> None:
        super().check(settings, needs, where)
        needing = [name for name, needed in needs.items() if {'segmentor', 'extractor', 'statistics'} & {*needed}]
        if settings.get('segmentor'):
            check_component(settings['segmentor'], MODELS, f'{where}.segmentor')
        elif needing:
            raise DistillError(f'{where}: {needing[0]} needs a segmentor; give it '
                               "segmentor=dict(type='SegmentorGuide', config=..., checkpoint=...)")

    def segmentor(self) -> Any:
        """The network, on the device of the run; it has to have as many classes as the dataset."""
        return self._network

    @cached_property
    def _network(self) -> Any:
        network, classes = MODELS.build(self._config).to(get_device()), len(self.run.source.classes)
        if network.num_classes != classes:
            raise DistillError(f'the guiding segmentor has {network.num_classes} classes, the dataset {classes}: give '
                               'one that was trained on these classes')
        return network

    def extractor(self) -> Callable[[Tensor], List[Tensor]]:
        """Images (B, 3, H, W) in [-1, 1] → features of the layers that the network's config names."""
        return self.segmentor().features

    def statistics(self, min_area: Share = 0.001) -> ClassStatistics:
        """The real set's :class:`~mmdistill.guidance.ClassStatistics`, measured once and kept in the work dir."""
        run, network, size = self.run, self.segmentor(), self.run.generator.image_size
        path = osp.join(run.work_dir, 'class_statistics.safetensors')
        fingerprint = config_hash([run.source.fingerprint(), self._config, min_area, network.fingerprint(), list(size)])
        if is_main_process() and not _measured(path, fingerprint):
            run.logger.info(f'Measuring class statistics of {len(run.source)} real images: {path}')
            statistics = ClassStatistics(len(run.source.classes), min_area, fingerprint)
            progress = ProgressBar(len(run.source))
            for images, masks in real_batches(run.source, size):
                with torch.no_grad():
                    statistics.fit(network.features(images), masks)
                progress.update(len(images))
            network.forget()
            statistics.save(path)
        barrier()
        return ClassStatistics.load(path, fingerprint)

    def describe(self) -> Dict[str, Any]:
        return dict(segmentor=self._config)


def real_batches(source: Any, size: Tuple[int, int], batch_size: int = 16) -> Iterator[Tuple[Tensor, Tensor]]:
    """Images (B, 3, H, W) RGB in [-1, 1] and masks (B, H, W) int64 of the real set, on the device of the run.

    Args:
        source: A :class:`~mmdistill.datasets.masks.DatasetMasks`.
        size: (H, W) in pixels.
        batch_size: B; the last batch may be smaller.
    """
    device = get_device()
    for start in range(0, len(source), batch_size):
        pairs = [source.pair(i, size) for i in range(start, min(start + batch_size, len(source)))]
        images = torch.from_numpy(np.stack([image for image, _ in pairs])).permute(0, 3, 1, 2)
        masks = torch.from_numpy(np.stack([mask for _, mask in pairs]))
        yield images.to(device).float() / 127.5 - 1, masks.to(device).long()


def _measured(path: str, fingerprint: str) -> bool:
    """Whether the statistics at ``path`` are of these data and this network."""
    try:
        return osp.isfile(path) and bool(ClassStatistics.load(path, fingerprint))
    except DistillError:
        return False
