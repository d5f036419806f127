import numpy as np
import pytest
from mmengine.fileio import get
from mmengine.registry import DATASETS
from torch.utils.data import DataLoader

from mmdistill.datasets import DatasetLabels
from mmdistill.toy.objects import ObjectPictures
from mmdistill.toy.object_pictures import CLASSES, object_picture
from mmdistill.errors import DistillError
from mmdistill.evaluation.guards import check_overlap

PIPELINE = [dict(_scope_='mmpretrain', type='LoadImageFromFile'), dict(_scope_='mmpretrain', type='PackInputs')]


def same_as_drawn(sample, index, size=64, split='train'):
    image, label, _ = object_picture(index, split, size)
    return (np.array_equal(sample['inputs'].permute(1, 2, 0).numpy()[..., ::-1], image)
            and sample['data_samples'].gt_label.tolist() == [label])


@pytest.mark.parametrize('size', [64, 128])
def test_stock_transforms_read_the_pictures(size):
    dataset = DATASETS.build(dict(type='mmdistill.ObjectPictures', num_images=12, size=size, pipeline=PIPELINE))
    assert len(dataset) == 12 and dataset.metainfo['classes'] == CLASSES
    assert all(same_as_drawn(dataset[index], index, size) for index in (0, 3, 11))


def test_workers_that_are_spawned():
    dataset = ObjectPictures(num_images=10, split='val', pipeline=PIPELINE)
    loader = DataLoader(dataset, batch_size=None, num_workers=1, multiprocessing_context='spawn')
    assert all(same_as_drawn(sample, index, split='val') for index, sample in enumerate(loader))


def test_labels_for_synthesis():
    source = DatasetLabels(ObjectPictures(num_images=25, pipeline=[]))
    assert source.counts.tolist() == [3] * 5 + [2] * 5
    assert source.folders == source.label_texts == CLASSES
    assert np.array_equal(source.image(13, (64, 64), crop=True), object_picture(13)[0])
    others = [ObjectPictures(num_images=24, pipeline=[]), ObjectPictures(num_images=25, split='val', pipeline=[]),
              ObjectPictures(num_images=25, size=128, pipeline=[])]
    prints = {DatasetLabels(dataset).fingerprint() for dataset in others} | {source.fingerprint()}
    assert len(prints) == 4 and len(set(source.images)) == 25


def test_overlap_is_seen_by_address():
    train, test = (DatasetLabels(ObjectPictures(num_images=20, split=split, pipeline=[])).images
                   for split in ('train', 'test'))
    check_overlap('real', train, test)
    with pytest.raises(DistillError, match='1 of its images are test images'):
        check_overlap('real', train + test[:1], test)


@pytest.mark.parametrize('wrong', [dict(split='training'), dict(num_images=9), dict(size=16)])
def test_bad_arguments(wrong):
    with pytest.raises(DistillError, match='ObjectPictures'):
        ObjectPictures(pipeline=[], **wrong)


@pytest.mark.parametrize('address', ['objects://train/64/boat', 'objects://none/64/boat/000000.png',
                                     'objects://train/64/car/000000.png', 'objects://train/x/boat/0.png',
                                     'objects://train/64/clock/-8.png'])
def test_no_such_picture(address):
    with pytest.raises(FileNotFoundError, match='no such object picture'):
        get(address)
