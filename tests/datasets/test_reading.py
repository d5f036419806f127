"""Images, with OpenMMLab's ``LoadImageFromFile`` as the reference, pixel for pixel."""
import io
import multiprocessing
import pickle
import re
import struct
import zipfile
import zlib
from types import SimpleNamespace

import numpy as np
import pytest
from mmcv.transforms import BaseTransform, LoadImageFromFile
from mmengine.dataset import Compose
from mmengine.fileio import BaseStorageBackend, register_backend
from PIL import Image, PngImagePlugin

from mmdistill.datasets.reading import ImageReader
from mmdistill.errors import DistillError

RANDOM = np.random.default_rng(0)
GREY = np.kron(RANDOM.integers(0, 256, (5, 7)), np.ones((8, 8))).astype(np.uint8)
COLOUR = Image.fromarray(np.kron(RANDOM.integers(0, 256, (5, 7, 3)), np.ones((8, 8, 1))).astype(np.uint8))
DEEP = Image.fromarray(GREY.astype(np.uint16) * 201)


def file(image, kind='PNG', orientation=None, **settings):
    buffer = io.BytesIO()
    if orientation:
        exif = Image.Exif()
        exif[0x0112] = orientation
        settings['exif'] = exif.tobytes()
    image.save(buffer, kind, **settings)
    return buffer.getvalue()


def deep_colour(seed=0):
    import cv2
    pixels = np.random.default_rng(seed).integers(0, 2**16, (12, 10, 3)).astype(np.uint16)
    return cv2.imencode('.png', pixels)[1].tobytes()


def late_exif():
    """The orientation behind the pixels, where PNG allows it, too."""
    data = file(COLOUR, orientation=6)
    begin = data.index(b'eXIf') - 4
    end = begin + 12 + struct.unpack('>I', data[begin:begin + 4])[0]
    return data[:begin] + data[end:-12] + data[begin:end] + data[-12:]


FILES = {
    'PNG with late EXIF': late_exif(),
    'grey': file(Image.fromarray(GREY)), 'grey JPEG': file(Image.fromarray(GREY), 'JPEG'),
    '1-bit': file(Image.fromarray(GREY > 99)), '16-bit grey': file(DEEP), '16-bit TIFF': file(DEEP, 'TIFF'),
    '16-bit RGB': deep_colour(), 'LA': file(Image.fromarray(GREY).convert('LA')),
    'P': file(COLOUR.convert('P', palette=Image.Palette.ADAPTIVE)),
    'P with transparency': file(COLOUR.convert('P', palette=Image.Palette.ADAPTIVE), transparency=3),
    'RGBA': file(COLOUR.convert('RGBA')), 'CMYK': file(COLOUR.convert('CMYK'), 'JPEG'),
    'CMYK TIFF': file(COLOUR.convert('CMYK'), 'TIFF'), 'RGB': file(COLOUR), 'JPEG': file(COLOUR, 'JPEG'),
    'fine JPEG': file(COLOUR, 'JPEG', subsampling=0), 'progressive': file(COLOUR, 'JPEG', progressive=True),
    'WebP': file(COLOUR, 'WEBP'), 'RGBA WebP': file(COLOUR.convert('RGBA'), 'WEBP', lossless=True),
    'GIF': file(COLOUR, 'GIF'), 'BMP': file(COLOUR, 'BMP'), 'P BMP': file(COLOUR.convert('P'), 'BMP'),
    'TIFF': file(COLOUR, 'TIFF'), 'LZW': file(COLOUR, 'TIFF', compression='tiff_lzw'), 'PPM': file(COLOUR, 'PPM'),
    **{f'{kind} EXIF {n}': file(COLOUR, kind, n) for kind in ('JPEG', 'PNG', 'WEBP') for n in range(1, 9)},
    **{f'TIFF {n}': file(COLOUR, 'TIFF', tiffinfo={0x0112: n}) for n in (3, 6, 8)},
}
LOADERS = [dict(), dict(imdecode_backend='pillow'), dict(color_type='color_ignore_orientation'), dict(to_float32=True),
           dict(color_type='grayscale'), dict(color_type='grayscale', imdecode_backend='pillow')]


def reader(*transforms, **dataset):
    return ImageReader.of_dataset(SimpleNamespace(pipeline=Compose(transforms), **dataset))


