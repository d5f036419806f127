"""COCO-Stuff as a dataset for stock mmseg pipelines, from any of its annotation formats."""
import os.path as osp
from dataclasses import replace
from typing import Any, Dict, List, Literal, Mapping, Optional

from mmengine.fileio import list_dir_or_file
from mmengine.logging import print_log
from mmseg.datasets import COCOStuffDataset

from mmdistill.datasets.layouts import LAYOUTS, SegLayout
from mmdistill.errors import DistillError
from mmdistill.masks import IGNORE
from mmdistill.registry import DATASETS
from mmdistill.settings import setting, validated
from .forms import json_index, mask_uri, share_index
from .ids import OFFICIAL, UNUSED
from .index import JsonIndex

SUFFIXES = dict(stuffthingmaps='.png', train_ids='_labelTrainIds.png', mat='.mat', json='')


@DATASETS.register_module()
class COCOStuff(COCOStuffDataset):
    """COCO-Stuff, 171 classes, read from any of its official formats without conversion.

    ====================  ==========================================================================================
    ``stuffthingmaps``    The authors' pixel maps ``<stem>.png`` in ``data_prefix.seg_map_path``: 0..181 and 255.
    ``train_ids``         ``<stem>_labelTrainIds.png`` from ``mmdistill convert`` or mmseg's converters: 0..170 and
                          255; those of the 10k set contain 1..171 and 0, and need ``reduce_zero_label=True``.
    ``json``              ``ann_file=stuff_*.json`` and ``things_file=instances_*.json``, or one ``ann_file`` with both.
                          pycocotools decodes one image at a time; for the memory, see :class:`~.index.JsonIndex`.
    ``mat``               Version 1.1 of the 10k set: ``<stem>.mat``, with ``ann_file=imageLists/train.txt``.
    ====================  ==========================================================================================

    Masks are train ids in every format. ``train_ids`` are plain files; masks of the other formats have URIs
    (:mod:`~.forms`), so that stock pipelines can read them. An id without a class raises an error that names the file.

    An image is used if it is in the image folder and in ``ann_file``, if there is one, so any subset of the images
    works. In the pixel maps, the authors drew things over stuff. For ``json``, see :class:`~.index.JsonIndex`: things
    are drawn over stuff, later annotations over earlier ones, and crowds are ignored unless ``crowds`` is set.

    With the writer's layout ``'source'``, a distilled set is written in the same format for ``stuffthingmaps`` and
    ``train_ids``. For ``json`` and ``mat``, it is written in the layouts of mmseg's configs, ``'coco_stuff164k'`` and
    ``'coco_stuff10k'``.

    Args:
        form: See above.
        ann_file: See above. For PNG files: a list of stems, to use only some images of the folder.
        things_file: See above; relative to ``data_root``, like ``ann_file``.
        crowds: Whether to use annotations of crowds; only with ``json``.
        seg_map_suffix: Suffix of the mask files after the stem; default: the suffix of the format.
        **kwargs: As for mmseg's ``BaseSegDataset`` (``data_root``, ``data_prefix``, ``pipeline``, ...).

    Raises:
        DistillError: The settings do not fit the format, there is no image, or a file has another format.

    Examples:
        >>> dict(type='mmdistill.COCOStuff', form='json', data_root='data/coco',
        ...      data_prefix=dict(img_path='val2017'), ann_file='annotations/stuff_val2017.json',
        ...      things_file='annotations/instances_val2017.json', pipeline=[])
    """

    @validated
    def __init__(self, form: Literal['stuffthingmaps', 'train_ids', 'json', 'mat'] = 'stuffthingmaps',
                 ann_file: str = '', things_file: str = '', crowds: bool = False,
                 seg_map_suffix: Optional[str] = None, **kwargs: Any) -> None:
        self.check(dict(kwargs, form=form, ann_file=ann_file, things_file=things_file, crowds=crowds),
                   type(self).__name__)
        self.form, self.things_file, self.crowds = form, things_file, crowds
        self.index: Optional[JsonIndex] = None
        suffix = SUFFIXES[form] if seg_map_suffix is None else seg_map_suffix
        super().__init__(ann_file=ann_file, seg_map_suffix=suffix, **kwargs)

    @classmethod
    def check(cls, settings: Mapping[str, Any], where: str) -> None:
        """Raise a DistillError where the settings of a config do not fit each other."""
        form, masks = setting(cls, settings, 'form'), (settings.get('data_prefix') or {}).get('seg_map_path')
        if form == 'json' and (masks or not settings.get('ann_file')):
            raise DistillError(f"{where}: form='json' reads ann_file (stuff_*.json) and things_file "
                               '(instances_*.json): set these, and no data_prefix.seg_map_path')
        if form != 'json' and not masks:
            raise DistillError(f'{where}: form={form!r} reads files *{SUFFIXES[form]}: set data_prefix.seg_map_path to '
                               'their folder')
        if wrong := [key for key in ('things_file', 'crowds') if settings.get(key) and form != 'json']:
            raise DistillError(f"{where}.{wrong[0]} is only for form='json', and form is {form!r}: remove it")
        if settings.get('reduce_zero_label') and form != 'train_ids':
            raise DistillError(f"{where}.reduce_zero_label belongs to form='train_ids' of the 10k set; with "
                               f'{form!r} the masks are train ids without it: leave it out')

    def __setstate__(self, state: Dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self.index is not None:
            share_index(self.index)

    def _join_prefix(self) -> None:
        super()._join_prefix()
        if self.things_file and not osp.isabs(self.things_file):
            self.things_file = osp.join(self.data_root, self.things_file)

    def load_data_list(self) -> List[dict]:
        """One entry per image, in the order of their paths, in mmseg's format."""
        return self._json_data() if self.form == 'json' else self._file_data()

    def _json_data(self) -> List[dict]:
        files = [file for file in (self.ann_file, self.things_file) if file]
        self.index = json_index(files, self.crowds)
        entries = [dict(img_path=osp.join(self.data_prefix['img_path'], name.decode()),
                        seg_map_path=mask_uri('json', files, image_id, self.crowds), label_map=self.label_map,
                        reduce_zero_label=False, seg_fields=[])
                   for image_id, name in zip(self.index.ids.tolist(), self.index.names)]
        return sorted(self._with_images(entries), key=lambda entry: entry['img_path'])

    def _file_data(self) -> List[dict]:
        entries = super().load_data_list()
        if self.form != 'train_ids':
            for entry in entries:
                entry['seg_map_path'] = mask_uri(self.form, [entry['seg_map_path']])
        return self._with_images(entries) if self.ann_file else entries

    def _with_images(self, entries: List[dict]) -> List[dict]:
        """The entries whose image is in the folder."""
        folder = self.data_prefix['img_path']
        files = {osp.join(folder, name) for name in list_dir_or_file(
            folder, list_dir=False, recursive=True, backend_args=self.backend_args)}
        found = [entry for entry in entries if entry['img_path'] in files]
        if not found:
            raise DistillError(f'none of the {len(entries)} images of {self.ann_file} is in {folder}: check '
                               'data_prefix.img_path and img_suffix')
        if len(found) < len(entries):
            print_log(f'{len(found)} of the {len(entries)} images of {self.ann_file} are in {folder}', 'current')
        return found

    def source_layout(self) -> SegLayout:
        """Layout in which a distilled set of this dataset is written; see the class."""
        if self.form == 'train_ids':
            return SegLayout.of_files(self)
        if self.form != 'stuffthingmaps':
            mmseg = LAYOUTS[dict(json='coco_stuff164k', mat='coco_stuff10k')[self.form]]
            return replace(mmseg, name='source', num_classes=len(self.metainfo['classes']))
        new = dict(self.label_map or zip(range(171), range(171)))
        pairs = [*((official - 1, new[train] % 256) for train, official in enumerate(OFFICIAL)),
                 *((official - 1, IGNORE) for official in UNUSED)]
        return replace(SegLayout.of_files(self), label_map=tuple(sorted(pairs)))
