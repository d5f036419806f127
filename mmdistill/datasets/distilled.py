"""A distilled set as a data set of mmsegmentation that reads itself from its manifest."""
import os.path as osp
from typing import Any, List

from mmseg.datasets import BaseSegDataset

from mmdistill.errors import DistillError
from mmdistill.registry import DATASETS
from .layouts import SegLayout
from .manifest import MANIFEST, read_manifest


@DATASETS.register_module()
class DistilledDataset(BaseSegDataset):
    """Any distilled segmentation set, whatever its layout: classes, palette, names and encoding are its manifest's.

    The data set types of the host read the same folder by their own rules; this one needs none.

    Args:
        data_root: The folder that ``tools/distill.py`` wrote.
        **kwargs: As for mmseg's ``BaseSegDataset`` (``pipeline``, ``indices``, ...). Those that the manifest decides
            may be left in a config as long as they agree with it.

    Raises:
        DistillError: The set is unfinished, a listed file is missing, or an argument contradicts the manifest.

    Examples:
        >>> train_dataloader = dict(dataset=dict(
        ...     type='mmdistill.DistilledDataset', data_root='work_dirs/run/distilled', pipeline=train_pipeline))
    """

    def __init__(self, data_root: str, **kwargs: Any) -> None:
        self.manifest = read_manifest(data_root)
        self.layout = layout = SegLayout.from_dict(self.manifest['layout'])
        given = dict(
            data_prefix=dict(img_path=layout.image_dir, seg_map_path=layout.mask_dir),
            img_suffix=layout.image_suffix,
            seg_map_suffix=layout.mask_suffix,
            reduce_zero_label=layout.reduce_zero_label,
            ann_file=layout.ann_file)
        for key, value in given.items():
            if kwargs.pop(key, value) != value:
                raise DistillError(f'{key} of {data_root} is {value!r} by its {MANIFEST}: leave it out of the config')
        metainfo = dict(classes=tuple(self.manifest['classes']), palette=self.manifest['palette'])
        own = kwargs.pop('metainfo', None) or {}
        if tuple(own.get('classes', metainfo['classes'])) != metainfo['classes']:
            raise DistillError(f'the classes of {data_root} are those of its {MANIFEST}: leave them out of metainfo')
        # The files are listed by the manifest, so the host looks for no ann_file.
        super().__init__(data_root=data_root, metainfo={**own, **metainfo}, **{**given, 'ann_file': ''}, **kwargs)

    def load_data_list(self) -> List[dict]:
        """One entry an image of the manifest, in the plan's order."""
        label_map = None if self.layout.label_map is None else dict(self.layout.label_map)
        entries = []
        for image in self.manifest['images']:
            img_path, seg_map_path = (osp.join(self.data_root, image[key]) for key in ('image', 'mask'))
            for path in (img_path, seg_map_path):
                if not osp.isfile(path):
                    raise DistillError(f'{path} is in {MANIFEST} but not on disk: restore it, or delete the manifest '
                                       'and run tools/distill.py … --resume')
            entries.append(
                dict(
                    img_path=img_path,
                    seg_map_path=seg_map_path,
                    label_map=label_map,
                    reduce_zero_label=self.reduce_zero_label,
                    seg_fields=[]))
        return entries
