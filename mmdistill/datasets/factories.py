"""Data sets of either host under one name; only the host that is asked for is imported."""
from typing import Any

from mmdistill.registry import DATASETS
from mmdistill.tasks.base import task_of_manifest
from .manifest import read_manifest


@DATASETS.register_module(name='DistilledDataset')
def distilled_dataset(data_root: str, **kwargs: Any):
    """Any distilled set, ``type='mmdistill.DistilledDataset'`` in a config of either host.

    Classes, names and encoding are those of the manifest; it also says whether the set is one of mmsegmentation or
    of mmpretrain, and only that host is imported. The data set types of the hosts read the same folder by their own
    rules; this one needs none.

    Args:
        data_root: The folder that ``mmdistill distill`` wrote.
        **kwargs: As for mmseg's ``BaseSegDataset`` or mmpretrain's ``BaseDataset`` (``pipeline``, ``indices``, ...).
            Those that the manifest decides may be left in a config as long as they agree with it.

    Returns:
        :class:`~mmdistill.datasets.distilled_seg.DistilledSegDataset` or
        :class:`~mmdistill.datasets.distilled_class.DistilledClassDataset`.

    Raises:
        DistillError: The set is unfinished, a listed file is missing, or an argument contradicts the manifest.

    Examples:
        >>> train_dataloader = dict(dataset=dict(
        ...     type='mmdistill.DistilledDataset', data_root='work_dirs/run/distilled', pipeline=train_pipeline))
    """
    manifest = read_manifest(data_root)
    cls = task_of_manifest(manifest, data_root).distilled_dataset()
    return cls(data_root=data_root, manifest=manifest, **kwargs)
