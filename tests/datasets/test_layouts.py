"""Layouts, with the dataset classes and LoadAnnotations of mmseg as the reference."""
from dataclasses import asdict

import numpy as np
import pytest
from mmseg.datasets import ADE20KDataset, BaseSegDataset, COCOStuffDataset
from mmseg.datasets.transforms import LoadAnnotations
from PIL import Image

from mmdistill.datasets.layouts import LAYOUTS, SegLayout, get_layout
from mmdistill.toy.streets import StreetScenes
from mmdistill.errors import DistillError


class Shapes(BaseSegDataset):
    METAINFO = dict(classes=('sky', 'road', 'car', 'tree'), palette=[[0, 0, 0], [1, 1, 1], [2, 2, 2], [3, 3, 3]])


def all_ids(layout, num_classes):
    return np.array([*range(num_classes), 255], np.uint8)[:, None].repeat(3, 1)


def read_by_mmseg(dataset):
    return LoadAnnotations()(dataset[0])['gt_seg_map']


def stock(name, root):
    prefix = dict(img_path=LAYOUTS[name].image_dir, seg_map_path=LAYOUTS[name].mask_dir)
    if name == 'ade20k':
        return ADE20KDataset(data_root=root, data_prefix=prefix)
    return COCOStuffDataset(data_root=root, data_prefix=prefix, reduce_zero_label=name == 'coco_stuff10k')


def put(root, layout, mask):
    for name, array in zip(layout.files('a.b').values(), (np.zeros((*mask.shape, 3), np.uint8), layout.encode(mask))):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(array).save(root / name)


@pytest.mark.parametrize('name', LAYOUTS)
def test_stock_class_reads_back_every_id(name, tmp_path):
    layout = LAYOUTS[name]
    mask = all_ids(layout, layout.num_classes)
    put(tmp_path, layout, mask)
    dataset = stock(name, str(tmp_path))
    assert len(dataset) == 1
    assert len(dataset.metainfo['classes']) == layout.num_classes
    np.testing.assert_array_equal(read_by_mmseg(dataset), mask)
    np.testing.assert_array_equal(layout.decoding()[layout.encode(mask)], mask)


@pytest.mark.parametrize('name, expected', [('ade20k', [1, 150, 0]), ('coco_stuff164k', [0, 149, 255]),
                                            ('coco_stuff10k', [1, 150, 0])])
def test_ids_in_the_files(name, expected):
    mask = np.array([[0, 149, 255]], np.uint8)
    encoded = LAYOUTS[name].encode(mask)
    assert encoded.dtype == np.uint8
    assert encoded.tolist() == [expected]


@pytest.mark.parametrize('reduce_zero_label', [False, True])
@pytest.mark.parametrize('classes', [None, ('tree', 'sky')])
def test_source_layout_is_read_by_the_source_config(tmp_path, reduce_zero_label, classes):
    config = dict(
        data_root=str(tmp_path),
        data_prefix=dict(img_path='left/train', seg_map_path='gt'),
        img_suffix='_left.png',
        seg_map_suffix='_ids.png',
        reduce_zero_label=reduce_zero_label,
        metainfo=None if classes is None else dict(classes=classes))
    layout = get_layout('source', Shapes(lazy_init=True, **config))
    assert layout.files('x') == dict(image='left/train/x_left.png', mask='gt/x_ids.png')
    assert layout.image_format == 'PNG'
    mask = all_ids(layout, 4 if classes is None else 2)
    put(tmp_path, layout, mask)
    np.testing.assert_array_equal(read_by_mmseg(Shapes(**config)), mask)
    if classes is not None:  # tree is the fourth class of the source's own ids, counted from 1 with reduce_zero_label
        assert layout.encode(np.zeros((1, 1), np.uint8)).item() == 3 + reduce_zero_label
    assert SegLayout.from_dict(asdict(layout)) == layout


@pytest.mark.parametrize('ignore_index', [0, 2, 200])
@pytest.mark.parametrize('changes', [dict(), dict(reduce_zero_label=True), dict(metainfo=dict(classes=(
    'tree', 'car', 'sky')))], ids=['plain', 'reduce', 'label_map'])
