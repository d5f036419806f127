"""Masks, with mmseg's ``LoadAnnotations`` in the dataset as the reference."""
import io
import re
import zipfile

import numpy as np
import pytest
from mmengine.fileio import BaseStorageBackend, register_backend
from mmseg.datasets import BaseSegDataset
from mmseg.datasets.transforms import LoadAnnotations
from mmseg.registry import TRANSFORMS
from PIL import Image

from mmdistill.datasets import DatasetMasks
from mmdistill.errors import DistillError

IDS = np.random.default_rng(0).choice(np.array([0, 1, 2, 255]), (9, 11)).astype(np.uint8)
GREY = Image.fromarray(IDS)
DEEP = Image.fromarray(np.where(IDS == 255, 2**16 - 1, IDS.astype(np.uint16)))
META = dict(classes=('a', 'b', 'c'), palette=[[0, 0, 0], [9, 9, 9], [99, 99, 99]])


def palette(image):
    image = image.copy()
    image.putpalette([(37 * i) % 256 for i in range(768)])
    return image


def file(image, kind='PNG', **settings):
    buffer = io.BytesIO()
    image.save(buffer, kind, **settings)
    return buffer.getvalue()


FILES = {
    'PNG': file(GREY), 'palette': file(palette(GREY)), '16-bit': file(DEEP), 'TIFF': file(GREY, 'TIFF'),
    'palette TIFF': file(palette(GREY), 'TIFF'), '16-bit TIFF': file(DEEP, 'TIFF'), 'LZW': file(
        GREY, 'TIFF', compression='tiff_lzw'), '32-bit TIFF': file(Image.fromarray(IDS.astype(np.int32)), 'TIFF'),
    'signed': file(Image.fromarray(np.where(IDS == 255, -1, IDS.astype(np.int32))), 'TIFF'),
    'float': file(Image.fromarray(IDS.astype(np.float32)), 'TIFF'), 'BMP': file(GREY, 'BMP'),
    'GIF': file(palette(Image.fromarray(IDS % 253)), 'GIF'), '1-bit': file(Image.fromarray(IDS == 1)),
    'EXIF': file(GREY, exif=b'Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0'),
}


@pytest.fixture
def data(tmp_path):
    for folder in ('images', 'masks'):
        (tmp_path / folder).mkdir()
    Image.new('RGB', (11, 9)).save(tmp_path / 'images/0.jpg')
    (tmp_path / 'masks/0.png').write_bytes(FILES['PNG'])
    return tmp_path


def dataset(data, *pipeline, cls=BaseSegDataset, **changes):
    arguments = dict(data_root=str(data), data_prefix=dict(img_path='images', seg_map_path='masks'), metainfo=META,
                     pipeline=list(pipeline))
    return cls(**{**arguments, **changes})


class Renamed(BaseSegDataset):
    """Classes in another order, and a removed one."""
    METAINFO = dict(classes=('c', 'x', 'a'), palette=[[0, 0, 0]] * 3)

    def _update_palette(self):
        return [[0, 0, 0]] * len(self._metainfo['classes'])


LOAD = dict(type='mmseg.LoadAnnotations')


@pytest.mark.parametrize('changes', [dict(), dict(reduce_zero_label=True), dict(cls=Renamed, metainfo=dict(
    classes=('a', 'c')))], ids=['plain', 'reduce', 'label_map'])
@pytest.mark.parametrize('name', FILES)
def test_ids_are_those_of_stock_trainings(data, name, changes):
    (data / 'masks/0.png').write_bytes(FILES[name])
    stock = dataset(data, LOAD, **changes)
    expected = stock[0]['gt_seg_map']
    assert 255 in expected or name in ('1-bit', 'GIF')  # Pillow packs the ids of a GIF
    for one in (stock, dataset(data, LOAD, **changes), dataset(data, **changes)):
        masks = DatasetMasks(one)
        np.testing.assert_array_equal(masks.mask(masks.masks[0]), expected)
        np.testing.assert_array_equal(masks.checked_mask(0), expected)


