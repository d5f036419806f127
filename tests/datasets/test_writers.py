import errno
import io
import os
import resource

import numpy as np
import pytest
from PIL import Image

from mmdistill.datasets.layouts import SegLayout
from mmdistill.datasets.writers import SegWriter
from mmdistill.errors import DistillError
from mmdistill.registry import WRITERS

SIZE = 64


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    smooth = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    image = np.asarray(Image.fromarray(smooth).resize((SIZE, SIZE), Image.BICUBIC))
    mask = rng.integers(0, 20, (SIZE, SIZE), dtype=np.uint8)
    mask[:3] = 255
    return image, mask


def files(root):
    return sorted(str(p.relative_to(root)) for p in root.rglob('*') if p.is_file())


@pytest.mark.parametrize('name, image_name, mask_name', [
    ('ade20k', 'images/training/7.jpg', 'annotations/training/7.png'),
    ('coco_stuff164k', 'images/train2017/7.jpg', 'annotations/train2017/7_labelTrainIds.png'),
    ('coco_stuff10k', 'images/train2014/7.jpg', 'annotations/train2014/7_labelTrainIds.png'),
])
def test_written_pair(tmp_path, pair, name, image_name, mask_name):
    image, mask = pair
    writer = WRITERS.build(dict(type='SegWriter', root=str(tmp_path / 'new/set'), layout=name))
    assert not writer.done('7')
    writer.write('7', image, mask)
    assert writer.done('7')
    assert files(writer.root) == sorted([image_name, mask_name])
    written = Image.open(writer.root / mask_name)
    assert (written.mode, written.format) == ('L', 'PNG')
    np.testing.assert_array_equal(writer.layout.decoding()[np.asarray(written)], mask)
    stored = Image.open(writer.root / image_name)
    assert [component[1:3] for component in stored.layer] == [(1, 1)] * 3  # no chroma subsampling
    error = np.asarray(stored.convert('RGB'), float) - image
    assert np.abs(error).mean() < 2, 'the channels are swapped or the quality is low'


def test_jpeg_quality_is_95(tmp_path, pair):
    writer = SegWriter(tmp_path, 'ade20k')
    writer.write('a', *pair)
    expected = io.BytesIO()
    Image.fromarray(pair[0]).save(expected, 'JPEG', quality=95, subsampling=0)
    assert Image.open(writer.paths('a')[0]).quantization == Image.open(expected).quantization


def test_png_source_is_lossless_and_keeps_its_suffix(tmp_path, pair):
    writer = SegWriter(tmp_path, SegLayout('source', 'left', 'gt', '_left.png', '_gt.png'))
    writer.write('a', *pair)
    assert files(tmp_path) == ['gt/a_gt.png', 'left/a_left.png']
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / 'left/a_left.png')), pair[0])
    assert Image.open(tmp_path / 'left/a_left.png').format == 'PNG'
    assert writer.describe((8, 9)) == dict(format='PNG', size=[8, 9])


def test_same_bytes_again(tmp_path, pair):
    contents = []
    for run in 'ab':
        writer = SegWriter(tmp_path / run, 'ade20k')
        writer.write('x', *pair)
        contents.append([path.read_bytes() for path in writer.paths('x')])
    assert contents[0] == contents[1]


@pytest.mark.parametrize('lost', [0, 1])
@pytest.mark.parametrize('how', ['missing', 'empty'])
def test_half_a_pair_is_not_done(tmp_path, pair, lost, how):
    writer = SegWriter(tmp_path, 'ade20k')
    writer.write('x', *pair)
    path = writer.paths('x')[lost]
    path.unlink()
    if how == 'empty':
        path.touch()
    assert not writer.done('x')


def test_wrong_arrays_write_nothing(tmp_path, pair):
    image, mask = pair
    writer = SegWriter(tmp_path, 'ade20k')
    for bad_image, bad_mask, message in [
        (image / 255., mask, 'uint8'), (image[..., :1], mask, r'\(H, W, 3\)'), (image[..., 0], mask, r'\(H, W, 3\)'),
        (image, mask.astype(np.int64), 'int64'), (image, mask[:-1], r'\(64, 64\)'),
        (image, np.full_like(mask, 200), '200')
    ]:
        with pytest.raises(DistillError, match=message):
            writer.write('x', bad_image, bad_mask)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('name', ['', '../x', 'a/b', '.x'])
def test_ids_that_are_no_file_names(tmp_path, pair, name):
    with pytest.raises(DistillError, match='not a valid file name'):
        SegWriter(tmp_path, 'ade20k').write(name, *pair)


@pytest.mark.parametrize('failing_write', [1, 2])
def test_full_disk_leaves_nothing_half_written(tmp_path, pair, monkeypatch, failing_write):
    calls, replace = [], os.replace

    def full(source, target):
        calls.append(target)
        if len(calls) == failing_write:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(source, target)

    monkeypatch.setattr(os, 'replace', full)
    writer = SegWriter(tmp_path, 'ade20k')
    with pytest.raises(DistillError, match='No space left') as caught:
        writer.write('x', *pair)
    assert '\n' not in str(caught.value)
    assert files(tmp_path) == []


def test_file_size_limit_leaves_nothing_half_written(tmp_path):
    writer = SegWriter(tmp_path, 'ade20k')
    noise = np.random.default_rng(0).integers(0, 256, (512, 512, 3), dtype=np.uint8)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))  # the mask fits, the image does not
    try:
        with pytest.raises(DistillError, match='cannot write .*x.jpg'):
            writer.write('x', noise, np.zeros((512, 512), np.uint8))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert files(tmp_path) == []


def test_failed_replacement_keeps_the_finished_pair(tmp_path, pair, monkeypatch):
    writer = SegWriter(tmp_path, 'ade20k')
    writer.write('x', *pair)
    replace = os.replace

    def full(source, target):
        if str(target).endswith('.jpg'):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(source, target)

    monkeypatch.setattr(os, 'replace', full)
    with pytest.raises(DistillError):
        writer.write('x', *pair)
    assert writer.done('x')


def test_a_file_in_place_of_the_folder(tmp_path, pair):
    (tmp_path / 'distilled').write_text('')
    with pytest.raises(DistillError, match='another folder') as caught:
        SegWriter(tmp_path / 'distilled', 'ade20k').write('x', *pair)
    assert '\n' not in str(caught.value)
    assert files(tmp_path) == ['distilled']
