"""Concatenation of datasets with the same classes."""
from typing import Any, Dict, List, Optional, Sequence

from mmengine.dataset import ConcatDataset

from mmdistill.errors import DistillError
from mmdistill.registry import DATASETS
from .distilled import has_weights
from .wrapped_configs import with_pipeline


@DATASETS.register_module()
class UnionDataset(ConcatDataset):
    """Concatenates datasets, such as a distilled set and real images.

    Use it as ``type='mmdistill.UnionDataset'`` in a config of mmseg or mmpretrain. Unlike MMEngine's
    ``ConcatDataset``, it takes a pipeline for all datasets, and the datasets may have different mask encodings.

    Args:
        datasets: Configs of the datasets, at least one. The union has the metainfo of the first one.
        pipeline: Pipeline of the datasets that have none.

    Raises:
        DistillError: The datasets do not have the same classes in the same order, or only some have image weights.

    Example:
        >>> train_dataloader = dict(dataset=dict(
        ...     type='mmdistill.UnionDataset', pipeline=train_pipeline, datasets=[
        ...         dict(type='mmdistill.DistilledDataset', data_root='work_dirs/run/distilled'),
        ...         dict(type='ADE20KDataset', data_root='data/ade/ADEChallengeData2016', indices=203,
        ...              data_prefix=dict(img_path='images/training', seg_map_path='annotations/training'))]))
    """

    def __init__(self, datasets: Sequence[Dict[str, Any]], pipeline: Optional[Sequence] = None) -> None:
        if not datasets:
            raise DistillError('UnionDataset: datasets=[] has no dataset: give at least one')
        built = [DATASETS.build(dict(cfg) if pipeline is None else with_pipeline(cfg, pipeline)) for cfg in datasets]
        first = tuple(map(str, built[0].metainfo['classes']))  # names may be numbers
        for number, dataset in enumerate(built):
            if tuple(map(str, dataset.metainfo['classes'])) != first:
                raise DistillError(f'UnionDataset: the classes of datasets.{number} are not those of datasets.0: give '
                                   'all the same metainfo.classes')
        if 0 < (weighted := [*map(has_weights, built)]).count(True) < len(built):
            raise DistillError(f'UnionDataset: datasets.{weighted.index(True)} has weights and '
                               f'datasets.{weighted.index(False)} has none: give weights=True to all or to none')
        # Replaces ConcatDataset.__init__, which rejects wrapped datasets and different metainfo.
        self.datasets, self._metainfo = built, built[0].metainfo
        self.ignore_keys: List[str] = []
        self._fully_initialized = False
        self.full_init()