@pytest.mark.parametrize('kind', ['cv2', 'tifffile'])
def test_other_decoders(data, kind):
    (data / 'masks/0.png').write_bytes(FILES['16-bit TIFF'])
    one = dataset(data, dict(LOAD, imdecode_backend=kind))
    np.testing.assert_array_equal(DatasetMasks(one).checked_mask(0), IDS)
    np.testing.assert_array_equal(one[0]['gt_seg_map'], IDS)


def refused(data, say, *pipeline, **changes):
    with pytest.raises(DistillError, match=say) as error:
        DatasetMasks(dataset(data, *pipeline, **changes)).checked_mask(0)
    assert '\n' not in str(error.value)


def values(array, dtype):
    return file(Image.fromarray(np.where(IDS == 1, array, 0).astype(dtype)), 'TIFF')


CUT = file(Image.fromarray(np.random.default_rng(0).integers(0, 3, (64, 64)).astype(np.uint8)))[:200]
WRONG = {
    'above': (values(300, np.uint16), rf'id 300 in {(IDS == 1).sum()} pixels does not fit into 8 bits'),
    'below': (values(-2, np.int32), 'id -2 in .* does not fit'), 'half': (values(0.5, np.float32), 'id 0.5 in .*'),
    'nan': (values(np.nan, np.float32), 'id nan in .* does not fit'), 'class': (values(3, np.uint16), 'id 3 in .*0..2'),
    'RGB': (file(GREY.convert('RGB')), 'a RGB mask contains colours, not class ids: save it as a grey or palette PNG'),
    'RGBA': (file(GREY.convert('RGBA')), 'RGBA'), 'LA': (file(GREY.convert('LA')), 'LA'),
    'RGB TIFF': (file(GREY.convert('RGB'), 'TIFF'), 'RGB'), 'WebP': (file(GREY, 'WEBP'), 'RGB'),
    'JPEG': (file(GREY, 'JPEG'), 'JPEG compression changes the ids'), 'empty': (b'', 'readable mask .it is empty'),
    'text': (b'no mask', 'is not a readable mask .unknown format'), 'cut': (CUT, 'is not a readable mask .*runcated'),
}


@pytest.mark.parametrize('name', WRONG)
def test_masks_that_cannot_be_read_are_named(data, name):
    content, say = WRONG[name]
    path = data / 'masks/0.png'
    path.write_bytes(content)
    for pipeline in ((), (LOAD, )):
        refused(data, f'^{re.escape(str(path))}.*{say}', *pipeline)


def test_places_that_hold_no_mask(data):
    path = data / 'masks/0.png'
    path.unlink()
    refused(data, f'no mask at {path}')
    path.mkdir()
    refused(data, f'{path} is not a readable mask .Is a directory')


def test_advice_on_the_pipeline(data):
    refused(data, r'LoadAnnotations.reduce_zero_label=True. of the pipeline and reduce_zero_label=False of the dataset',
            dict(LOAD, reduce_zero_label=True))
    (data / 'masks/0.png').write_bytes(FILES['palette'])
    refused(data, r"0.png: imdecode_backend='cv2' reads a palette as colours: leave it out", dict(
        LOAD, imdecode_backend='cv2'))
    refused(data, 'ignore_index 300 is out of range', ignore_index=300)


