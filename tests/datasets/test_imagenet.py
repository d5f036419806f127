"""Folder trees of ImageNet, compared with the order of classes of the weights."""
import shutil

import pytest
from mmengine.config import Config
from mmpretrain.datasets import ImageNet
from mmpretrain.datasets.categories import IMAGENET_CATEGORIES
from PIL import Image

from mmdistill.datasets import DatasetLabels
from mmdistill.errors import DistillError
from mmdistill.imagenet import imagenet_ids, imagenet_wnids
from mmdistill.registry import DATASETS

WNIDS = imagenet_wnids()


@pytest.fixture
def tree(tmp_path):
    for wnid in ('n01', 'n02', 'n03', 'n04'):
        (tmp_path / 'val' / wnid).mkdir(parents=True)
        Image.new('RGB', (8, 8)).save(tmp_path / f'val/{wnid}/x.JPEG')
    return tmp_path


def build(root, classes):
    return DATASETS.build(dict(type='mmdistill.ImageNetSubset', data_root=str(root), split='val', classes=classes,
                               metainfo=dict(label_texts=('a', 'b')), pipeline=[]))


def test_only_the_configured_classes_are_read(tree):
    dataset = build(tree, ['n04', 'n02'])
    assert isinstance(dataset, ImageNet) and dataset.metainfo['classes'] == ('n04', 'n02')
    assert dataset.metainfo['label_texts'] == ('a', 'b')
    labels = {info['img_path'].split('/')[-2]: info['gt_label'] for info in map(dataset.get_data_info, range(2))}
    assert len(dataset) == 2 and labels == {'n04': 0, 'n02': 1}


def test_bad_classes(tree):
    with pytest.raises(DistillError, match='twice'):
        build(tree, ['n01', 'n01'])
    with pytest.raises(DistillError, match='no class folder at .*/val/n09: check'):
        build(tree, ['n01', 'n09'])
    with pytest.raises(DistillError, match=r'no class folder at .*/val/n08 \(and 1 others\): check'):
        build(tree, ['n09', 'n08', 'n01'])


@pytest.mark.parametrize('name, count, some', [('imagewoof', 10, dict(n02115641='dingo')),
                                               ('imagenette', 10, dict(n03000684='chain saw')),
                                               ('imagenet100', 100, dict(n02869837='bonnet', n07831146='carbonara'))])
def test_lists_have_sorted_ids_and_a_text_each(root, name, count, some):
    cfg = Config.fromfile(root / f'configs/_base_/datasets/{name}.py')
    texts = dict(zip(cfg.classes, cfg.label_texts, strict=True))
    assert len(texts) == len(set(texts.values())) == count and sorted(texts) == list(cfg.classes)
    assert some.items() <= texts.items()
    assert imagenet_ids(cfg.classes) == list(cfg.imagenet_ids)
    for class_id, text in zip(cfg.imagenet_ids, cfg.label_texts):  # mmpretrain's names, in the order of the ids
        assert text.lower() in IMAGENET_CATEGORIES[class_id].lower()


def test_the_order_is_sorted():
    assert len(WNIDS) == len(set(WNIDS)) == 1000 and list(WNIDS) == sorted(WNIDS)
    assert imagenet_ids(WNIDS) == list(range(1000)) and imagenet_ids(['n02979186', 'n01440764']) == [482, 0]
    assert imagenet_ids(IMAGENET_CATEGORIES) is None and imagenet_ids(['n01440764', 'n99999999']) is None


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    """The 1000 folders with one empty file each, since no image is read; without val."""
    root = tmp_path_factory.mktemp('imagenet')
    for wnid in WNIDS:
        (root / 'train' / wnid).mkdir(parents=True)
        (root / 'train' / wnid / f'{wnid}_1.JPEG').touch()
    return root


@pytest.fixture
def imagenet(whole):
    """``imagenet(**changes)`` renames folders while a dataset of all classes is built."""

    def built(kind='mmdistill.ImageNet1K', **changes):
        places = {whole / 'train' / old: whole / 'train' / new if new else whole / old for old, new in changes.items()}
        for old, new in places.items():
            old.rename(new)
        try:
            return DATASETS.build(dict(type=kind, data_root=str(whole), split='train', pipeline=[]))
        finally:
            for old, new in places.items():
                new.rename(old)

    return built


def test_a_tree_of_all_classes(imagenet):
    ours, stock = imagenet(), imagenet('mmpretrain.ImageNet')
    assert [ours.get_data_info(i) for i in range(1000)] == [stock.get_data_info(i) for i in range(1000)]
    assert ours.metainfo == stock.metainfo and DatasetLabels(ours).folders == WNIDS
    assert DatasetLabels(ours).label_texts[:2] == ('tench, Tinca tinca', 'goldfish, Carassius auratus')


