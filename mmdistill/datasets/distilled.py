"""Distilled sets as datasets, configured by their manifests."""
import os.path as osp
from typing import Any, Dict, Mapping

from mmdistill.documents import inside
from mmdistill.errors import DistillError
from mmdistill.registry import DATASETS
from mmdistill.tasks.base import task_of_manifest
from .manifest import MANIFEST, RESTORE, read_manifest
from .subsets import check_subset
from .verify import check_set
from .wrappers import parts_of


@DATASETS.register_module(name='DistilledDataset')
def distilled_dataset(data_root: str, verify: bool = False, weights: bool = False, **kwargs: Any):
    """A distilled set, ``type='mmdistill.DistilledDataset'`` in a config of mmseg or mmpretrain.

    The manifest determines the classes, file names and mask encoding, and whether the set is for mmseg or mmpretrain;
    only that package is imported. The packages' own dataset types can read the same folder, but need settings.

    Args:
        data_root: The folder written by ``mmdistill distill``.
        verify: Whether to check all files by their checksums first (:mod:`~mmdistill.datasets.verify`).
        weights: Whether the target of an image, ``gt_score``, is its one-hot label times its weight in the manifest;
            only for classification. See :class:`mmdistill.models.losses.WeightedLoss`.
        **kwargs: As for mmseg's ``BaseSegDataset`` or mmpretrain's ``BaseDataset`` (``pipeline``, ``indices``, ...).
            Arguments that the manifest determines may remain in a config if they agree with it. ``indices`` refer to
            the distilled images.

    Raises:
        DistillError: The set is unfinished, a listed file is missing (or damaged, with ``verify``), an argument
            contradicts the manifest, or ``indices`` are out of range.

    Examples:
        >>> train_dataloader = dict(dataset=dict(
        ...     type='mmdistill.DistilledDataset', data_root='work_dirs/run/distilled', pipeline=train_pipeline))
    """
    if verify:
        check_set(data_root)
    manifest = read_manifest(data_root)
    if weights:
        check_weights(data_root, manifest)
        kwargs['weights'] = True
    check_subset(data_root, len(manifest['images']), kwargs.get('indices'))
    cls = task_of_manifest(manifest, data_root).distilled_dataset()
    return cls(data_root=data_root, manifest=manifest, **kwargs)


def check_weights(data_root: str, manifest: Mapping[str, Any]) -> None:
    """Raise a DistillError unless the images of a classification set have weights and at least one is positive."""
    if manifest['task'] != 'classification':
        raise DistillError(f'{data_root} is a set for {manifest["task"]}, whose images have no weights: leave weights '
                           'out')
    found = [image.get('weight') for image in manifest['images']]
    if None in found:
        raise DistillError(f'{data_root} has no weights in its {MANIFEST}: add an ImageWeightsHook to the config that '
                           'made it and run it again with --resume, or leave weights out')
    if not any(found):
        raise DistillError(f'all images of {data_root} have the weight 0 in its {MANIFEST}: leave weights out')


def has_weights(dataset: Any) -> bool:
    """Whether images of a dataset, with or without wrappers, have weights."""
    return any(getattr(part.dataset, 'weights', None) is True for part in parts_of(dataset))


def by_manifest(data_root: str, kwargs: Dict[str, Any], decided: Dict[str, Any], metainfo: Dict[str, Any]
                ) -> Dict[str, Any]:
    """Remove the arguments that the manifest determines from a config's ``kwargs``.

    Args:
        data_root: The data root, for messages.
        kwargs: The config's arguments; changed in place.
        decided: The arguments that the manifest determines.
        metainfo: ``classes`` and other meta information from the manifest.

    Returns:
        dict: ``decided``, and ``metainfo`` merged with the config's metainfo.

    Raises:
        DistillError: The config contradicts the manifest.
    """
    for key, value in decided.items():
        if kwargs.pop(key, value) != value:
            raise DistillError(f'{key} contradicts {data_root}/{MANIFEST}, which has {value!r}: leave it out of the '
                               'config')
    configured = kwargs.pop('metainfo', None) or {}
    if [*map(str, configured.get('classes', metainfo['classes']))] != [*map(str, metainfo['classes'])]:
        raise DistillError(f'metainfo.classes differs from the classes in {data_root}/{MANIFEST}: leave it out')
    return dict(decided, metainfo={**configured, **metainfo})


def listed_file(data_root: str, name: str) -> str:
    """The path of a file in the manifest; raises a DistillError if it is missing or a link out of the set."""
    path = str(inside(data_root, name))
    if not osp.isfile(path):
        raise DistillError(f'{path} is in {MANIFEST} but not on disk: {RESTORE}')
    return path
