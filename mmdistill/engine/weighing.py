"""Weighing the images of a finished set."""
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping

import numpy as np
from mmengine.dist import all_gather_object, get_rank, get_world_size
from PIL import Image

from mmdistill.choice import count_nearest
from mmdistill.components import check_component, resolve
from mmdistill.errors import DistillError
from mmdistill.plan import Plan, Request
from mmdistill.registry import IMAGE_WEIGHTS
from mmdistill.settings import setting
from mmdistill.tasks.base import Task
from mmdistill.tasks.latents import RealLatents
from .planning import Planner, latent_address

HOOK = 'custom_hooks.ImageWeightsHook'


class WeightSettings:
    """Config of what weighs images, and how real ones are encoded for it: the settings of ``ImageWeightsHook``."""

    def __init__(self, weights: Mapping[str, Any], crop: bool, batch_size: int) -> None:
        self.weights, self.crop, self.batch_size = weights, crop, batch_size

    def check(self, task: Task, planner: Planner) -> None:
        """Raise a DistillError, before data and weights are read, where a name or a setting is wrong, the weights are
        for another task, or by prototypes that the plan does not have."""
        where = f'{HOOK}.weights'
        component = check_component(self.weights, IMAGE_WEIGHTS, where)
        task.check_annotation(component, where, IMAGE_WEIGHTS, 'leave ImageWeightsHook out')
        if self.by == 'prototype' and not planner.starts:
            raise DistillError(f"{where}: by='prototype' needs images that start from prototypes: plan by "
                               "PrototypeHook, or set by='nearest'")

    @property
    def by(self) -> str:
        """What images stand for: ``'prototype'`` or ``'nearest'``."""
        return setting(resolve(self.weights, IMAGE_WEIGHTS, f'{HOOK}.weights'), self.weights, 'by')

    def real_images(self, run: Any) -> int:
        """How many real images are encoded."""
        return len(run.source) if self.by == 'nearest' else 0

    def describe(self) -> Dict[str, Any]:
        """JSON values for the manifest."""
        own = dict(crop=self.crop, batch_size=self.batch_size) if self.by == 'nearest' else {}
        return dict(self.weights, by=self.by, **own)


def weigh(run: Any, plan: Plan) -> Dict[str, float]:
    """Request id → weight of each image of a plan. All images have to be in the folder of the set.

    Args:
        run: The run (:class:`~mmdistill.engine.loop.DistillLoop`).
        plan: Of the images in the set.
    """
    settings = run.composition.weights
    component = IMAGE_WEIGHTS.build(dict(settings.weights))
    classes: Dict[int, List[Request]] = {}
    for request in plan.requests:
        classes.setdefault(request.single_class(), []).append(request)
    weights: Dict[str, float] = {}
    clusters: Dict[int, np.ndarray]
    if settings.by == 'nearest':
        counts = _nearest(run, classes)
        clusters = {label: np.arange(len(requests)) for label, requests in classes.items()}
    else:
        counts = run.composition.planner.clusters(run).counts
        clusters = {label: np.array([latent_address(request)[1] for request in requests])
                    for label, requests in classes.items()}
    for label, requests in classes.items():
        values = component(clusters[label], counts[label])
        weights.update({request.id: float(value) for request, value in zip(requests, values)})
    run.logger.info(f'Image weights by {settings.by}: {min(weights.values()):.3g} to {max(weights.values()):.3g}')
    return weights


def _nearest(run: Any, classes: Mapping[int, List[Request]]) -> Dict[int, np.ndarray]:
    """Class id → how many of its real images are nearest to each of its images; every rank counts for its share."""
    settings = run.composition.weights
    mine = sorted(classes)[get_rank()::get_world_size()]
    latents = RealLatents(run, settings.crop, settings.batch_size)
    made = {label: np.concatenate([*_encoded(run, latents, classes[label])]) for label in mine}
    counts = {label: np.zeros(len(classes[label]), np.int64) for label in mine}
    for label, real in latents.of({label: run.source.of_class(label) for label in mine}):
        counts[label] += count_nearest(real, made[label])
    return {label: value for part in all_gather_object(counts) for label, value in part.items()}


def _encoded(run: Any, latents: RealLatents, requests: List[Request]) -> Iterator[np.ndarray]:
    """Latents (B, C, h, w) of images as they were written, at the generator's size."""
    for start in range(0, len(requests), latents.batch_size):
        pixels = []
        for request in requests[start:start + latents.batch_size]:
            with Image.open(Path(run.final_root, run.final_files(request.id)['image'])) as image:
                pixels.append(np.asarray(image.convert('RGB').resize(
                    run.generator.image_size[::-1], Image.Resampling.BICUBIC)))
        yield latents.encode(pixels)