@pytest.mark.parametrize('settings', LOADERS, ids=str)
@pytest.mark.parametrize('name', FILES)
def test_the_pixels_are_those_of_stock_trainings(tmp_path, name, settings):
    path = tmp_path / 'image'
    path.write_bytes(FILES[name])
    expected = LoadImageFromFile(**settings)(dict(img_path=str(path)))['img']
    expected = np.stack([expected] * 3, 2) if expected.ndim == 2 else expected[..., ::-1]
    read = pickle.loads(pickle.dumps(reader(LoadImageFromFile(**settings))))
    image = read(str(path))
    assert image.dtype == np.uint8 and image.flags.c_contiguous
    np.testing.assert_array_equal(image, expected)
    assert read.size(str(path)) == expected.shape[:2]
    if not settings:
        np.testing.assert_array_equal(ImageReader()(str(path)), expected)


def test_orientation_turns_the_picture(tmp_path):
    path = tmp_path / 'image.jpg'
    path.write_bytes(file(COLOUR, 'JPEG', 6, quality=100, subsampling=0))
    upright = np.asarray(COLOUR.transpose(Image.Transpose.ROTATE_270)).astype(int)
    assert ImageReader().size(str(path)) == (56, 40)
    assert abs(ImageReader()(str(path)) - upright).max() < 20


def test_the_size_is_of_the_header(tmp_path, monkeypatch):
    """To get its size, a photo is decoded only if it has an orientation tag or an unusual format."""
    monkeypatch.setattr(ImageReader, '__call__', lambda *_: pytest.fail('decoded'))
    for name in ('JPEG', 'JPEG EXIF 1', 'RGB', 'grey', 'progressive'):
        (tmp_path / 'image').write_bytes(FILES[name])
        assert ImageReader().size(str(tmp_path / 'image')) == (40, 56), name


def huge_png(side):
    def chunk(kind, data):
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
    packer = zlib.compressobj(9)
    row = bytes(1 + (side + 7) // 8)
    data = b''.join(packer.compress(row) for _ in range(side)) + packer.flush()
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', side, side, 1, 0, 0, 0, 0)) + chunk(
        b'IDAT', data) + chunk(b'IEND', b'')


def long_text():
    info = PngImagePlugin.PngInfo()
    info.add_text('comment', 'y' * 3_000_000, zip=True)
    return file(COLOUR, pnginfo=info)


def test_images_that_pillow_rejects_and_trainings_read(tmp_path, monkeypatch):
    path = tmp_path / 'image.png'
    path.write_bytes(long_text())
    with pytest.raises(ValueError):
        Image.open(path)
    assert ImageReader().size(str(path)) == (40, 56)
    np.testing.assert_array_equal(ImageReader()(str(path)), np.asarray(COLOUR))
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 40 * 56 // 3)
    path.write_bytes(FILES['RGB'])
    assert ImageReader().size(str(path)) == (40, 56)
    np.testing.assert_array_equal(ImageReader()(str(path)), np.asarray(COLOUR))


BROKEN = {
    'cut JPEG': (FILES['JPEG'][:-300], 'truncated, damaged'), 'cut PNG': (FILES['RGB'][:-40], 'truncated, damaged'),
    'empty': (b'', 'is empty'), 'text': (b'no image', 'unknown format'),
    'too large': (huge_png(2**15 + 8), 'too many pixels.*: scale it down'), 'missing': (None, 'No such file.*: add it'),
    'folder': (1, 'Is a directory'),
}


@pytest.mark.parametrize('settings', [dict(), dict(imdecode_backend='pillow')], ids=str)
@pytest.mark.parametrize('name', BROKEN)
def test_files_that_cannot_be_read_are_named(tmp_path, name, settings):
    data, say = BROKEN[name]
    path = tmp_path / 'image.jpg'
    if data == 1:
        path.mkdir()
    elif data is not None:
        path.write_bytes(data)
    if settings and name in ('cut JPEG', 'cut PNG'):
        say = '[Tt]runcated'
    elif settings and name == 'empty':
        say = 'unknown format'
    for read in (reader(LoadImageFromFile(**settings)), reader(LoadImageFromFile(ignore_empty=True, **settings))):
        with pytest.raises(DistillError, match=re.escape(str(path)) + ' is not a readable image') as error:
            read(str(path))
        assert '\n' not in str(error.value)
        assert re.search('truncated' if read.transform.ignore_empty else say, str(error.value)), error.value


@pytest.mark.parametrize('name', ['cut JPEG', 'cut PNG'])
def test_a_cut_file_is_found_when_its_size_is_asked_for(tmp_path, name):
    """The header is valid, so the file is decoded; a file with additional bytes at its end is not."""
    path, (data, say) = tmp_path / 'image.jpg', BROKEN[name]
    path.write_bytes(data)
    with pytest.raises(DistillError, match=f'{re.escape(str(path))} is not a readable image .*{say}'):
        ImageReader().size(str(path))
    path.write_bytes(FILES['JPEG'] + bytes(10))
    assert ImageReader().size(str(path)) == (40, 56)


