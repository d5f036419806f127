"""The planner of segmentation, which selects the masks of a run."""
import copy
import os.path as osp
from typing import Any, Dict, List, Literal, Mapping, Optional, Tuple

import numpy as np
from mmengine.dist import is_main_process

from mmdistill.bars import track
from mmdistill.errors import DistillError, counted, named
from mmdistill.plan import Request, request_seed
from mmdistill.registry import SELECTORS
from mmdistill.selection import format_table, plot_selection, selection_table
from mmdistill.selection.base import resolve_budget
from mmdistill.settings import NonNegativeInt, PositiveInt, validated
from mmdistill.tasks.latents import RealLatents
from mmdistill.terminal import LOG_FILE_ONLY
from .planning import Planner, StartLatents, strength_of, warn_of_strength

_SELECTOR = 'MaskSelectionHook.selector'


class MaskPlanner(Planner):
    """Requests for the masks that a selector chooses; see :class:`~.hooks.composing.MaskSelectionHook`."""
    annotation = 'masks'

    @validated
    def __init__(self, selector: dict, workers: Optional[NonNegativeInt] = None, images_per_mask: PositiveInt = 1,
                 start: Literal['noise', 'photo'] = 'noise') -> None:
        self.selector, self.workers, self.images_per_mask = selector, workers, images_per_mask
        self.starts = start == 'photo'

    def check_settings(self, generator: Mapping[str, Any], method: str) -> None:
        if not self.starts:
            return
        where = "MaskSelectionHook.start='photo'"
        if strength_of(generator) in (None, 1):
            raise DistillError(f'{where} has no effect if all denoising steps are run: set model.generator.strength, '
                               'the share of the steps that are run, below 1, such as 0.4')
        if method in ('D3S2', 'unguided'):
            raise DistillError(f'{where} is another method than test_cfg.method={method!r}: set test_cfg.method to '
                               "another name, such as 'photo-start'")

    def select(self, masks: Any, work_dir: str, logger: Any) -> Tuple[np.ndarray, List[int]]:
        """Compute class histograms and select masks. The result is the same on every rank.

        Args:
            masks: The real masks (:class:`~mmdistill.datasets.masks.DatasetMasks`).
            work_dir: Folder for ``class_histograms.npz`` and ``selection.png``.
            logger: Logger.

        Returns:
            Class histograms (N, K) in pixels, and the selected indices in the order of selection.
        """
        cache = osp.join(work_dir, 'class_histograms.npz')
        selector = SELECTORS.build(copy.deepcopy(self.selector))
        if isinstance(budget := getattr(selector, 'budget', None), (int, float)):
            with named(_SELECTOR):
                resolve_budget(budget, len(masks))
        if is_main_process():
            logger.info(f'Reading {counted(len(masks), "mask")}; class histograms: {cache}')
        # The masks are divided among the ranks; the main rank shows a progress bar.
        bar = track if is_main_process() else None
        histograms = masks.histograms(cache, self.workers, progress=bar)
        with named(_SELECTOR):
            selected = [int(i) for i in selector.fit(histograms).selected_]
        if is_main_process():
            rows = selection_table(histograms, selected, masks.classes)
            picture = osp.join(work_dir, 'selection.png')
            plot_selection(rows, picture)
            logger.info(f'Selected {len(selected)} of {len(masks)} masks: {picture}')
            logger.info(f'The classes of the selection\n{format_table(rows)}', extra=LOG_FILE_ONLY)
        return histograms, selected

    def requests(self, run: Any) -> List[Request]:
        """Requests for the selected masks, in the order of selection, the first image of every mask first.

        Their ids are ``<index of the mask>_<number>``, or ``<index of the mask>`` if there is one image per mask.
        """
        warn_of_strength(self, run, "start='photo' of MaskSelectionHook")
        masks, several = run.source, self.images_per_mask > 1
        histograms, selected = self.select(masks, run.work_dir, run.logger)
        return [Request(id=(name := f'{index:06d}' + f'_{number}' * several), seed=request_seed(run.seed, name),
                        source_index=index, source=masks.images[index], mask=masks.masks[index],
                        classes=tuple(histograms[index].nonzero()[0].tolist()))
                for number in range(self.images_per_mask) for index in selected]

    def real_images(self, run: Any) -> int:
        return len(run.plan.requests) if self.starts else 0

    def start_latents(self, run: Any) -> Optional[StartLatents]:
        if not self.starts:
            return None
        latents, size = RealLatents(run, crop=False, batch_size=1), run.generator.image_size

        def of_request(request: Request) -> np.ndarray:
            if request.source_index is None:
                raise DistillError(f'{run.plan_path}: request {request.id} has no source_index, and starts from its '
                                   'photo: restore the plan')
            return latents.encode([run.source.pair(request.source_index, size)[0]])[0]

        return of_request

    def describe(self) -> Dict[str, Any]:
        several = dict(images_per_mask=self.images_per_mask) if self.images_per_mask > 1 else {}
        return dict(selector=dict(self.selector), **several, **(dict(start='photo') if self.starts else {}))
