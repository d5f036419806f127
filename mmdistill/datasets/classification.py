"""mmpretrain's dataset of distilled images."""
from typing import Any, Dict, List

import numpy as np
from mmpretrain.datasets import BaseDataset

from .distilled import by_manifest, listed_file
from .layouts import ClassLayout


class DistilledClassDataset(BaseDataset):
    """See :func:`~mmdistill.datasets.distilled.distilled_dataset`.

    ``**kwargs`` are those of ``BaseDataset``, and ``split``, which has to be ``'train'``. With ``weights`` an entry has
    the ``weight`` of its image, and ``gt_score``, float32 (classes,).
    """

    def __init__(self, data_root: str, manifest: Dict[str, Any], weights: bool = False, **kwargs: Any) -> None:
        self.manifest, self.weights = manifest, weights
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
        return [dict(img_path=listed_file(self.data_root, image['image']), gt_label=int(image['classes'][0]),
                     **(dict(weight=float(image['weight'])) if self.weights else {}))
                for image in self.manifest['images']]

    def get_data_info(self, idx: int) -> dict:
        """The entry of an image."""
        info = super().get_data_info(idx)
        if self.weights:  # made here, since rows of 1 000 classes for all images would take much memory
            info['gt_score'] = np.zeros(len(self.metainfo['classes']), np.float32)
            info['gt_score'][info['gt_label']] = info['weight']
        return info