@TRANSFORMS.register_module(force=True)
class LoadColours(LoadAnnotations):
    """Masks painted in the colours of the classes; white is ignored."""

    def _load_seg_map(self, results):
        colours = np.asarray(Image.open(results['seg_map_path']))
        results['gt_seg_map'] = np.where(colours[..., 0] == 255, 255, colours[..., 0] // 40).astype(np.int64)
        results['seg_fields'].append('gt_seg_map')


@TRANSFORMS.register_module(force=True)
class LoadShifted(LoadAnnotations):
    """Stock reading of a mask whose ids are one too high, in the shape of its image."""

    def transform(self, results):
        results = super().transform(results)
        assert results['gt_seg_map'].shape == results['img_shape']
        results['gt_seg_map'] = (results['gt_seg_map'] + 1) % 3
        return results


@pytest.mark.parametrize('name', ['LoadColours', 'LoadShifted'])
def test_a_transform_of_ones_own(data, name):
    ids = np.where(IDS == 255, 2, IDS) if name == 'LoadShifted' else IDS
    shown = Image.fromarray(ids) if name == 'LoadShifted' else Image.fromarray(
        np.repeat(np.where(ids == 255, 255, ids * 40 + 5)[..., None], 3, 2).astype(np.uint8))
    shown.save(data / 'masks/0.png')
    one = dataset(data, dict(type='mmseg.LoadImageFromFile'), dict(type=f'mmseg.{name}'))
    masks = DatasetMasks(one)
    before = masks.fingerprint()
    np.testing.assert_array_equal(masks.checked_mask(0), one[0]['gt_seg_map'])
    assert masks.fingerprint() == before
    (data / 'masks/0.png').write_bytes(b'')
    refused(data, '0.png is not a readable mask', dict(type='mmseg.LoadImageFromFile'), dict(type=f'mmseg.{name}'))


def test_its_ids_are_checked(data):
    Image.new('RGB', (11, 9), (130, 0, 0)).save(data / 'masks/0.png')
    refused(data, '0.png: id 3 in 99 pixels is out of range', dict(type='mmseg.LoadColours'))


@register_backend('test_masks', force=True)
class Archive(BaseStorageBackend):
    def __init__(self, file):
        self.archive = zipfile.ZipFile(file)

    def get(self, filepath):
        return self.archive.read(str(filepath).rpartition('data/')[2])

    def get_text(self, filepath, encoding='utf-8'):
        return self.get(filepath).decode(encoding)

    def list_dir_or_file(self, dir_path, list_dir=True, list_file=True, suffix=None, recursive=False):
        folder = str(dir_path).rpartition('data/')[2] + '/'
        return (name[len(folder):] for name in self.archive.namelist() if name.startswith(folder))


def test_storage_backends(data, tmp_path):
    """Nothing is on the local disk under these names."""
    with zipfile.ZipFile(tmp_path / 'set.zip', 'w') as zipped:
        for name in ('images/0.jpg', 'masks/0.png'):
            zipped.write(data / name, name)
    args = dict(backend='test_masks', file=str(tmp_path / 'set.zip'))
    elsewhere = dict(data_root='data', backend_args=args)
    masks = DatasetMasks(dataset(data, **elsewhere))
    np.testing.assert_array_equal(masks.checked_mask(0), IDS)
    assert (masks.pair(0, (9, 11))[0] == 0).all() and masks.masks == ['data/masks/0.png']
    assert masks.fingerprint() == DatasetMasks(dataset(data, **elsewhere)).fingerprint()
    with zipfile.ZipFile(tmp_path / 'set.zip', 'a') as zipped:
        zipped.writestr('more', b'')
    assert masks.fingerprint() != DatasetMasks(dataset(data, LOAD)).fingerprint()
    ours = DatasetMasks(dataset(data, dict(LOAD, backend_args=args), **elsewhere))
    np.testing.assert_array_equal(ours.checked_mask(0), IDS)


def test_the_fingerprint_knows_how_masks_are_read(data):
    kinds = [dataset(data), dataset(data, dict(LOAD, imdecode_backend='cv2')), dataset(data, ignore_index=0),
             dataset(data, reduce_zero_label=True), dataset(data, dict(
                 type='mmseg.LoadImageFromFile', color_type='grayscale'))]
    assert len({DatasetMasks(one).fingerprint() for one in kinds}) == 5
