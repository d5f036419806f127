"""Image classification by mmpretrain."""
from typing import Any, List

import numpy as np

from mmdistill.registry import TASKS
from .base import Source, Task
from .clusters import ClassResources


@TASKS.register_module()
class Classification(Task):
    """Classes and top-1 accuracy; mmpretrain's datasets and students."""
    name = 'classification'
    scope = 'mmpretrain'
    annotation = 'classes'
    dataset_base = ('mmpretrain.datasets', 'BaseDataset')
    plan_hook = 'PrototypeHook'
    writer = 'ClassWriter'
    resources = ClassResources
    metric = 'top1'
    evaluator = dict(type='mmdistill.ClassAccuracy')
    class_metric = 'top1'

    def source(self, dataset: Any) -> Source:
        from mmdistill.datasets.labels import DatasetLabels
        return DatasetLabels(dataset)

    def distilled_dataset(self) -> type:
        from mmdistill.datasets.classification import DistilledClassDataset
        return DistilledClassDataset

    def labels(self, dataset: Any) -> np.ndarray:
        return np.array([dataset.get_data_info(i)['gt_label'] for i in range(len(dataset))], np.int64)

    def class_counts(self, dataset: Any, cache: Any = None) -> np.ndarray:
        """One-hot rows of the labels."""
        return np.eye(len(dataset.metainfo['classes']), dtype=np.int64)[self.labels(dataset)]

    def check_training_set(self, name: str, dataset: Any) -> None:
        """Every class has an image."""
        from mmdistill.evaluation.guards import check_labels
        check_labels(name, self.labels(dataset), dataset.metainfo['classes'])

    def notes(self, real: Any, test: Any) -> List[str]:
        """Whose split of ImageNet's images the sets are, where they are ImageNet's."""
        from mmdistill.evaluation.guards import paths_of, split_note
        note = split_note(paths_of(real), paths_of(test))
        return [note] if note else []
