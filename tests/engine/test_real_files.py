"""Files of users, with ``mmdistill distill``: they are read as OpenMMLab reads them for training."""
import io
import json
import pprint
import re
import shutil
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmseg.datasets import BaseSegDataset
from PIL import Image
from safetensors.numpy import load_file

from mmdistill.evaluation.report import write_report
from mmdistill.toy.street_scenes import street_scene

ARCHIVE = '''
import zipfile
from mmengine.fileio import BaseStorageBackend, register_backend

@register_backend('archive', force=True)
class Archive(BaseStorageBackend):
    def __init__(self, file, token=''):
        self.archive = zipfile.ZipFile(file)
    def get(self, filepath):
        return self.archive.read(str(filepath))
    def get_text(self, filepath, encoding='utf-8'):
        return self.get(filepath).decode(encoding)
    def list_dir_or_file(self, dir_path, list_dir=True, list_file=True, suffix=None, recursive=False):
        names = (name.removeprefix(f'{dir_path}/') for name in sorted(self.archive.namelist())
                 if name.startswith(f'{dir_path}/'))
        return (name for name in names if suffix is None or name.endswith(suffix))
    def join_path(self, filepath, *filepaths):
        return '/'.join([filepath.rstrip('/'), *filepaths])
    def isfile(self, filepath):
        return filepath in self.archive.namelist()
'''
TURNED = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}  # stored so


def exif(orientation):
    found = Image.Exif()
    found[0x0112] = orientation
    return found.tobytes()


def wide(town):
    """Images of 48x32 pixels instead of the square ones."""
    for index in range(4):
        image, mask = street_scene(index, 'test', 48)
        Image.fromarray(image[8:40]).save(town.data / f'images/{index}.png')
        Image.fromarray(mask[8:40]).save(town.data / f'masks/{index}.png')


def distil(tools, config, work, *options, before=''):
    done = tools('distill', config, '--work-dir', work, *(('--cfg-options', *options) if options else ()),
                 before=before)
    assert done.returncode == 0, done.stderr[-3000:]
    return work


def refused(tools, config, work, say, *options, before=''):
    done = tools('distill', config, '--work-dir', work, *(('--cfg-options', *options) if options else ()),
                 before=before)
    assert done.returncode == 1 and 'Traceback' not in done.stderr, done.stderr
    assert re.search(f'^error: {say}', done.stderr.splitlines()[-1]), done.stderr


@pytest.fixture
def plain(tools, town):
    """The set that is distilled from upright 8-bit images and 8-bit masks."""
    wide(town)
    return distil(tools, town.config, town.work)


def same_images(work, plain, tree):
    found, expected = (tree(folder / 'distilled/images') for folder in (work, plain))
    assert len(found) == 2 and found == expected
    statistics, ours = (load_file(folder / 'class_statistics.safetensors') for folder in (plain, work))
    assert all(np.array_equal(statistics[key], ours[key]) for key in statistics)


def test_photos_are_turned_upright(tools, town, plain, tree, tmp_path):
    """Image and mask have the same size only if upright; the statistics per class are checked too."""
    for index, orientation in enumerate((6, 8, 3, 6)):
        path = town.data / f'images/{index}.png'
        Image.open(path).transpose(TURNED[orientation]).save(path, exif=exif(orientation))
    assert Image.open(town.data / 'images/0.png').size == (32, 48)
    same_images(distil(tools, town.config, tmp_path / 'turned'), plain, tree)
    Image.open(town.data / 'images/0.png').save(town.data / 'images/0.png')  # the orientation is lost
    refused(tools, town.config, tmp_path / 'lost', r'.*masks/0.png is 48x32 but its image .* is 32x48')


def test_16_bit_images_and_masks(tools, town, plain, tree, tmp_path):
    import cv2
    for index in range(4):
        image, mask = (town.data / f'{folder}/{index}.png' for folder in ('images', 'masks'))
        cv2.imwrite(str(image), cv2.imread(str(image)).astype(np.uint16) * 256 + 77)
        cv2.imwrite(str(mask), cv2.imread(str(mask), cv2.IMREAD_UNCHANGED).astype(np.uint16))
    work = distil(tools, town.config, tmp_path / 'deep')
    same_images(work, plain, tree)
    assert tree(work / 'distilled/masks') == tree(plain / 'distilled/masks')


@pytest.mark.parametrize('name', ['images/2.png', 'masks/2.png'])
def test_broken_files_are_named(tools, town, tmp_path, name):
    """By the main process and by workers, during the selection."""
    wide(town)
    path = town.data / name
    for number, data in enumerate((b'', b'text', path.read_bytes()[:-40])):
        path.write_bytes(data)
        for workers in (0, 2):
            kind = name[:4].replace('imag', 'image')
            work = tmp_path / f'{number}{workers}'
            refused(tools, town.config, work, f'{path} is not a readable {kind} ', f'custom_hooks.0.workers={workers}')
            assert not (work / 'plan.json').exists()


