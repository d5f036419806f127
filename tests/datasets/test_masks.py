import cv2
import numpy as np
import pytest
from mmseg.datasets import BaseSegDataset

from mmdistill.datasets import DatasetMasks
from mmdistill.toy.streets import StreetScenes
from mmdistill.errors import DistillError

META = dict(classes=('a', 'b', 'c'), palette=[[0, 0, 0], [1, 1, 1], [2, 2, 2]])


@pytest.fixture
def data(tmp_path):
    for folder in ('images', 'masks'):
        (tmp_path / folder).mkdir()
    for index in range(3):
        cv2.imwrite(str(tmp_path / 'images' / f'{index}.jpg'), np.full((6, 8, 3), 60 * index, np.uint8))
        mask = np.full((6, 8), index + 1, np.uint8)
        mask[0] = 0
        cv2.imwrite(str(tmp_path / 'masks' / f'{index}.png'), mask)
    return tmp_path


def dataset(data, **changes):
    arguments = dict(data_root=str(data), data_prefix=dict(img_path='images', seg_map_path='masks'), metainfo=META,
                     reduce_zero_label=True, pipeline=[])
    return BaseSegDataset(**{**arguments, **changes})


def test_histograms_are_those_that_training_would_see(data, tmp_path):
    masks = DatasetMasks(dataset(data))
    assert masks.histograms(tmp_path / 'cache.npz', workers=0).tolist() == (np.eye(3, dtype=int) * 40).tolist()
    mask = masks.mask(masks.masks[1])
    assert (mask[0] == 255).all() and (mask[1:] == 1).all()


def test_a_changed_file_is_read_again(data, tmp_path):
    cache = tmp_path / 'cache.npz'
    DatasetMasks(dataset(data)).histograms(cache, workers=0)
    changed = np.full((6, 8), 3, np.uint8)
    changed[:3] = 1
    cv2.imwrite(str(data / 'masks' / '0.png'), changed)
    assert DatasetMasks(dataset(data)).histograms(cache, workers=0)[0].tolist() == [24, 0, 24]


def test_histograms_are_shared_by_work_dirs(data, tmp_path, monkeypatch):
    monkeypatch.setenv('MMDISTILL_CACHE', str(tmp_path / 'shared'))
    monkeypatch.setattr(DatasetMasks, 'checked_mask', lambda self, index, read=DatasetMasks.checked_mask: (
        seen.append(index), read(self, index))[1])
    seen, masks, caches = [], DatasetMasks(dataset(data)), [tmp_path / name / 'class_histograms.npz' for name in 'ab']
    first = masks.histograms(caches[0], workers=0)
    assert len(seen) == len(masks) and np.array_equal(masks.histograms(caches[1], workers=0), first)
    assert len(seen) == len(masks) and caches[0].read_bytes() == caches[1].read_bytes()
    entry, = (tmp_path / 'shared').rglob('*.npz')
    entry.write_bytes(b'damaged')
    assert np.array_equal(masks.histograms(caches[0], workers=0), first) and len(seen) == 2 * len(masks)
    assert np.array_equal(masks.histograms(tmp_path / 'c.npz', workers=0), first) and len(seen) == 2 * len(masks)


def test_an_entry_of_the_cache_replaces_only_histograms_that_are_not_good(data, tmp_path, monkeypatch):
    monkeypatch.setenv('MMDISTILL_CACHE', str(tmp_path / 'shared'))
    masks, path = DatasetMasks(dataset(data)), tmp_path / 'work' / 'class_histograms.npz'
    counts = masks.histograms(path, workers=0)
    entry, = (tmp_path / 'shared').rglob('*.npz')
    for damaged in (b'damaged', entry.read_bytes()[:100]):
        entry.unlink()  # the file in the work dir is a link to it
        entry.write_bytes(damaged)
        before = path.stat()
        assert np.array_equal(masks.histograms(path, workers=0), counts)
        assert path.stat().st_ino == before.st_ino and path.stat().st_mtime_ns == before.st_mtime_ns
    path.rename(tmp_path / 'good.npz')
    path.write_bytes(b'damaged')
    assert np.array_equal(masks.histograms(path, workers=0), counts)
    monkeypatch.setattr(DatasetMasks, 'checked_mask', lambda *_: pytest.fail('read though cached'))
    path.write_bytes(b'damaged')
    entry.unlink()
    entry.write_bytes((tmp_path / 'good.npz').read_bytes())
    assert np.array_equal(masks.histograms(path, workers=0), counts)


def test_pairs_are_squashed(data):
    image, mask = DatasetMasks(dataset(data)).pair(2, (3, 4))
    assert image.shape == (3, 4, 3) and image.dtype == np.uint8 and abs(int(image.mean()) - 120) <= 2
    assert mask.shape == (3, 4) and set(np.unique(mask)) <= {2, 255}


def test_built_in_scenes():
    masks = DatasetMasks(StreetScenes(num_scenes=3, size=32, pipeline=[]))
    counts = masks.histograms(workers=0)
    assert counts.shape == (3, 11) and (counts.sum(1) == 32 * 32).all()


@pytest.mark.parametrize('changes, say', [
    (dict(metainfo=None), 'has no class names'),
    (dict(img_suffix='.webp', serialize_data=False), r"no file in .*images ends in '.webp'; it has 3 files"),
    (dict(data_prefix=dict(img_path='images')), 'has no masks'),
])
def test_datasets_without_required_settings(data, changes, say):
    with pytest.raises(DistillError, match=say):
        DatasetMasks(dataset(data, **changes))


def test_an_image_that_is_broken(data):
    (data / 'images' / '1.jpg').write_bytes(b'no image')
    with pytest.raises(DistillError, match='1.jpg is not a readable image'):
        DatasetMasks(dataset(data)).checked_mask(1)
