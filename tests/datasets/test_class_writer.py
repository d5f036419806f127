"""ClassWriter, its manifest, and the datasets that read the set: DistilledDataset and those of mmpretrain."""
import hashlib
import io
import json

import numpy as np
import pytest
from mmpretrain.registry import DATASETS as MMPRETRAIN_DATASETS
from PIL import Image

import mmdistill.datasets  # noqa: F401
from mmdistill.datasets import ClassWriter, read_manifest, write_manifest
from mmdistill.datasets.distilled import distilled_dataset
from mmdistill.datasets.manifest import MANIFEST
from mmdistill.datasets.publishing import export_set
from mmdistill.datasets.verify import verify_set
from mmdistill.errors import DistillError
from mmdistill.plan import Plan, Request
from mmdistill.registry import WRITERS

WNIDS = ('n02086240', 'n01440764')  # not sorted: ids must come from the list


def make(root, **settings):
    requests = [Request(f'{wnid}/{n:05d}', 7 * n, classes=(label, ), prompt=wnid, latent=f'p#{label}/{n}')
                for n in range(2) for label, wnid in enumerate(WNIDS)]
    writer = WRITERS.build(dict(type='ClassWriter', root=str(root), **settings))
    rng = np.random.default_rng(0)
    images = [np.asarray(Image.fromarray(rng.integers(0, 256, (3, 3, 3), dtype=np.uint8)).resize((32, 32)))
              for _ in requests]
    for request, image in zip(requests, images):
        assert not writer.done(request.id)
        writer.write(request.id, image)
        assert writer.done(request.id)
    plan = Plan('D4M', 'h', 0, WNIDS, (), 9, tuple(requests), dict(label_texts=['Shih-Tzu', 'tench']))
    write_manifest(root, plan, writer.layout, {})
    return images


def test_tree_and_list(tmp_path):
    images = make(tmp_path)
    assert (tmp_path / 'meta/train.txt').read_text() == (
        'n02086240/00000.JPEG 0\nn01440764/00000.JPEG 1\nn02086240/00001.JPEG 0\nn01440764/00001.JPEG 1\n')
    path = tmp_path / 'train/n01440764/00001.JPEG'
    expected = io.BytesIO()
    Image.fromarray(images[3]).save(expected, 'JPEG', quality=95, subsampling=0)
    assert path.read_bytes() == expected.getvalue()
    entry = read_manifest(tmp_path)['images'][3]
    assert entry == dict(id='n01440764/00001', image='train/n01440764/00001.JPEG', seed=7, source_index=None,
                         source=None, source_mask=None, classes=[1], prompt='n01440764', latent='p#1/1',
                         sha256=dict(image=hashlib.sha256(path.read_bytes()).hexdigest()))


@pytest.mark.parametrize('size, expected', [(24, (24, 24)), ((16, 24), (24, 16)), (None, (32, 32))])
def test_size(tmp_path, size, expected):
    make(tmp_path, size=size)
    assert {Image.open(path).size for path in tmp_path.rglob('*.JPEG')} == {expected}


@pytest.mark.parametrize('resample', ['lanczos', 'bicubic', 'bilinear', 'hamming', 'box'])
def test_png_is_without_loss_and_resized_by_the_filter(tmp_path, resample):
    images = make(tmp_path, size=(16, 24), image_format='PNG', resample=resample)
    paths = [tmp_path / f'train/{wnid}/0000{n}.png' for n in range(2) for wnid in WNIDS]
    assert sorted(paths) == sorted(path for path in (tmp_path / 'train').rglob('*') if path.is_file())
    for path, image in zip(paths, images):
        picture = Image.open(path)
        expected = Image.fromarray(image).resize((24, 16), getattr(Image, resample.upper()))
        assert picture.format == 'PNG' and (np.asarray(picture) == np.asarray(expected)).all()
    assert [image['image'] for image in read_manifest(tmp_path)['images']] == [
        str(path.relative_to(tmp_path)) for path in paths]
    assert (tmp_path / 'meta/train.txt').read_text().splitlines()[1] == 'n01440764/00000.png 1'
    assert verify_set(tmp_path) == []


def test_quality(tmp_path):
    images = make(tmp_path, quality=60)
    expected = io.BytesIO()
    Image.fromarray(images[0]).save(expected, 'JPEG', quality=60, subsampling=0)
    assert (tmp_path / 'train/n02086240/00000.JPEG').read_bytes() == expected.getvalue()


def test_file_entries_of_the_manifest(tmp_path):
    for settings, expected in (
            (dict(), dict(format='JPEG', size=[32, 48], quality=95, subsampling='4:4:4')),
            (dict(size=(32, 48), resample='box'), dict(format='JPEG', size=[32, 48], quality=95, subsampling='4:4:4')),
            (dict(size=16, image_format='PNG'),
             dict(format='PNG', size=[16, 16], resized_from=[32, 48], resample='lanczos'))):
        assert ClassWriter(tmp_path, **settings).describe((32, 48)) == expected


