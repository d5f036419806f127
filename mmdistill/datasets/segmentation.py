"""Distilled images and masks as an mmseg dataset."""
from typing import Any, Dict, List

from mmseg.datasets import BaseSegDataset

from .distilled import by_manifest, listed_file
from .layouts import SegLayout


class DistilledSegDataset(BaseSegDataset):
    """A distilled segmentation set; see :func:`~mmdistill.datasets.distilled.distilled_dataset`.

    Args:
        data_root: The data root.
        manifest: Its manifest.
        **kwargs: As for ``BaseSegDataset``.
    """

    def __init__(self, data_root: str, manifest: Dict[str, Any], **kwargs: Any) -> None:
        self.manifest = manifest
        self.layout = layout = SegLayout.from_dict(manifest['layout'])
        decided = by_manifest(
            data_root, kwargs, dict(
                data_prefix=dict(img_path=layout.image_dir, seg_map_path=layout.mask_dir),
                img_suffix=layout.image_suffix, seg_map_suffix=layout.mask_suffix,
                reduce_zero_label=layout.reduce_zero_label, ann_file=layout.ann_file,
                ignore_index=layout.ignore_index),
            dict(classes=tuple(manifest['classes']), palette=manifest['palette']))
        # The manifest lists the files, so mmseg gets no ann_file.
        super().__init__(data_root=data_root, **{**decided, 'ann_file': ''}, **kwargs)

    def load_data_list(self) -> List[dict]:
        """One entry per image of the manifest, in the plan's order."""
        label_map = None if self.layout.label_map is None else dict(self.layout.label_map)
        return [dict(img_path=listed_file(self.data_root, image['image']),
                     seg_map_path=listed_file(self.data_root, image['mask']), label_map=label_map,
                     reduce_zero_label=self.reduce_zero_label, seg_fields=[]) for image in self.manifest['images']]