def read_by_source(config, root):
    """Name → mask of a distilled set, read with the config of the source."""
    cfg = dict(Config.fromfile(config).test_dataloader.dataset, data_root=str(root / 'distilled'))
    cfg.pop('type')
    dataset = BaseSegDataset(**dict(cfg, pipeline=[dict(type='mmseg.LoadAnnotations')]))
    return {dataset.get_data_info(i)['seg_map_path']: dataset[i]['gt_seg_map'] for i in range(len(dataset))}


def test_the_ignore_index_of_the_dataset(tools, town, tmp_path):
    """Class 0 is ignored: trainings with the config of the source do not ignore 255."""
    wide(town)
    config = tmp_path / 'ignore.py'
    config.write_text(town.config.read_text().replace("'img_suffix'", "'ignore_index': 0, 'img_suffix'"))
    work = distil(tools, config, tmp_path / 'ignore')
    masks = read_by_source(config, work)
    assert len(masks) == 2
    for path, mask in masks.items():
        index = int(path[-10:-4])
        source = np.asarray(Image.open(town.data / f'masks/{index}.png').resize((32, 32), Image.Resampling.NEAREST))
        assert 255 not in mask and 0 in mask and set(np.unique(mask)) <= set(np.unique(source))
        assert (mask == source).mean() > 0.9
    from mmdistill.datasets import DatasetMasks
    from mmdistill.datasets.distilled import distilled_dataset
    ours = distilled_dataset(str(work / 'distilled'), pipeline=[dict(type='mmseg.LoadAnnotations')])
    assert ours.ignore_index == 0 and all((ours[i]['gt_seg_map'] == mask).all() for i, mask in enumerate(
        masks[ours.get_data_info(i)['seg_map_path']] for i in range(2)))
    assert not DatasetMasks(ours).histograms(workers=0)[:, 0].any()


@pytest.mark.parametrize('suffix', ['.PNG', '.tif', '.TIFF'])
def test_other_suffixes_of_masks(tools, town, plain, suffix, tmp_path):
    for path in (town.data / 'masks').iterdir():
        if suffix == '.PNG':
            path.rename(path.with_suffix(suffix))
        else:
            Image.open(path).save(path.with_suffix(suffix), 'TIFF')
            path.unlink()
    config = tmp_path / 'suffix.py'
    config.write_text(town.config.read_text().replace("'img_suffix'", f"'seg_map_suffix': {suffix!r}, 'img_suffix'"))
    masks = read_by_source(config, distil(tools, config, tmp_path / 'set'))
    expected = read_by_source(town.config, plain)
    assert len(masks) == 2 and all(path.endswith(suffix) for path in masks)
    assert [mask.tolist() for mask in masks.values()] == [mask.tolist() for mask in expected.values()]
    path = next(iter(masks))
    assert Image.open(path).format == ('PNG' if suffix == '.PNG' else 'TIFF')


def into_archive(root, file):
    with zipfile.ZipFile(file, 'w') as zipped:
        for path in sorted(root.rglob('*.png')):
            zipped.write(path, f'data/{path.relative_to(root)}')
    shutil.rmtree(root)
    return file


def test_storage_backends(tools, town, plain, tree, tmp_path):
    """The files are not on the local disk; the manifest names the archive but contains no secret."""
    file = into_archive(town.data, tmp_path / 'set.zip')
    args = dict(backend='archive', file=str(file), token='secret')
    config = tmp_path / 'zip.py'
    text = town.config.read_text().replace(repr(str(town.data)), "'data'")
    config.write_text(text.replace("'img_suffix'", f"'backend_args': {args!r}, 'img_suffix'"))
    work = distil(tools, config, tmp_path / 'zip', 'custom_hooks.0.workers=2', before=ARCHIVE)
    same_images(work, plain, tree)
    assert tree(work / 'distilled/masks') == tree(plain / 'distilled/masks')
    assert 'secret' not in (work / 'distilled/meta/distilled.json').read_text()
    manifest = json.loads((work / 'distilled/meta/distilled.json').read_text())
    assert manifest['extra']['reading'] == dict(backend_args=dict(backend='archive', file=str(file)))
    assert write_report([work]).read_text().count('data:image/png') == 2 * 2  # an unknown backend: no real images


@pytest.fixture(scope='module')
def photos(tmp_path_factory):
    """Two folders of lossless pictures, one of them grey."""
    root, rng = tmp_path_factory.mktemp('photos') / 'data', np.random.default_rng(0)
    for name in ('ant', 'bee'):
        (root / name).mkdir(parents=True)
        for number in range(3):
            image = Image.fromarray(rng.integers(0, 256, (4, 5, 3), dtype=np.uint8)).resize((40, 30), Image.BICUBIC)
            (image.convert('L') if number == 1 else image).save(root / name / f'{number}.png')
    return root


