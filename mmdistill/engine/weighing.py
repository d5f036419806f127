"""Weights for the images of a finished set."""
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional

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
    """The settings of ``ImageWeightsHook``: config of the weights, and how real images are encoded for them."""

    def __init__(self, weights: Mapping[str, Any], crop: Optional[bool], batch_size: int) -> None:
        self.weights, self.crop, self.batch_size = weights, crop, batch_size

    def check(self, task: Task, planner: Planner) -> None:
        """Check the settings before data and weights of networks are read.

        Raises:
            DistillError: A name or setting is wrong, the weights are for another task, or they need prototypes and the
                plan has none.
        """
        where = f'{HOOK}.weights'
        component = check_component(self.weights, IMAGE_WEIGHTS, where)
        task.check_annotation(component, where, IMAGE_WEIGHTS, 'leave ImageWeightsHook out')
        if self.by == 'prototype' and not planner.starts:
            raise DistillError(f"{where}: by='prototype' needs images that start from prototypes: plan by "
                               "PrototypeHook, or set by='nearest'")
        if self.by == 'prototype' and planner.prototypes.get('strategy') == 'density':
            raise DistillError(f"{where}: the prototypes of strategy='density' are single images, each with the same "
                               "share: set by='nearest', or strategy='kmeans' in PrototypeHook")

    @property
    def by(self) -> str:
        """How real images are assigned to generated ones: by ``'prototype'``, or by ``'nearest'`` image."""
        return setting(resolve(self.weights, IMAGE_WEIGHTS, f'{HOOK}.weights'), self.weights, 'by')

    def real_images(self, run: Any) -> int:
        """Number of real images that are encoded."""
        return len(run.source) if self.by == 'nearest' else 0

    def encoding(self, planner: Any) -> Dict[str, Any]:
        """How real images are encoded: ``crop``, by default as for the plan's prototypes, and ``batch_size``."""
        crop = planner.prototypes.get('crop', True) if self.crop is None else self.crop
        return dict(crop=crop, batch_size=self.batch_size)

    def describe(self, planner: Any) -> Dict[str, Any]:
        """The settings as JSON values, for the manifest."""
        return dict(self.weights, by=self.by, **(self.encoding(planner) if self.by == 'nearest' else {}))


def weigh(run: Any, plan: Plan) -> Dict[str, float]:
    """Compute the weights of the images of a set. All images must exist.

    Args:
        run: The run (:class:`~mmdistill.engine.loop.DistillLoop`).
        plan: Plan of the images in the set.

    Returns:
        Request id → weight.
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
    if unused := sum(not value for value in weights.values()):
        run.logger.warning(f'{unused} of {len(weights)} images have weight 0, since no real image is nearest to them: '
                           'students with weights do not learn from them')
    return weights


def _nearest(run: Any, classes: Mapping[int, List[Request]]) -> Dict[int, np.ndarray]:
    """Class id → number of real images nearest to each generated image. The classes are divided among the ranks."""
    settings = run.composition.weights
    mine = sorted(classes)[get_rank()::get_world_size()]
    latents = RealLatents(run, **settings.encoding(run.composition.planner))
    made = {label: np.concatenate([*_encoded(run, latents, classes[label])]) for label in mine}
    counts = {label: np.zeros(len(classes[label]), np.int64) for label in mine}
    for label, real in latents.of({label: run.source.of_class(label) for label in mine}):
        counts[label] += count_nearest(real, made[label])
    return {label: value for part in all_gather_object(counts) for label, value in part.items()}


def _encoded(run: Any, latents: RealLatents, requests: List[Request]) -> Iterator[np.ndarray]:
    """Yield latents (B, C, h, w) of the written images, resized to the size of the generator."""
    for start in range(0, len(requests), latents.batch_size):
        pixels = []
        for request in requests[start:start + latents.batch_size]:
            with Image.open(Path(run.final_root, run.final_files(request.id)['image'])) as image:
                pixels.append(np.asarray(image.convert('RGB').resize(
                    run.generator.image_size[::-1], Image.Resampling.BICUBIC)))
        yield latents.encode(pixels)
