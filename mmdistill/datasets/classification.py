"""mmpretrain's dataset of distilled images."""
from typing import Any, Dict, List

from mmpretrain.datasets import BaseDataset

from .distilled import by_manifest, listed_file
from .layouts import ClassLayout


class DistilledClassDataset(BaseDataset):
    """See :func:`~mmdistill.datasets.distilled.distilled_dataset`.

    ``**kwargs`` are those of ``BaseDataset``, and ``split``, which has to be ``'train'``.
    """

    def __init__(self, data_root: str, manifest: Dict[str, Any], **kwargs: Any) -> None:
        self.manifest = manifest
        if kwargs.get('classes') is not None:  # mmpretrain's other way to say it
            kwargs['metainfo'] = dict(kwargs.get('metainfo') or {}, classes=kwargs['classes'])
        kwargs.pop('classes', None)
        layout = ClassLayout.from_dict(manifest['layout'])
        metainfo = dict(classes=tuple(manifest['classes']))
        if 'label_texts' in manifest.get('provenance', {}):
            metainfo['label_texts'] = tuple(manifest['provenance']['label_texts'])
        given = by_manifest(data_root, kwargs, dict(split='train', data_prefix=layout.image_dir,
                                                    ann_file=layout.ann_file), metainfo)
        # The files are listed by the manifest, so mmpretrain looks for no ann_file.
        super().__init__('', given['metainfo'], data_root, given['data_prefix'], **kwargs)

    def load_data_list(self) -> List[dict]:
        """One entry an image of the manifest, in the plan's order."""
        return [dict(img_path=listed_file(self.data_root, image['image']), gt_label=int(image['classes'][0]))
                for image in self.manifest['images']]
