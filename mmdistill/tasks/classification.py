"""Image classification with mmpretrain."""
from typing import Any, List, Mapping

import numpy as np

from mmdistill.errors import DistillError
from mmdistill.registry import TASKS
from .base import Source, Task
from .clusters import ClassResources


# mmpretrain's datasets whose samples are not image files with one class each, and what they contain.
_UNFIT = dict(
    CIFAR10='stores its images in a few archives', MNIST='stores its images in a few archives',
    MultiLabelDataset='has several classes per image', OneDLDatasetAdapterMultiLabel='has several classes per image',
    OneDLDatasetAdapterRegressionValues='has a number per image', NLVR2='pairs images with sentences',
    COCORetrieval='pairs images with sentences', Flickr30kRetrieval='pairs images with sentences')
_ADVICE = dict.fromkeys(('CIFAR10', 'MNIST'), ': write its images into a folder per class and use CustomDataset; '
                        'docs/faq.md has a script for it')


@TASKS.register_module()
class Classification(Task):
    """Classification: datasets and students of mmpretrain, top-1 accuracy."""
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

    def check_dataset(self, dataset: type, settings: Mapping[str, Any], where: str) -> None:
        if unfit := [name for base in dataset.__mro__ if (name := base.__name__) in _UNFIT]:
            raise DistillError(f'{where}: {dataset.__name__} {_UNFIT[unfit[0]]}, and only image files with one class '
                               f'each can be distilled or compared{_ADVICE.get(unfit[0], ": use another dataset")}')
        named = settings.get('classes') or (settings.get('metainfo') or {}).get('classes')
        if any(base.__name__ == 'InShop' for base in dataset.__mro__) and not named:
            raise DistillError(f'{where}: {dataset.__name__} has no class names: give it metainfo=dict(classes=(...))')

    def source(self, dataset: Any) -> Source:
        from mmdistill.datasets.labels import DatasetLabels
        return DatasetLabels(dataset)

    def distilled_dataset(self) -> type:
        from mmdistill.datasets.classification import DistilledClassDataset
        return DistilledClassDataset

    def labels(self, dataset: Any) -> np.ndarray:
        return np.array([dataset.get_data_info(i)['gt_label'] for i in range(len(dataset))], np.int64)

    def class_counts(self, dataset: Any, cache: Any = None) -> np.ndarray:
        """One-hot rows of the labels, for selectors; 10 GB for ImageNet-1K."""
        return np.eye(len(dataset.metainfo['classes']), dtype=np.int64)[self.labels(dataset)]

    def class_totals(self, dataset: Any, cache: Any = None) -> np.ndarray:
        return np.bincount(self.labels(dataset), minlength=len(dataset.metainfo['classes']))

    def check_training_set(self, name: str, dataset: Any) -> None:
        """Raise a DistillError if a class has no image."""
        from mmdistill.evaluation.guards import check_labels
        check_labels(name, self.labels(dataset), dataset.metainfo['classes'])

    def notes(self, real: Any, test: Any) -> List[str]:
        """A note if the images follow fastai's split of ImageNet."""
        from mmdistill.evaluation.guards import paths_of, split_note
        note = split_note(paths_of(real), paths_of(test))
        return [note] if note else []