@pytest.mark.parametrize('changes, message', [
    (dict(n01440764='n01440765'), r'/train is not ImageNet-1K: no folder for n01440764 \(tench\); n01440765 not in '
     'its classes: rename or remove what is wrong'),
    (dict(n15075141=''), r'/train is not ImageNet-1K: no folder for n15075141 \(toilet tissue\): rename'),
    ({wnid: f'x{wnid}' for wnid in WNIDS[:5]}, r'no folder for n01440764 \(tench\), n01443537 \(goldfish\), n01484850 '
     r'\(great white shark\) and 2 others; xn01440764, xn01443537, xn01484850 and 2 others not in its')])
def test_a_wrong_folder_is_named(imagenet, changes, message):
    with pytest.raises(DistillError, match=message) as error:
        imagenet(**changes)
    assert '\n' not in str(error.value)


def test_an_additional_folder_is_named(imagenet, whole):
    (whole / 'train' / 'n00000000').mkdir()
    try:
        with pytest.raises(DistillError, match='is not ImageNet-1K: n00000000 not in its classes: rename or remove'):
            imagenet()
    finally:
        (whole / 'train' / 'n00000000').rmdir()


@pytest.mark.parametrize('changes, message', [
    (dict(n01443537='n01443536'), "ImageNet: n01443536 is not one of ImageNet's 1000 classes"),
    # The last folder becomes the first, and every other has the id of its neighbour.
    (dict(n15075141='n00000001'), 'n00000001 is not one of'),
    (dict(n01440764='tench'), "images of n01443537 have class id 0, but .* 0 is n01440764 and n01443537 is 1: check")])
def test_mmpretrains_own_dataset_is_checked_too(imagenet, changes, message):
    dataset = imagenet('mmpretrain.ImageNet', **changes)
    with pytest.raises(DistillError, match=message):
        DatasetLabels(dataset)


@pytest.mark.parametrize('kind', ['mmdistill.ImageNet1K', 'mmpretrain.ImageNet'])
def test_the_ids_of_a_list_are_checked(tmp_path, kind):
    (tmp_path / 'meta').mkdir()
    file = tmp_path / 'meta/train.txt'

    def read(*lines):
        file.write_text('\n'.join(lines) + '\n')
        return DatasetLabels(DATASETS.build(dict(type=kind, data_root=str(tmp_path), split='train', pipeline=[])))

    assert read('n01443537/a.JPEG 1', 'n01440764/b.JPEG 0', 'flat.JPEG 7').labels.tolist() == [1, 0, 7]
    with pytest.raises(DistillError, match='images of n01443537 have class id 2'):
        read('n01440764/b.JPEG 0', 'n01443537/a.JPEG 2')


def test_kaggles_flat_validation_set(tmp_path):
    """ILSVRC/Data/CLS-LOC/val, and the list of the archive three folders above."""
    data = tmp_path / 'ILSVRC/Data/CLS-LOC'
    (data / 'val').mkdir(parents=True)
    for number in (1, 2, 3):
        (data / f'val/ILSVRC2012_val_0000000{number}.JPEG').touch()

    def read(**settings):
        dataset = DATASETS.build(dict(dict(type='mmdistill.ImageNet1K', data_root=str(data), split='val', pipeline=[]),
                                      **settings))
        return {info['img_path'][-6]: info['gt_label'] for info in map(dataset.get_data_info, range(len(dataset)))}

    with pytest.raises(DistillError, match='contains images instead of class folders: put LOC_val_solution.csv into'):
        read()
    lines = ['ImageId,PredictionString', 'ILSVRC2012_val_00000002,n01440764 1 2 3 4 n01440764 5 6 7 8',
             'ILSVRC2012_val_00000001,n15075141 1 2 3 4 ']
    (tmp_path / 'LOC_val_solution.csv').write_text('\n'.join(lines))
    with pytest.raises(DistillError, match=r'LOC_val_solution.csv has no line for ILSVRC2012_val_00000003.JPEG'):
        read()
    shutil.copy(tmp_path / 'LOC_val_solution.csv', data)
    with (data / 'LOC_val_solution.csv').open('a') as file:  # the nearer list counts
        file.write('\nILSVRC2012_val_00000003,n01443537 1 2 3 4')
    assert read() == {'1': 999, '2': 0, '3': 1}
    subset = dict(type='mmdistill.ImageNetSubset', classes=['n01443537', 'n15075141'])
    assert read(**subset) == {'1': 1, '3': 0}


def test_other_trees_and_numbers_of_classes(tmp_path):
    for folder in ('train', 'train/cats'):
        (tmp_path / folder).mkdir()
        with pytest.raises(DistillError, match=r'1000|no folder for n01440764 \(tench\), .*check data_root'):
            DATASETS.build(dict(type='mmdistill.ImageNet1K', data_root=str(tmp_path), split='train', pipeline=[]))
    with pytest.raises(DistillError, match='has 1000 classes, not 2: for some of them use type=mm'):
        DATASETS.build(dict(type='mmdistill.ImageNet1K', data_root=str(tmp_path), split='train', pipeline=[],
                            classes=['a', 'b']))
