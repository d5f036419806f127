"""Readers of real datasets, writers of distilled ones, and the manifest."""
import mmdistill.registry  # noqa: F401  first: it says what to install where there is no OpenMMLab package
from mmdistill.lazy import lazy_exports

__getattr__, __all__ = lazy_exports(__name__, {
    'coco_stuff.convert': ['convert_masks'],
    'coco_stuff.dataset': ['COCOStuff'],
    'coco_stuff.writer': ['COCOJsonWriter'],
    'distilled': ['distilled_dataset'],
    'imagenet': ['ImageNet1K', 'ImageNetSubset'],
    'labels': ['DatasetLabels'],
    'manifest': ['read_manifest', 'write_manifest'],
    'masks': ['DatasetMasks'],
    'transforms': ['ShufflePatches'],
    'union': ['UnionDataset'],
    'writers': ['ClassWriter', 'SegWriter'],
})
