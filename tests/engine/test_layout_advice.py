"""Datasets whose folders cannot be written: refused before a mask is read, with advice that works."""
import pprint
import re

import numpy as np
import pytest
from mmseg.datasets import BaseSegDataset
from mmseg.datasets.transforms import LoadAnnotations
from PIL import Image

from mmdistill.registry import DATASETS

from .conftest import layout_generator

BOTH = 'coco_stuff164k or coco_stuff10k'
ALL = f'ade20k, {BOTH}'


@pytest.fixture
def make(root, weights, tmp_path):
    """``make(folder, suffix, masks, mask_suffix)`` makes images and masks of class 0, ``config(...)`` a config."""

    def write(images, suffix, masks, mask_suffix, count=2):
        for index in range(count):
            mask = np.full((32, 32), 1 + index, np.uint8)
            for folder, end, array in ((images, suffix, np.dstack([mask * 60] * 3)), (masks, mask_suffix, mask)):
                path = tmp_path / folder / f'{index}{end}'
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(array).save(path)

    def config(layout=None, classes=11, kind='mmseg.BaseSegDataset', **dataset):
        keys = dict(
            model=dict(type='Distiller', generator=layout_generator(weights, num_steps=1)),
            test_dataloader=dict(batch_size=2, num_workers=0, dataset=dict(
                type=kind, reduce_zero_label=True, metainfo=dict(classes=[f'c{i}' for i in range(classes)]),
                **dataset)),
            test_cfg=dict(type='DistillLoop', writer=dict(type='SegWriter', **(dict(layout=layout) if layout else {}))),
            test_evaluator=[], default_hooks=dict(checkpoint=None),
            custom_hooks=[dict(type='MaskSelectionHook', selector=dict(type='RandomSelector', budget=2), workers=0)])
        path = tmp_path / 'config.py'
        path.write_text('\n'.join([f'_base_ = {str(root / "configs/_base_/default_runtime.py")!r}'] + [
            f'{key} = {pprint.pformat(value, sort_dicts=False)}' for key, value in keys.items()]))
        return path

    write.config = config
    return write


@pytest.fixture
def refused(tools, make, tmp_path):
    """``refused(say, **config)``: a dry run ends with that one line, and no mask is read."""

    def check(say, before='', **settings):
        done = tools('distill', make.config(**settings), '--work-dir', tmp_path / 'work', '--dry-run', before=before)
        lines = [line for line in done.stderr.splitlines() if line.startswith('error: ')]
        assert done.returncode == 1 and 'Traceback' not in done.stderr and len(lines) == 1, done.stderr[-3000:]
        assert re.search(say, lines[0]), lines[0]
        assert not list(tmp_path.glob('work/*.npz')) and 'Reading' not in done.stdout

    return check


@pytest.fixture
def distilled(tools, make, tmp_path):
    """``distilled(**config)``: the train ids of the masks that a run writes, read through the manifest."""

    def run(work='work', before='', **settings):
        done = tools('distill', make.config(**settings), '--work-dir', tmp_path / work, before=before)
        assert done.returncode == 0, done.stderr[-3000:]
        dataset = DATASETS.build(dict(type='mmdistill.DistilledDataset', data_root=str(tmp_path / work / 'distilled')))
        return sorted(np.unique(LoadAnnotations()(dataset[i])['gt_seg_map']).tolist() for i in range(len(dataset)))

    return run


def test_images_of_another_type(make, refused, distilled, tmp_path):
    make('data/images', '.tif', 'data/masks', '.png')
    data = dict(data_root=str(tmp_path / 'data'), img_suffix='.tif',
                data_prefix=dict(img_path='images', seg_map_path='masks'))
    say = r"layout 'source': it cannot write images as \*\.tif: "
    refused(f'{say}set test_cfg.writer.layout to {ALL}, or save the images as .png or .jpg, and set img_suffix', **data)
    refused(f'{say}set test_cfg.writer.layout to {BOTH}, or save', classes=160, **data)
    refused(f'{say}no other layout holds 180 classes: save the images as .png', classes=180, **data)
    refused(f"layout 'ade20k' holds 150 classes, the dataset 160; {say}set .* to {BOTH}", layout='ade20k',
            classes=160, **data)
    assert distilled(layout='ade20k', **data) == [[0], [1]]
    for path in (tmp_path / 'data/images').iterdir():  # the other advice
        Image.open(path).save(path.with_suffix('.png'))
    assert distilled('other', **dict(data, img_suffix='.png')) == [[0], [1]]


def test_a_layout_of_too_few_classes(make, refused, tmp_path):
    make('data/images', '.png', 'data/masks', '.png')
    data = dict(data_root=str(tmp_path / 'data'), img_suffix='.png',
                data_prefix=dict(img_path='images', seg_map_path='masks'))
    refused(f"layout 'ade20k' holds 150 classes, the dataset 160: set test_cfg.writer.layout to source, {BOTH}",
            layout='ade20k', classes=160, **data)
    refused("layout 'coco_stuff164k' holds 171 classes, the dataset 180: set test_cfg.writer.layout to source$",
            layout='coco_stuff164k', classes=180, **data)


