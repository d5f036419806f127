"""Builds the datasets of a comparison without their pipelines."""
import importlib
from typing import Any, Mapping

from mmdistill.datasets.listing import no_images
from mmdistill.datasets.wrapped_configs import bare, scoped
from mmdistill.datasets.wrappers import real_dataset
from mmdistill.engine.wrapped_data import wrapped_dataset_errors
from mmdistill.registry import DATASETS


def build_dataset(cfg: Mapping[str, Any], scope: str, where: str = 'dataset') -> Any:
    """Build a dataset without its pipeline, each image of a wrapped dataset once.

    Args:
        cfg: Its config. Wrappers do not repeat images, but an image that two wrapped datasets list occurs twice.
        scope: ``'mmseg'`` or ``'mmpretrain'``.
        where: The config's key, for messages.

    Raises:
        DistillError: The dataset is empty or cannot be built.
    """
    return real_dataset(build_wrapped(cfg, scope, where), distinct=False)


def build_wrapped(cfg: Mapping[str, Any], scope: str, where: str) -> Any:
    """Like :func:`build_dataset`, but keeps the wrappers."""
    importlib.import_module(f'{scope}.datasets')
    cfg = bare(scoped(cfg, scope))
    with wrapped_dataset_errors(cfg, where):
        dataset = DATASETS.build(cfg)
        dataset.full_init()
        if not len(dataset):
            raise ValueError(no_images(dataset))
    return dataset
