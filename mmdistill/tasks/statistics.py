"""Resources of segmentation: a frozen segmentor, and its statistics over the real set."""
import copy
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple, TypeVar

import numpy as np
import torch
from mmengine.device import get_device
from mmengine.dist import barrier, is_main_process
from torch import Tensor

from mmdistill.bars import ProgressBar
from mmdistill.cache import recall, shared_entry
from mmdistill.cleaning import ClassLosses
from mmdistill.components import check_component, resolve
from mmdistill.errors import DistillError
from mmdistill.files import config_hash, link_atomic
from mmdistill.guidance import ClassStatistics
from mmdistill.registry import MODELS
from mmdistill.settings import Share
from .blocks import share_blocks
from .resources import Resources

STATISTICS, LOSSES = 'class_statistics.safetensors', 'class_losses.json'
_BLOCK = 256  # images per saved block; an interrupted measurement loses at most one block
_OF_SEGMENTOR = ('segmentor', 'extractor', 'statistics', 'class_losses')
T = TypeVar('T', ClassStatistics, ClassLosses)


class MaskResources(Resources):
    """A frozen segmentor, its features, and its statistics per class over the real images.

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
        needing = [name for name, needed in needs.items() if {*_OF_SEGMENTOR} & {*needed}]
        if settings.get('segmentor'):
            check_component(settings['segmentor'], MODELS, f'{where}.segmentor')
        elif needing:
            raise DistillError(f'{where}: {needing[0]} needs a segmentor; give it '
                               "segmentor=dict(type='SegmentorGuide', config=..., checkpoint=...)")

    @classmethod
    def check_classes(cls, settings: Mapping[str, Any], classes: Sequence[str], where: str) -> None:
        if segmentor := settings.get('segmentor'):
            component = resolve(segmentor, MODELS, f'{where}.segmentor')
            if check := getattr(component, 'check_trained', None):
                check(segmentor, classes)
            if check := getattr(component, 'check_fits', None):
                check(segmentor, f'{where}.segmentor')

    def segmentor(self) -> Any:
        """The network, on the run's device; raises a DistillError if its classes are not the dataset's."""
        return self._network

    def fingerprint(self) -> Optional[str]:
        return self._digest if self._config else None

    @cached_property
    def _digest(self) -> str:
        return self.segmentor().fingerprint()

    @cached_property
    def _network(self) -> Any:
        network, classes = MODELS.build(self._config).to(get_device()), self.run.source.classes
        if check := getattr(network, 'check_classes', None):
            check(classes)
        elif network.num_classes != len(classes):
            raise DistillError(f'the segmentor has {network.num_classes} classes, the dataset {len(classes)}: give '
                               'one that was trained on these classes')
        return network

    def extractor(self) -> Callable[[Tensor], List[Tensor]]:
        """Function from images (B, 3, H, W) in [-1, 1] to the features of the ``layers`` in the network's config."""
        return self.segmentor().features

    def statistics(self, min_area: Share = 0.001) -> ClassStatistics:
        """The :class:`~mmdistill.guidance.ClassStatistics` of the real set, measured once and cached.

        Each rank measures a share of the images, and an interrupted measurement keeps its finished blocks.
        """
        network, statistics = self.segmentor(), ClassStatistics(len(self.run.source.classes), min_area)
        return self._over_real_set(statistics, min_area, STATISTICS, 'statistics', lambda values, images, masks: (
            values.fit(network.features(images), masks)))

    def class_losses(self, probabilities: bool = False) -> ClassLosses:
        """The network's mean loss per class on the real set, measured and cached like :meth:`statistics`."""
        network, losses = self.segmentor(), ClassLosses(len(self.run.source.classes), probabilities)
        return self._over_real_set(losses, probabilities, LOSSES, 'losses', lambda values, images, masks: (
            values.fit(network, images, masks)))

    def _over_real_set(self, empty: T, setting: Any, name: str, kind: str, fit: Callable[[T, Tensor, Tensor], Any]
                       ) -> T:
        """Measure statistics over the real set, or read them from the work dir or the shared cache.

        Args:
            empty: Statistics without data; its fingerprint is set here.
            setting: The setting that affects the values, besides data and network.
            name: File in the work dir.
            kind: Folder in the shared cache.
            fit: Adds a batch of images and masks (:func:`real_batches`) to the statistics.
        """
        run, network, size = self.run, self.segmentor(), self.run.generator.image_size
        path = Path(run.work_dir, name)
        settings = dict(self._config or {}, checkpoint=None)  # the weights matter, not their path
        empty.fingerprint = config_hash(
            [run.source.fingerprint(), settings, setting, self._digest, list(size)])
        entry, total = shared_entry(kind, f'{empty.fingerprint}{path.suffix}'), len(run.source)
        if is_main_process():
            recall(path, entry, partial(_measured, empty, total), run.logger.info)
        barrier()
        if _measured(empty, total, path) is None:
            def make(blocks: List[Tuple[int, int, Path]]) -> None:
                count, words = sum(end - start for start, end, _ in blocks), path.stem.replace('_', ' ')
                run.logger.info(f'Measuring {words} of {count} of {total} real images: {path}')
                progress = ProgressBar(count) if is_main_process() and count else None
                for start, end, file in blocks:
                    values = copy.deepcopy(empty)
                    for images, masks in real_batches(run.source, size, start=start, end=end):
                        with torch.no_grad():
                            fit(values, images, masks)
                        if progress:
                            progress.update(len(images))
                    values.save(file)
                network.forget()

            def merge(files: Iterable[Path]) -> None:
                for file in files:
                    empty.merge(type(empty).load(file, empty.fingerprint))
                empty.save(path)
                if entry is not None:
                    link_atomic(path, entry)

            share_blocks(path.with_suffix('.parts'), path.suffix, total, _BLOCK,
                         lambda file, count: _measured(empty, count, file) is not None, make, merge)
        return type(empty).load(path, empty.fingerprint)

    @classmethod
    def real_images(cls, settings: Mapping[str, Any], needs: Sequence[str], run: Any) -> Dict[str, int]:
        passes = [name for name, file in (('statistics', STATISTICS), ('class_losses', LOSSES))
                  if name in needs and not Path(run.work_dir, file).is_file()]
        return dict(measured=len(passes) * len(run.source))

    def describe(self) -> Dict[str, Any]:
        return dict(segmentor=self._config)


def real_batches(source: Any, size: Tuple[int, int], batch_size: int = 16, start: int = 0,
                 end: Optional[int] = None) -> Iterator[Tuple[Tensor, Tensor]]:
    """Yield batches of the real set on the run's device: images (B, 3, H, W) RGB in [-1, 1], masks (B, H, W) int64.

    Args:
        source: A :class:`~mmdistill.datasets.masks.DatasetMasks`.
        size: (H, W) in pixels.
        batch_size: B; the last batch may be smaller.
        start, end: First image, and end (exclusive); default: all images.
    """
    device, end = get_device(), len(source) if end is None else end
    for first in range(start, end, batch_size):
        pairs = [source.pair(i, size) for i in range(first, min(first + batch_size, end))]
        images = torch.from_numpy(np.stack([image for image, _ in pairs])).permute(0, 3, 1, 2)
        masks = torch.from_numpy(np.stack([mask for _, mask in pairs]))
        yield images.to(device).float() / 127.5 - 1, masks.to(device).long()


def _measured(empty: T, images: int, path: Path) -> Optional[T]:
    """The statistics at ``path`` if they have the fingerprint of ``empty`` and this number of images; else None."""
    try:
        values = type(empty).load(path, empty.fingerprint)
    except DistillError:
        return None
    return values if values.seen_ == images else None
