"""Builds and identifies the datasets of a comparison without their pipelines."""
import importlib
from typing import Any, Mapping

from mmdistill.datasets.listing import no_images
from mmdistill.datasets.manifest import content_digest
from mmdistill.datasets.wrapped_configs import bare, scoped
from mmdistill.datasets.wrappers import real_dataset
from mmdistill.engine.wrapped_data import wrapped_dataset_errors
from mmdistill.files import files_fingerprint
from mmdistill.registry import DATASETS
from .guards import paths_of


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


def identity(cfg: dict, dataset: Any) -> Any:
    """Identity of a training set for the cache: the bytes of a distilled set, or the list of files of another set."""
    if cfg['type'] == 'mmdistill.UnionDataset':
        members = [real_dataset(member, distinct=False) for member in dataset.wrapper.datasets]
        return [identity(part, member) for part, member in zip(cfg['datasets'], members)]
    if cfg['type'] == 'mmdistill.DistilledDataset':
        settings = {key: value for key, value in cfg.items() if key not in ('type', 'data_root', '_scope_')}
        digest = content_digest(cfg['data_root'])
        return dict(settings, digest=digest) if settings else digest
    paths = paths_of(dataset)
    return dict(cfg, files=files_fingerprint([path for path in paths if '://' not in path], '\n'.join(paths)))
