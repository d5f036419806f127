"""Cleaning the labels of a run's finished images."""
from typing import Any, Dict, List, Mapping

import numpy as np
import torch
from mmengine.device import get_device
from mmengine.dist import all_reduce, barrier, get_rank, get_world_size, is_main_process

from mmdistill.bars import ProgressBar
from mmdistill.cleaning import IgnoredPixels, LabelCleaner, clean_masks
from mmdistill.plan import Request
from .progress import log_ignored


def clean_labels(run: Any, cleaners: Mapping[str, LabelCleaner]) -> Dict[str, Any]:
    """Clean the masks of all images of a run and write them again; every rank does its share of them.

    The images are read as they were written and their masks from the real dataset, so that neither an interrupted
    cleaning nor the number of ranks changes a byte.

    Args:
        run: The run (:class:`~mmdistill.engine.loop.DistillLoop`), all of whose images are there.
        cleaners: By name.

    Returns:
        :meth:`~mmdistill.cleaning.IgnoredPixels.shares` over all ranks.
    """
    groups: Dict[Any, List[Request]] = {}
    for request in run.plan.requests:
        groups.setdefault(request.mask, []).append(request)
    mine = list(groups.values())[get_rank()::get_world_size()]
    counts, device = IgnoredPixels(list(cleaners), len(run.source.classes)), get_device()
    run.logger.info(f'Cleaning the labels of {len(run.plan.requests)} images of {len(groups)} masks')
    progress = ProgressBar(len(mine)) if is_main_process() and mine else None
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
