"""Distilled images as an mmpretrain dataset."""
from typing import Any, Dict, List

import numpy as np
from mmpretrain.datasets import BaseDataset

from .distilled import by_manifest, listed_file
from .layouts import ClassLayout


class DistilledClassDataset(BaseDataset):
    """A distilled classification set; see :func:`~mmdistill.datasets.distilled.distilled_dataset`.

    Args:
        data_root: The data root.
        manifest: Its manifest.
        weights: Whether entries have the ``weight`` of their image and ``gt_score``, float32 (classes,).
        **kwargs: As for ``BaseDataset``, and ``split``, which has to be ``'train'``.
    """

    def __init__(self, data_root: str, manifest: Dict[str, Any], weights: bool = False, **kwargs: Any) -> None:
        self.manifest, self.weights = manifest, weights
        if kwargs.get('classes') is not None:  # mmpretrain's alternative to metainfo
            kwargs['metainfo'] = dict(kwargs.get('metainfo') or {}, classes=kwargs['classes'])
        kwargs.pop('classes', None)
        layout = ClassLayout.from_dict(manifest['layout'])
        metainfo = dict(classes=tuple(manifest['classes']))
        if 'label_texts' in manifest.get('provenance', {}):
            metainfo['label_texts'] = tuple(manifest['provenance']['label_texts'])
        decided = by_manifest(data_root, kwargs, dict(split='train', data_prefix=layout.image_dir,
                                                      ann_file=layout.ann_file), metainfo)
        # The manifest lists the files, so mmpretrain gets no ann_file.
        super().__init__('', decided['metainfo'], data_root, decided['data_prefix'], **kwargs)

    def load_data_list(self) -> List[dict]:
        """One entry per image of the manifest, in the plan's order."""
        return [dict(img_path=listed_file(self.data_root, image['image']), gt_label=int(image['classes'][0]),
                     **(dict(weight=float(image['weight'])) if self.weights else {}))
                for image in self.manifest['images']]

    def get_data_info(self, idx: int) -> dict:
        """The data entry of an image."""
        info = super().get_data_info(idx)
        if self.weights:  # created on demand, since rows of 1 000 classes for all images take much memory
            info['gt_score'] = np.zeros(len(self.metainfo['classes']), np.float32)
            info['gt_score'][info['gt_label']] = info['weight']
        return info
