"""Cleans the labels of the generated images of a run."""
from typing import Any, Callable, Dict, List, Mapping, Sequence

import numpy as np
import torch
from mmengine.device import get_device
from mmengine.dist import all_reduce, barrier, get_rank, get_world_size, is_main_process

from mmdistill.bars import ProgressBar
from mmdistill.cleaning import IgnoredPixels, LabelCleaner, clean_masks
from mmdistill.components import resolve
from mmdistill.config import member_names, type_name
from mmdistill.errors import DistillError, counted
from mmdistill.plan import Request
from mmdistill.registry import CLEANERS
from mmdistill.settings import check_settings
from mmdistill.tasks.base import Task
from mmdistill.tasks.resources import Resources, declared_needs
from .parts import check_distinct, check_part
from .planning import Planner
from .progress import log_ignored

HOOK = 'custom_hooks.LabelCleaningHook'


class CleaningSettings:
    """The settings of ``LabelCleaningHook``.

    Args:
        cleaners: Configs of registered cleaners.
        settings: Settings of the task's resources, such as ``segmentor``.
    """

    def __init__(self, cleaners: Sequence[dict], settings: Mapping[str, Any]) -> None:
        self.cleaners, self.resources = list(cleaners), dict(settings)

    def check(self, task: Task, planner: Planner, writer: Callable) -> None:
        """Check everything that can be checked before data and weights are read; see :meth:`Composition.check`.

        Raises:
            DistillError: A mistake that :meth:`~mmdistill.engine.guiding.GuidanceSettings.check` would find too, fewer
                images per mask than a cleaner needs, or a writer that cannot rewrite masks.
        """
        check_settings(task.resources, self.resources, HOOK, ('run', ))
        if not self.cleaners:
            raise DistillError(f'{HOOK}.cleaners=[]: list at least one cleaner, or leave the hook out')
        check_distinct(self.cleaners, f'{HOOK}.cleaners')
        where = [f'{HOOK}.cleaners.{name}' for name in member_names(self.cleaners)]
        needs = dict(check_part(cfg, CLEANERS, task, key) for cfg, key in zip(self.cleaners, where))
        task.resources.check(self.resources, needs, HOOK)
        images = getattr(planner, 'images_per_mask', 1)
        for cfg, key in zip(self.cleaners, where):
            needed = getattr(resolve(cfg, CLEANERS, key), 'images_needed', 1)
            if images < needed:
                raise DistillError(f'{key}: {type_name(cfg)} needs at least {needed} images per mask, the plan has '
                                   f'{images}: raise custom_hooks.MaskSelectionHook.images_per_mask')
        if not (hasattr(writer, 'image') and hasattr(writer, 'write_mask')):
            raise DistillError(f'test_cfg.writer: {writer.__name__} lacks image() or write_mask(), which label '
                               'cleaning calls: derive it from SegWriter, or leave LabelCleaningHook out')

    def build(self, resources: Resources) -> Dict[str, Any]:
        """Build the cleaners with the resources that they need. Returns name → cleaner."""
        return {type_name(cfg): CLEANERS.build(resources.give(resolve(cfg, CLEANERS, HOOK), cfg))
                for cfg in self.cleaners}

    @property
    def needs(self) -> List[str]:
        """The resources that the cleaners declare."""
        return [name for cfg in self.cleaners for name in declared_needs(resolve(cfg, CLEANERS, HOOK))]

    def describe(self) -> Dict[str, Any]:
        """The settings as JSON values, for the manifest and the hash of the config."""
        return dict(self.resources, cleaners=self.cleaners)


def clean_labels(run: Any, cleaners: Mapping[str, LabelCleaner]) -> Dict[str, Any]:
    """Clean the masks of all images of a run and rewrite them. The masks are divided among the ranks.

    Images are read from the written files, and masks from the real dataset. The result is therefore identical for any
    number of ranks, and after an interruption.

    Args:
        run: The run (:class:`~mmdistill.engine.loop.DistillLoop`). All of its images must exist.
        cleaners: Name → cleaner.

    Returns:
        The shares of ignored pixels over all ranks, see :meth:`~mmdistill.cleaning.IgnoredPixels.shares`.
    """
    groups: Dict[Any, List[Request]] = {}
    for request in run.plan.requests:
        groups.setdefault(request.mask, []).append(request)
    mine = list(groups.values())[get_rank()::get_world_size()]
    counts, device = IgnoredPixels(list(cleaners), len(run.source.classes)), get_device()
    run.logger.info(f'Cleaning the labels of {counted(len(run.plan.requests), "image")} of '
                    f'{counted(len(groups), "mask")}')
    progress = ProgressBar(len(mine), 'masks') if is_main_process() and mine else None
    for requests in mine:
        mask = run.source.inputs(requests[:1], run.generator.image_size)['masks'][0]
        images = torch.from_numpy(np.stack([run.writer.image(request.id) for request in requests])).to(device)
        cleaned = clean_masks(cleaners, images.permute(0, 3, 1, 2).float() / 127.5 - 1,
                              torch.from_numpy(mask).to(device).long(), counts)
        for request, one in zip(requests, cleaned.byte().cpu().numpy()):
            run.writer.write_mask(request.id, one)
            run.journal.add(request.id)
        if progress:
            progress.update()
    for tensor in (counts.labelled, counts.ignored):
        all_reduce(tensor)
    barrier()
    ignored = counts.shares(run.source.classes)
    log_ignored(run.logger, ignored)
    return ignored
