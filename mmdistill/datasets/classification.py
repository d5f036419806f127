"""mmpretrain's datasets of distilled images, and of some classes of ImageNet."""
from typing import Any, Dict, List, Sequence, Tuple

from mmpretrain.datasets import BaseDataset, ImageNet
from mmpretrain.datasets.custom import get_samples

from mmdistill.errors import DistillError
from mmdistill.registry import DATASETS
from .distilled import by_manifest, listed_file


class DistilledClassDataset(BaseDataset):
    """See :func:`~mmdistill.datasets.distilled.distilled_dataset`.

    ``**kwargs`` are those of ``BaseDataset``, and ``split``, which has to be ``'train'``.
    """

    def __init__(self, data_root: str, manifest: Dict[str, Any], **kwargs: Any) -> None:
        self.manifest = manifest
        if kwargs.get('classes') is not None:  # mmpretrain's other way to say it
            kwargs['metainfo'] = dict(kwargs.get('metainfo') or {}, classes=kwargs['classes'])
        kwargs.pop('classes', None)
        layout = manifest['layout']
        metainfo = dict(classes=tuple(manifest['classes']))
        if 'label_texts' in manifest.get('provenance', {}):
            metainfo['label_texts'] = tuple(manifest['provenance']['label_texts'])
        given = by_manifest(data_root, kwargs, dict(split='train', data_prefix=layout['image_dir'],
                                                    ann_file=layout['ann_file']), metainfo)
        # The files are listed by the manifest, so mmpretrain looks for no ann_file.
        super().__init__('', given['metainfo'], data_root, given['data_prefix'], **kwargs)

    def load_data_list(self) -> List[dict]:
        """One entry an image of the manifest, in the plan's order."""
        return [dict(img_path=listed_file(self.data_root, image['image']), gt_label=int(image['classes'][0]))
                for image in self.manifest['images']]


@DATASETS.register_module()
class ImageNetSubset(ImageNet):
    """The images of some folders of ImageNet's tree; class id = position in ``classes``.

    mmpretrain's ``ImageNet`` demands that the folders be the classes; this takes its classes out of any tree of
    ``{train,val}/<wnid>/*.JPEG``, the whole ImageNet or one that holds no others.

    Args:
        data_root: Folder of ``train`` and ``val``.
        split: ``'train'`` or ``'val'``.
        classes: WordNet ids, the names of the folders.
        **kwargs: As for mmpretrain's ``BaseDataset`` (``pipeline``, ``metainfo``, ...).
    """

    def __init__(self, data_root: str, split: str, classes: Sequence[str], **kwargs: Any) -> None:
        if len(set(classes)) < len(classes):
            raise DistillError(f'ImageNetSubset: some of the {len(classes)} classes are there twice')
        super().__init__(data_root, data_prefix=split, classes=list(classes), **kwargs)

    def _find_samples(self) -> List[Tuple[str, int]]:
        labels = {name: label for label, name in enumerate(self.CLASSES)}
        try:
            return get_samples(self.img_prefix, labels, self.is_valid_file)[0]
        except FileNotFoundError as error:
            raise DistillError(f'no class folder at {error.filename}: check data_root, split and classes; the tree '
                               'is <split>/<wnid>/*.JPEG') from None
