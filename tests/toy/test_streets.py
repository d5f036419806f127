import numpy as np
import pytest
from mmengine.registry import DATASETS
from mmseg.utils import register_all_modules
from torch.utils.data import DataLoader

from mmdistill.toy.streets import StreetScenes
from mmdistill.toy.street_scenes import CLASSES, street_scene
from mmdistill.errors import DistillError

PIPELINE = [dict(_scope_='mmseg', type='LoadImageFromFile'), dict(_scope_='mmseg', type='LoadAnnotations'),
            dict(_scope_='mmseg', type='PackSegInputs')]


@pytest.fixture(autouse=True)
def modules():
    register_all_modules(init_default_scope=False)


def same_as_drawn(sample, index, size=64, split='train'):
    image, mask = street_scene(index, split, size)
    return (np.array_equal(sample['inputs'].permute(1, 2, 0).numpy()[..., ::-1], image)
            and np.array_equal(sample['data_samples'].gt_sem_seg.data[0].numpy(), mask))


@pytest.mark.parametrize('size', [64, 128])
def test_stock_transforms_read_the_scenes(size):
    dataset = DATASETS.build(dict(type='mmdistill.StreetScenes', num_scenes=3, size=size, pipeline=PIPELINE))
    assert len(dataset) == 3 and dataset.metainfo['classes'] == CLASSES
    assert all(same_as_drawn(dataset[index], index, size) for index in range(3))


def test_workers_that_are_spawned():
    dataset = StreetScenes(num_scenes=2, split='val', pipeline=PIPELINE)
    loader = DataLoader(dataset, batch_size=None, num_workers=1, multiprocessing_context='spawn')
    assert all(same_as_drawn(sample, index, split='val') for index, sample in enumerate(loader))


@pytest.mark.parametrize('wrong', [dict(split='training'), dict(num_scenes=0), dict(size=16)])
def test_bad_arguments(wrong):
    with pytest.raises(DistillError, match='StreetScenes'):
        StreetScenes(pipeline=[], **wrong)


@pytest.mark.parametrize('address', ['streets://train/64/images', 'streets://none/64/images/000000.png',
                                     'streets://train/64/depth/000000.png', 'streets://train/x/images/0.png'])
def test_no_such_scene(address):
    from mmengine.fileio import get
    with pytest.raises(FileNotFoundError, match='no such street scene'):
        get(address)