def test_the_ignore_index_of_the_dataset_is_written(tmp_path, changes, ignore_index):
    """Trainings with the config of the source ignore this id, but not 255."""
    config = dict(data_root=str(tmp_path), data_prefix=dict(img_path='i', seg_map_path='m'), ignore_index=ignore_index)
    layout = SegLayout.of_dataset(Shapes(lazy_init=True, **config, **changes))
    known = [i for i in range(3) if i != ignore_index]
    mask = np.array([*known, 255], np.uint8)[:, None].repeat(3, 1)
    put(tmp_path, layout, mask)
    read = read_by_mmseg(Shapes(**config, **changes))
    assert read[:, 0].tolist() == [*known, ignore_index]
    np.testing.assert_array_equal(layout.decoding()[layout.encode(mask)], mask)
    assert SegLayout.from_dict(asdict(layout)) == layout
    old = asdict(layout)
    del old['ignore_index']
    assert SegLayout.from_dict(old).ignore_index == 255


def test_many_removed_classes():
    """As in older mmseg, which maps them to -1; and two ignored classes."""
    pairs = ((0, -1), (1, 0), (2, -1), (3, 1))
    layout = SegLayout('source', 'i', 'm', label_map=pairs, num_classes=2)
    assert layout.encode(np.array([[0, 1, 255]], np.uint8)).tolist() == [[1, 3, 255]]
    assert layout.decoding()[:5].tolist() == [255, 0, 255, 1, 4]
    two = SegLayout('source', 'i', 'm', label_map=((0, 0), (1, 0), (2, 1)), num_classes=2, ignore_index=0)
    assert two.encode(np.array([[1, 255]], np.uint8)).tolist() == [[2, 0]]


def test_source_with_a_list_of_files(tmp_path):
    (tmp_path / 'splits').mkdir()
    (tmp_path / 'splits/train.txt').write_text('x\n')
    layout = get_layout('source', Shapes(data_root=str(tmp_path), ann_file='splits/train.txt',
                                         data_prefix=dict(img_path='i', seg_map_path='m')))
    assert layout.ann_file == 'splits/train.txt'


def test_a_source_without_files():
    layout = get_layout('source', StreetScenes(num_scenes=1, lazy_init=True))
    assert layout.files('7') == dict(image='images/7.png', mask='masks/7.png')


@pytest.mark.parametrize('layout, wrong', [
    (LAYOUTS['ade20k'], 150),
    (LAYOUTS['coco_stuff164k'], 171),
    (LAYOUTS['coco_stuff10k'], 171),
    (SegLayout('source', 'i', 'm', reduce_zero_label=True), 254),
    (SegLayout('source', 'i', 'm', label_map=((0, 255), (1, 0))), 1),
])
def test_an_id_without_an_mmseg_id(layout, wrong):
    layout.encode(np.array([[wrong - 1, 255]], np.uint8))
    with pytest.raises(DistillError, match=f'class id {wrong} '):
        layout.encode(np.array([[0, wrong]], np.uint8))


@pytest.mark.parametrize('values, message', [
    (dict(image_dir='/data/i'), 'outside the data root'),
    (dict(mask_dir='../m'), 'outside the data root'),
    (dict(image_suffix='.tif'), r'cannot write images as \*\.tif'),
    (dict(mask_suffix='.mat'), r'cannot write masks as \*\.mat'),
    (dict(mask_dir='i', image_suffix='.png'), 'same file name'),
    (dict(label_map=((0, 1), (1, 1))), 'maps two ids to one class'),
])
def test_layouts_that_cannot_be_written(values, message):
    with pytest.raises(DistillError, match=message):
        SegLayout(**{**dict(name='source', image_dir='i', mask_dir='m'), **values})


def test_unknown_layout():
    with pytest.raises(DistillError, match='ade20k, coco_stuff164k'):
        get_layout('ade')
    with pytest.raises(DistillError, match='source'):
        get_layout('source')