@pytest.mark.parametrize('image_format', ['JPEG', 'PNG'])
@pytest.mark.parametrize('cfg', [
    dict(type='mmdistill.DistilledDataset'),
    dict(type='mmdistill.DistilledDataset', split='train', classes=list(WNIDS)),
    dict(type='ImageNet', split='train', classes=list(WNIDS)),
    dict(type='CustomDataset', data_prefix='train', ann_file='meta/train.txt', metainfo=dict(classes=WNIDS)),
    dict(type='CustomDataset', data_prefix='train', metainfo=dict(classes=sorted(WNIDS))),
])
def test_mmpretrain_reads_the_set(tmp_path, cfg, image_format):
    images = make(tmp_path, image_format=image_format)
    pipeline = [dict(type='LoadImageFromFile'), dict(type='PackInputs')]
    dataset = MMPRETRAIN_DATASETS.build(dict(cfg, data_root=str(tmp_path), pipeline=pipeline))
    if cfg['type'] == 'CustomDataset' and 'ann_file' not in cfg:  # the folders are listed, sorted
        assert dataset.get_gt_labels().tolist() == [0, 0, 1, 1]
        images = [images[index] for index in (1, 3, 0, 2)]
    else:
        assert tuple(dataset.metainfo['classes']) == WNIDS and dataset.get_gt_labels().tolist() == [0, 1, 0, 1]
    if 'Distilled' in cfg['type']:
        assert dataset.metainfo['label_texts'] == ('Shih-Tzu', 'tench')
    for sample, image in zip(dataset, images):
        read = sample['inputs'].numpy().transpose(1, 2, 0)[..., ::-1].astype(int)
        assert (read == image).all() if image_format == 'PNG' else 0 < np.abs(read - image).mean() < 2


@pytest.mark.parametrize('key, value', [('split', 'val'), ('classes', ['n01440764', 'n02086240']),
                                        ('ann_file', 'x.txt'), ('metainfo', dict(classes=('a', 'b')))])
def test_an_argument_against_the_manifest(tmp_path, key, value):
    make(tmp_path)
    with pytest.raises(DistillError, match='leave'):
        MMPRETRAIN_DATASETS.build(dict(type='mmdistill.DistilledDataset', data_root=str(tmp_path), **{key: value}))


def test_a_listed_file_is_missing(tmp_path):
    make(tmp_path)
    (tmp_path / 'train/n01440764/00001.JPEG').unlink()
    with pytest.raises(DistillError, match='00001.JPEG is in meta/distilled.json but not on disk'):
        MMPRETRAIN_DATASETS.build(dict(type='mmdistill.DistilledDataset', data_root=str(tmp_path)))


def test_wrong_images_ids_and_sizes(tmp_path):
    writer, image = ClassWriter(tmp_path), np.zeros((8, 8, 3), np.uint8)
    for bad in (image / 255., image[..., 0], image[:0]):
        with pytest.raises(DistillError, match='uint8'):
            writer.write('a/0', bad)
    for name in ('a', '../a', 'a/../b', 'a/', '/a', 'a/.b', 'a\\b/c'):
        with pytest.raises(DistillError, match='is not folder/name'):
            writer.write(name, image)
    for size in (0, (4, 4, 4)):
        with pytest.raises(DistillError, match='size'):
            ClassWriter(tmp_path, size)
    for settings, message in ((dict(image_format='png'), "image_format='png' is unknown: set it to 'JPEG' or 'PNG'"),
                              (dict(quality=101), 'quality=101 is out of range'),
                              (dict(image_format='PNG', quality=90), 'quality=90: PNG has no quality; leave it out'),
                              (dict(resample='nearest'), "resample='nearest' is unknown")):
        with pytest.raises(DistillError, match=message):
            ClassWriter(tmp_path, **settings)
    (tmp_path / 'train').write_text('')
    with pytest.raises(DistillError, match='another folder'):
        writer.write('a/0', image)


@pytest.mark.parametrize('key, value', [
    ('image_dir', '/etc'), ('image_dir', '../other'), ('image_dir', 'train/../../other'), ('image_dir', 'a' * 999),
    ('ann_file', '/etc/passwd'), ('ann_file', '../train.txt'), ('ann_file', 'a\0b')])
def test_a_manifest_whose_layout_leaves_the_set(tmp_path, key, value):
    make(tmp_path / 'set')
    file = tmp_path / 'set' / MANIFEST
    manifest = json.loads(file.read_text())
    manifest['layout'][key] = value
    file.write_text(json.dumps(manifest))
    for read in (verify_set, lambda root: distilled_dataset(str(root), pipeline=[]),
                 lambda root: export_set(root, tmp_path / 'out', 'imagefolder')):
        with pytest.raises(DistillError, match=r'json is not a readable manifest .*inside the folder\)') as said:
            read(tmp_path / 'set')
        assert '\n' not in str(said.value)


@pytest.mark.parametrize('classes', [[], [0, 1]])
def test_a_manifest_with_an_image_of_no_or_two_classes(tmp_path, classes):
    make(tmp_path / 'set')
    file = tmp_path / 'set' / MANIFEST
    manifest = json.loads(file.read_text())
    manifest['images'][1]['classes'] = classes
    file.write_text(json.dumps(manifest))
    for read in (verify_set, lambda root: distilled_dataset(str(root), pipeline=[]),
                 lambda root: export_set(root, tmp_path / 'out', 'webdataset')):
        with pytest.raises(DistillError, match=r'n01440764/00000 shows classes \[.*\]: .* exactly one'):
            read(tmp_path / 'set')


def test_folders_and_lists_that_are_links_out_of_the_set(tmp_path):
    make(tmp_path / 'set')
    for name in ('train', 'meta/train.txt'):
        (tmp_path / 'set' / name).rename(tmp_path / 'moved')
        (tmp_path / 'set' / name).symlink_to(tmp_path / 'moved')
        problems = verify_set(tmp_path / 'set')
        assert problems and all('is outside' in problem for problem in problems), problems
        (tmp_path / 'set' / name).unlink()
        (tmp_path / 'moved').rename(tmp_path / 'set' / name)
    assert verify_set(tmp_path / 'set') == []