@pytest.fixture(scope='module')
def classes(tools, root, photos, weights, tmp_path_factory):
    """``classes(name, data_root, backend_args=None)`` distils and returns the work dir."""
    from mmdistill.generation.unets import ClassUNet
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp('class_weights')
    ClassUNet(2, 4, 8, block_out_channels=(16, 32)).save_pretrained(folder / 'unet')
    for part in ('vae', 'scheduler'):
        shutil.copytree(weights / part, folder / part)

    def run(name, data_root, run=distil, say=(), before='', **load):
        keys = dict(
            model=dict(type='Distiller', generator=dict(
                type='ClassConditionalGenerator', weights=str(folder), strength=0.75, num_steps=2,
                scheduler='DPMSolverMultistepScheduler')),
            test_dataloader=dict(batch_size=4, num_workers=1, sampler=dict(type='DefaultSampler', shuffle=False),
                                 dataset=dict(type='mmpretrain.CustomDataset', data_root=str(data_root), pipeline=[
                                     dict(type='mmcv.LoadImageFromFile', **load)], **(dict(
                                         ann_file=str(folder / 'ann.txt'), metainfo=dict(classes=['ant', 'bee']))))),
            test_cfg=dict(type='DistillLoop', writer=dict(type='ClassWriter')), test_evaluator=[],
            custom_hooks=[dict(type='PrototypeHook', ipc=2, prompt='{}')],
            default_hooks=dict(logger=dict(interval=1), checkpoint=None))
        (folder / 'ann.txt').write_text(''.join(f'{name}/{number}.png {label}\n' for label, name in enumerate(
            ('ant', 'bee')) for number in range(3)))
        lines = [f'_base_ = {str(root / "configs/_base_/default_runtime.py")!r}']
        lines += [f'{key} = {pprint.pformat(value, sort_dicts=False)}' for key, value in keys.items()]
        (folder / f'{name}.py').write_text('\n'.join(lines) + '\n')
        return run(tools, folder / f'{name}.py', folder / name, *say, before=before)

    return SimpleNamespace(run=run, plain=run('plain', photos))


def prototypes(work):
    return {key: value.tolist() for key, value in load_file(work / 'prototypes.safetensors').items()}


def test_prototypes_are_of_upright_photos(classes, photos, tmp_path):
    copy = shutil.copytree(photos, tmp_path / 'data')
    for index, path in enumerate(sorted(copy.rglob('*.png'))):
        orientation = (6, 8, 3)[index % 3]
        Image.open(path).transpose(TURNED[orientation]).save(path, exif=exif(orientation))
    assert prototypes(classes.run('turned', copy)) == prototypes(classes.plain)
    for path in copy.rglob('*.png'):
        Image.open(path).save(path)
    assert prototypes(classes.run('lost', copy)) != prototypes(classes.plain)


def test_prototypes_of_16_bit_images(classes, photos, tmp_path):
    import cv2
    copy = shutil.copytree(photos, tmp_path / 'data')
    for path in copy.rglob('*.png'):
        cv2.imwrite(str(path), cv2.imread(str(path), cv2.IMREAD_UNCHANGED).astype(np.uint16) * 256 + 50)
    assert prototypes(classes.run('deep', copy)) == prototypes(classes.plain)


def test_prototypes_from_an_archive(classes, photos, tmp_path):
    file = into_archive(shutil.copytree(photos, tmp_path / 'data'), tmp_path / 'set.zip')
    args = dict(backend='archive', file=str(file))
    assert prototypes(classes.run('zip', 'data', backend_args=args, before=ARCHIVE)) == prototypes(classes.plain)
    classes.run('no_zip', 'data', refused, (
        "backend_args: the storage backend 'archive' cannot be used .No such file", ), ARCHIVE, backend_args=dict(
            args, file='/no.zip'))


@pytest.mark.parametrize('data', [b'', b'text', 0.9, None])
def test_broken_pictures_are_named(classes, photos, tmp_path, data):
    copy = shutil.copytree(photos, tmp_path / 'data')
    path = copy / 'bee/1.png'
    whole = path.read_bytes()
    path.unlink()
    if data is not None:
        path.write_bytes(whole[:int(data * len(whole))] if isinstance(data, float) else data)
    say = f'cannot read {path}, line 5 of' if data is None else f'{path} is not a readable image'
    classes.run(f'broken{data}', copy, refused, (say, ))


def test_pictures_of_other_bands(classes, photos, tmp_path):
    copy = shutil.copytree(photos, tmp_path / 'data')
    buffer = io.BytesIO()
    Image.open(copy / 'ant/0.png').convert('RGBA').save(buffer, 'PNG')
    (copy / 'ant/0.png').write_bytes(buffer.getvalue())
    assert prototypes(classes.run('alpha', copy)) == prototypes(classes.plain)
    classes.run('unchanged', copy, refused, (
        rf'{copy}/ant/0.png is uint8 \(30, 40, 4\) as LoadImageFromFile loads it, but', ), color_type='unchanged')