def test_a_suffix_without_its_dot(make, refused, distilled, tmp_path):
    make('data/images', '.png', 'data/masks', '.png')
    data = dict(data_root=str(tmp_path / 'data'), data_prefix=dict(img_path='images', seg_map_path='masks'))
    refused(r"images as \*png: .*, or write img_suffix='\.png', with its dot", img_suffix='png', **data)
    refused(r"masks as \*png: .*, or write seg_map_suffix='\.png', with its dot", img_suffix='.png',
            seg_map_suffix='png', **data)
    assert distilled(img_suffix='.png', **data) == [[0], [1]]


@pytest.mark.parametrize('settings, folder, advice', [
    (dict(data_root='{}/data/lists', data_prefix=dict(img_path='../images', seg_map_path='../masks')), '../images',
     "set data_root='{}/data', data_prefix=dict(img_path='images', seg_map_path='masks')"),
    (dict(data_root=None, data_prefix=dict(img_path='{}/data/images', seg_map_path='{}/data/masks')), '{}/data/images',
     "set data_root='{}/data', data_prefix=dict(img_path='images', seg_map_path='masks')"),
    (dict(data_root='', data_prefix=dict(img_path='{}/data/images', seg_map_path='{}/data/masks')), '{}/data/images',
     "set data_root='{}/data', data_prefix=dict(img_path='images', seg_map_path='masks')"),
    (dict(data_root='{}/data', data_prefix=dict(img_path='images', seg_map_path='masks'), ann_file='{}/lists/a.txt'),
     '../lists/a.txt', "set data_root='{}', data_prefix=dict(img_path='data/images', seg_map_path='data/masks'), "
     "ann_file='lists/a.txt'"),
])
def test_files_outside_the_data_root(make, refused, distilled, tmp_path, settings, folder, advice):
    make('data/images', '.png', 'data/masks', '.png')
    for name in ('lists', 'data/lists'):
        (tmp_path / name).mkdir()
    (tmp_path / 'lists/a.txt').write_text('0\n1\n')

    def filled(value):
        return {key: filled(one) for key, one in value.items()} if isinstance(value, dict) else (
            value and value.replace('{}', str(tmp_path)))

    advice = filled(advice)
    refused(f'{re.escape(filled(folder))} is outside the data root.*: set test_cfg.writer.layout to {ALL}, or '
            f'{re.escape(advice)}$', img_suffix='.png', **filled(settings))
    assert distilled(layout='coco_stuff10k', img_suffix='.png', **filled(settings)) == [[0], [1]]
    followed = eval(f'dict({advice.removeprefix("set ")})')
    assert distilled('other', img_suffix='.png', **followed) == [[0], [1]]
    read = BaseSegDataset(img_suffix='.png', reduce_zero_label=True, metainfo=dict(classes=['a']), **dict(
        followed, data_root=str(tmp_path / 'other/distilled')))  # the source's config reads the set
    assert len(read) == 2


def test_a_data_root_through_a_link(make, distilled, tmp_path):
    make('data/images', '.png', 'data/masks', '.png')
    (tmp_path / 'link').symlink_to(tmp_path / 'data')
    prefix = dict(img_path=str(tmp_path / 'data/images'), seg_map_path='masks')
    assert distilled(img_suffix='.png', data_root=str(tmp_path / 'link'), data_prefix=prefix) == [[0], [1]]
    assert sorted(path.name for path in (tmp_path / 'work/distilled').iterdir()) == ['images', 'masks', 'meta']


MERGED = '''
from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS

@DATASETS.register_module()
class Merged(BaseSegDataset):
    def load_data_list(self):
        self.label_map = {0: 0, 1: 0, 2: 1}
        return super().load_data_list()
'''


def test_a_label_map_of_two_ids_to_one(make, refused, distilled, tmp_path):
    make('data/images', '.png', 'data/masks', '.png')
    data = dict(data_root=str(tmp_path / 'data'), img_suffix='.png', kind='mmseg.Merged', before=MERGED,
                data_prefix=dict(img_path='images', seg_map_path='masks'))
    refused(f'the label map maps two ids to one class, .*: set test_cfg.writer.layout to {ALL}, or save', **data)
    assert distilled(layout='ade20k', **data) == [[0], [0]]


def test_images_that_are_masks(make, refused, tmp_path):
    make('data/all', '.png', 'data/all', '.png')
    refused("an image and its mask would have the same file name: .*set data_prefix.seg_map_path to the masks' own",
            data_root=str(tmp_path / 'data'), img_suffix='.png',
            data_prefix=dict(img_path='all', seg_map_path='all'))


def test_a_suffix_that_no_file_has(make, refused, tmp_path):
    make('data/images', '.png', 'data/masks', '.png')
    data = dict(data_root=str(tmp_path / 'data'), data_prefix=dict(img_path='images', seg_map_path='masks'))
    refused(r"no file in .*/masks ends in '\.bmp'; it has 2 files \*\.png: set seg_map_suffix, data_root or",
            img_suffix='.png', seg_map_suffix='.bmp', **data)
    refused(r"no file in .*/images ends in '\.bmp'; it has 2 files \*\.png: set img_suffix", img_suffix='.bmp', **data)