class FourBands(BaseTransform):
    """As mmseg's LoadSingleRSImageFromFile."""

    def transform(self, results):
        results['img'] = np.full((4, 5, 4), 0.5, np.float32)
        return results


class LoadFourBands(FourBands):
    pass


@pytest.mark.parametrize('name, transform, say', [
    ('RGBA', LoadImageFromFile(color_type='unchanged'), r'uint8 \(40, 56, 4\) as LoadImageFromFile'),
    ('16-bit grey', LoadImageFromFile(color_type='unchanged'), r'uint16 \(40, 56\) as LoadImageFromFile'),
    ('RGB', LoadFourBands(), r'float32 \(4, 5, 4\) as LoadFourBands'),
])
def test_files_that_are_not_8_bit_images(tmp_path, name, transform, say):
    path = tmp_path / 'image.png'
    path.write_bytes(FILES[name])
    for read in (reader(transform).__call__, reader(transform).size):
        with pytest.raises(DistillError, match=f'^{re.escape(str(path))} is {say} loads it, but generators need 8-bit'):
            read(str(path))
    np.testing.assert_array_equal(reader(FourBands(), LoadImageFromFile())(str(path)), ImageReader()(str(path)))


@register_backend('test_archive', force=True)
class Archive(BaseStorageBackend):
    """A zip file as storage."""

    def __init__(self, file):
        self.archive = zipfile.ZipFile(file)

    def get(self, filepath):
        return self.archive.read(str(filepath))

    def get_text(self, filepath, encoding='utf-8'):
        return self.get(filepath).decode(encoding)


@pytest.fixture
def archive(tmp_path):
    with zipfile.ZipFile(tmp_path / 'images.zip', 'w') as zipped:
        for index in range(40):
            zipped.writestr(f'a/{index}.png', file(Image.fromarray(np.full((9, 9), index, np.uint8))))
    return dict(backend='test_archive', file=str(tmp_path / 'images.zip'))


def test_storage_backends(archive):
    """Of the transform or else of the dataset; paths need no ``://``."""
    for read in (reader(LoadImageFromFile(backend_args=archive)), reader(LoadImageFromFile(), backend_args=archive),
                 reader(backend_args=archive), reader(LoadImageFromFile(backend_args=archive), backend_args=dict(
                     backend='local'))):
        assert (read('a/3.png') == 3).all() and read.size('a/3.png') == (9, 9)
        with pytest.raises(DistillError, match='a/99.png is not a readable image .KeyError: There is no item'):
            read('a/99.png')
    for args, say in ((dict(backend='zpi'), "no storage backend 'zpi' is registered: use one of"),
                      (dict(archive, file='/no/file.zip'), r"'test_archive' cannot be used .No such file"),
                      (dict(archive, fle=1), "'test_archive' cannot be used .TypeError.*fle")):
        with pytest.raises(DistillError, match=say):
            reader(backend_args=args)


def test_a_fingerprint_depends_on_the_archive_and_the_transform(archive, tmp_path):
    paths = ['a/3.png', 'a/4.png']
    prints = [reader(backend_args=archive).fingerprint(paths), reader(backend_args=archive).fingerprint(paths[:1]),
              reader(LoadImageFromFile(color_type='grayscale'), backend_args=archive).fingerprint(paths)]
    with zipfile.ZipFile(archive['file'], 'a') as zipped:
        zipped.writestr('b', b'more')
    prints.append(reader(backend_args=archive).fingerprint(paths))
    assert len(set(prints)) == 4 and reader(backend_args=archive).fingerprint(paths) == prints[3]
    with pytest.raises(DistillError, match='cannot read a/3.png: No such file'):
        reader().fingerprint(paths)


def test_forked_workers_open_the_archive_themselves(archive):
    read = reader(backend_args=archive)
    assert (read('a/1.png') == 1).all()
    with multiprocessing.get_context('fork').Pool(2) as pool:
        images = pool.map(read, [f'a/{index % 40}.png' for index in range(400)], chunksize=1)
    assert [int(image.max()) for image in images] == [index % 40 for index in range(400)]
    assert {int(image.min()) for image in images} == set(range(40))


def test_values_in_a_manifest(archive):
    secret = dict(archive, token='abc', port=8, mapping={'a': 'b'})
    assert reader().public() == {} and reader(LoadFourBands()).public() == {}
    read = ImageReader(LoadImageFromFile(imdecode_backend='pillow', backend_args=secret))
    assert read.public() == dict(imdecode_backend='pillow', backend_args=dict(archive, port=8))
