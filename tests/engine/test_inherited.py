"""Configs that inherit a dataset file of mmseg or mmpretrain: its training split is distilled, or refused in a line."""
import json
import pprint
import re
from pathlib import Path

import mmpretrain
import mmseg
import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from mmdistill.config import merge_options, read_config
from mmdistill.engine import distillation_config
from mmdistill.engine.check import check_run
from mmdistill.errors import DistillError

STARTS = dict(mmseg='mmdistill::quickstart/d3s2_streets-64x64.py',
              mmpretrain='mmdistill::quickstart/unguided_objects-64px.py')
FILES = [(package.__name__, path.name) for package in (mmseg, mmpretrain)
         for path in sorted(Path(package.__file__).parent.glob('.mim/configs/_base_/datasets/*.py'))]
NO_TASK = 'belongs to no known task: use a dataset derived from'
PAIRS = ('pairs images with sentences, and only image files with one class each can be distilled or compared: '
         'use another dataset')
REFUSED = {
    'levir_256x256.py': f'LEVIRCDDataset {NO_TASK}', 'nyu.py': 'NYUDataset reads depth maps',
    'nyu_512x512.py': 'NYUDataset reads depth maps', 'cifar10_bs16.py': 'CIFAR10 stores its images in a few archives',
    'cifar100_bs16.py': 'CIFAR100 stores its images in a few archives, .*: write its images into a folder per class',
    'coco_caption.py': f'COCOCaption {NO_TASK}', 'coco_okvqa.py': f'COCOVQA {NO_TASK}',
    'coco_vqa.py': f'COCOVQA {NO_TASK}', 'coco_vg_vqa.py': f'COCOVQA {NO_TASK}', 'gqa.py': f'GQA {NO_TASK}',
    'coco_retrieval.py': f'COCORetrieval {PAIRS}', 'flickr30k_retrieval.py': f'Flickr30kRetrieval {PAIRS}',
    'flickr30k_caption.py': f'Flickr30kCaption {NO_TASK}', 'nlvr2.py': f'NLVR2 {PAIRS}',
    'nocaps.py': f'NoCaps {NO_TASK}', 'ocrvqa.py': f'OCRVQA {NO_TASK}', 'refcoco.py': f'RefCOCO {NO_TASK}',
    'vizwiz.py': f'VizWiz {NO_TASK}', 'vsr.py': f'VSR {NO_TASK}', 'voc_bs16.py': 'VOC has several classes per image',
    'inshop_bs32_448.py': r'InShop has no class names: give it metainfo=dict\(classes',
    **{f'imagenet_bs64_clip_{size}.py': r'test_dataloader=None: .* needs test_dataloader=dict\(\.\.\.\), or a train_'
       for size in (224, 384, 448)}}


def inherit(folder: Path, package: str, name: str, lines: str = '', **keys) -> Path:
    """A config that stands on a dataset file and on the runtime of distillations."""
    start = read_config(STARTS[package])
    keys = {**{key: start[key] for key in ('model', 'test_cfg', 'custom_hooks')}, **keys}
    plain = Config(keys).to_dict()
    path = folder / name
    bases = [f'{package}::_base_/datasets/{name}', 'mmdistill::_base_/default_runtime.py']
    path.write_text('\n'.join([f'_base_ = {bases!r}', *(f'{key} = {pprint.pformat(value)}'
                                                       for key, value in plain.items()), lines, '']))
    return path


@pytest.mark.parametrize('package, name', FILES)
def test_every_dataset_file(tmp_path, package, name):
    """It is the training split that is checked, in the scope of its package; what has no masks and no classes is
    refused before any data is looked for."""
    written = read_config(str(inherit(tmp_path, package, name)))
    if name in REFUSED:
        with pytest.raises(DistillError, match=REFUSED[name]) as error:
            check_run(written)
        assert '\n' not in str(error.value)
        return
    check_run(written)
    cfg = distillation_config(written)
    expected = dict(written.train_dataloader.dataset, _scope_=package)  # MMEngine sets it where the base is a package's
    assert cfg.test_dataloader.dataset == expected
    assert not {'train_dataloader', 'val_dataloader', 'val_evaluator'} & set(cfg) and cfg.test_evaluator == []
    assert distillation_config(cfg) is cfg


def test_the_files_cover_both_packages():
    assert len([1 for package, _ in FILES if package == 'mmseg']) >= 31 and set(REFUSED) <= {name for _, name in FILES}


@pytest.mark.parametrize('options, say', [
    ({'train_dataloader.dataset.dataset.dataroot': 'x'},
     r'train_dataloader\.dataset\.dataset\.dataroot: unknown setting of DRIVEDataset; did you mean data_root\?'),
    ({'train_dataloader.dataset.tims': 3}, r'train_dataloader\.dataset\.tims: .*did you mean times\?'),
    ({'train_dataloader.dataset.dataset.type': 'DRIVEDatset'},
     r"train_dataloader\.dataset\.dataset\.type='DRIVEDatset' is unknown"),
    ({'test_dataloader.dataset.data_root': 'x'},
     r'test_dataloader\.dataset: the config has a train_dataloader, so train_dataloader\.dataset is distilled, and '
     r'this one is not read'),
    ({'train_dataloader.dataset': dict(_delete_=True, type='ConcatDataset', datasets=[])},
     r'train_dataloader\.dataset\.datasets: ConcatDataset wraps at least one dataset: give it dict'),
    ({'train_dataloader.dataset': dict(_delete_=True, type='RepeatDataset', times=2, dataset='x')},
     r'train_dataloader\.dataset\.dataset: RepeatDataset wraps a dataset: give it dict'),
    ({'train_dataloader.dataset': dict(_delete_=True, type='ConcatDataset', datasets=[
        dict(type='DRIVEDataset'), dict(type='mmpretrain.ImageNet', data_root='x')])},
     r'datasets\.1 is a dataset for classification, but train_dataloader\.dataset\.datasets\.0 is for segmentation'),
    ({'train_dataloader.dataset': dict(_delete_=True, type='mmdistill.ReplayedViews', store='x', temperature=1,
                                       dataset=dict(type='DRIVEDataset'))},
     'ReplayedViews is an unknown wrapper of datasets: give the dataset inside it'),
])
def test_mistakes(tmp_path, options, say):
    cfg = read_config(str(inherit(tmp_path, 'mmseg', 'drive.py')))
    merge_options(cfg, options)
    with pytest.raises(DistillError, match=say):
        check_run(cfg)


def test_a_config_with_a_training_is_not_changed(tmp_path):
    cfg = read_config(str(inherit(tmp_path, 'mmseg', 'drive.py', "train_cfg = dict(by_epoch=True, max_epochs=1)")))
    assert distillation_config(cfg) is cfg
    with pytest.raises(DistillError, match='train_dataloader: MMEngine also needs optim_wrapper: leave it out'):
        merge_options(cfg, {'test_dataloader.dataset.type': 'mmseg.DRIVEDataset'})
        check_run(cfg)


# Runs on small trees.
@pytest.fixture(scope='module')
def two_classes(tmp_path_factory, weights):
    """Folder of a LayoutUNet of 2 classes and the autoencoder of the other tests."""
    import shutil

    import torch

    from mmdistill.generation.unets import LayoutUNet
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp('two_classes')
    LayoutUNet(2, 4, 4, layout_channels=16, block_out_channels=(16, 32)).save_pretrained(folder / 'unet')
    for part in ('vae', 'scheduler'):
        shutil.copytree(weights / part, folder / part)
    return folder


def write_vessels(root, split, names, suffix='_manual1.png'):
    """Pairs in DRIVE's tree; a mask shows class 1 in half of its pixels."""
    for folder in ('images', 'annotations'):
        (root / folder / split).mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(len(names))
    for name in names:
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(root / 'images' / split / f'{name}.png')
        mask = np.zeros((32, 32), np.uint8)
        mask[:, 16:] = 1
        Image.fromarray(mask).save(root / 'annotations' / split / f'{name}{suffix}')


@pytest.fixture
def drive(tmp_path, two_classes):
    """``drive(lines)``: a config that inherits mmseg's drive.py, whose data is in ``tmp_path/data``."""
    data = tmp_path / 'data'
    write_vessels(data, 'training', [f't{n}' for n in range(4)])
    write_vessels(data, 'validation', ['v0', 'v1'])
    generator = dict(type='LayoutUNetGenerator', weights=str(two_classes), image_size=32, num_steps=2, micro_batch=2,
                     scheduler='DPMSolverMultistepScheduler')
    hook = dict(type='MaskSelectionHook', selector=dict(type='ClassBalancedGreedy', budget=2), workers=0)

    def config(lines=''):
        return inherit(tmp_path, 'mmseg', 'drive.py', lines, model=dict(type='Distiller', generator=generator),
                       test_cfg=dict(type='DistillLoop'), custom_hooks=[hook])

    return config


def folder_of(source):
    return str(Path(source).parent)


def test_drive_is_distilled_resumed_and_trained_on(tools, tmp_path, drive):
    """The plan is of the training split; the stock config reads the distilled set after one change."""
    data, work = tmp_path / 'data', tmp_path / 'work'
    option = f'train_dataloader.dataset.dataset.data_root={data}'
    command = ['distill', drive(), '--work-dir', work, '--cfg-options', option]
    dry = tools(*command, '--dry-run')
    assert dry.returncode == 0, dry.stderr
    plan = json.loads((work / 'plan.json').read_text())
    assert plan['source_size'] == 4 and {folder_of(one['source']) for one in plan['requests']} == {
        str(data / 'images/training')}
    assert {key: plan['provenance'][key] for key in ('dataset', 'data_root', 'data_prefix')} == dict(
        dataset='DRIVEDataset', data_root=str(data),
        data_prefix=dict(img_path='images/training', seg_map_path='annotations/training'))
    assert 'other_split' not in plan['provenance'] and 'not a training split' not in dry.stdout
    said = [line for line in dry.stdout.splitlines() if 'Source: ' in line]
    assert len(said) == 1 and said[0].endswith(
        'Source: train_dataloader.dataset; RepeatDataset of DRIVEDataset: 4 real images, each counted once; the '
        'inherited keys of training and validation are ignored')
    done = tools(*command, '--resume')
    assert done.returncode == 0, done.stderr
    again = tools('distill', work / 'drive.py', '--work-dir', work, '--resume')  # the config that the run left behind
    assert again.returncode == 0, again.stderr
    assert json.loads((work / 'plan.json').read_text()) == plan

    from mmengine.registry import init_default_scope
    from mmseg.registry import DATASETS
    init_default_scope('mmseg')
    cfg = read_config('mmseg::_base_/datasets/drive.py').train_dataloader.dataset
    cfg.dataset.data_root = str(work / 'distilled')
    dataset = DATASETS.build(cfg)
    assert len(dataset) == 80000 and len(dataset.dataset) == 2
    cfg.dataset.pipeline = cfg.dataset.pipeline[:2]
    assert set(np.unique(DATASETS.build(cfg)[1]['gt_seg_map'])) == {0, 1}


def test_the_validation_split_says_so(tools, tmp_path, drive):
    config = drive('train_dataloader = val_dataloader = val_evaluator = None')
    work, option = tmp_path / 'work', f'test_dataloader.dataset.data_root={tmp_path / "data"}'
    done = tools('distill', config, '--work-dir', work, '--dry-run', '--cfg-options', option,
                 'test_dataloader.dataset._scope_=mmseg', 'test_evaluator=[]')
    assert done.returncode == 0, done.stderr
    assert "warning: test_dataloader.dataset is not a training split (img_path='images/validation')" in done.stdout
    plan = json.loads((work / 'plan.json').read_text())
    assert plan['source_size'] == 2 and plan['provenance']['other_split'] == "img_path='images/validation'"


@pytest.mark.parametrize('options, say', [
    (['train_dataloader.dataset.dataset.data_root=/no/data'],
     r'no data at /no/data.*: set train_dataloader\.dataset\.dataset\.data_root'),
    (['train_dataloader.dataset.dataset.seg_map_suffix=.png'], r'no mask at .*t0\.png')])
def test_data_that_is_not_there(tools, tmp_path, drive, options, say):
    data = f'train_dataloader.dataset.dataset.data_root={tmp_path / "data"}'
    done = tools('distill', drive(), '--work-dir', tmp_path / 'work', '--dry-run', '--cfg-options', data, *options)
    assert done.returncode == 1 and re.search(f'^error: .*{say}', done.stderr.splitlines()[-1]), done.stderr


def test_stock_voc_with_its_augmented_masks(tools, tmp_path, two_classes):
    """Two datasets in one folder: masks of each by its own folder; the set has the tree of the first."""
    data, rng = tmp_path / 'data', np.random.default_rng(0)
    for folder in ('JPEGImages', 'SegmentationClass', 'SegmentationClassAug', 'ImageSets/Segmentation'):
        (data / folder).mkdir(parents=True)
    lists = dict(train=dict(t0=0, t1=0, t2=0), aug=dict(g0=1, g1=0, t1=0), val=dict(v0=0))
    for split, names in lists.items():
        (data / f'ImageSets/Segmentation/{split}.txt').write_text(''.join(f'{name}\n' for name in names))
        for name, value in names.items():
            Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(data / f'JPEGImages/{name}.jpg')
            folder = 'SegmentationClassAug' if split == 'aug' else 'SegmentationClass'
            Image.fromarray(np.full((32, 32), value, np.uint8)).save(data / folder / f'{name}.png')
    generator = dict(type='LayoutUNetGenerator', weights=str(two_classes), image_size=32, num_steps=2, micro_batch=2,
                     scheduler='DPMSolverMultistepScheduler')
    hook = dict(type='MaskSelectionHook', selector=dict(type='ClassBalancedGreedy', budget=2), workers=0)
    # Of the 21 classes the first two; the masks keep the ids of all.
    lines = ("for _part in train_dataloader['dataset']['datasets']:\n"
             "    _part['metainfo'] = dict(classes=('background', 'aeroplane'))")
    lines = "train_dataloader = _base_.train_dataloader\n" + lines
    config = inherit(tmp_path, 'mmseg', 'pascal_voc12_aug.py', lines, custom_hooks=[hook],
                     model=dict(type='Distiller', generator=generator), test_cfg=dict(type='DistillLoop'))
    work = tmp_path / 'work'
    done = tools('distill', config, '--work-dir', work, '--cfg-options', f'data_root={data}')
    assert done.returncode == 0, done.stderr
    assert 'ConcatDataset of PascalVOCDataset: 6 real images of 3 + 3, each counted once' in done.stdout
    plan = json.loads((work / 'plan.json').read_text())
    assert {one['mask'] for one in plan['requests']} == {
        str(data / 'SegmentationClass/t0.png'), str(data / 'SegmentationClassAug/g0.png')}
    assert [(part['data_prefix']['seg_map_path'], part['ann_file'], part['images'])
            for part in plan['provenance']['parts']] == [
        ('SegmentationClass', 'ImageSets/Segmentation/train.txt', 3),
        ('SegmentationClassAug', 'ImageSets/Segmentation/aug.txt', 3)]

    from mmengine.registry import init_default_scope
    from mmseg.registry import DATASETS
    init_default_scope('mmseg')
    first = read_config(str(config)).train_dataloader.dataset.datasets[0]
    read = DATASETS.build(dict(first, data_root=str(work / 'distilled'), pipeline=first.pipeline[:2]))
    assert sorted(np.unique(sample['gt_seg_map']).item() for sample in read) == [0, 1]
    missing = tools('distill', config, '--work-dir', tmp_path / 'other', '--dry-run', '--cfg-options',
                    f'data_root={data}', 'train_dataloader.dataset.datasets.1.ann_file=none.txt')
    assert re.search(r'^error: train_dataloader\.dataset\.datasets\.1: .*none\.txt', missing.stderr.splitlines()[-1])


def test_a_scope_is_found_by_the_type(tmp_path):
    """Where the file is inherited by its path, MMEngine sets no scope."""
    path = Path(mmseg.__file__).parent / '.mim/configs/_base_/datasets/pascal_voc12_aug.py'
    written = inherit(tmp_path, 'mmseg', path.name)
    written.write_text(written.read_text().replace(f'mmseg::_base_/datasets/{path.name}', str(path)))
    cfg = read_config(str(written))
    assert '_scope_' not in cfg.train_dataloader.dataset
    check_run(cfg)
    assert distillation_config(cfg).test_dataloader.dataset._scope_ == 'mmseg'
    assert '_scope_' not in cfg.train_dataloader.dataset


def test_stock_imagenet(tools, tmp_path, weights):
    """mmpretrain's file, on a subset of its classes; a test split of its own is not looked for."""
    names, data, rng = ('n01440764', 'n02102040'), tmp_path / 'data', np.random.default_rng(0)
    for name in names:
        (data / 'train' / name).mkdir(parents=True)
        for number in range(2):
            pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(data / 'train' / name / f'{number}.JPEG')
    lines = f'train_dataloader = dict(dataset=dict(classes={list(names)}, metainfo=dict(label_texts=["a", "b"])))'
    config = inherit(tmp_path, 'mmpretrain', 'imagenet_bs64.py', lines,
                     custom_hooks=[dict(type='ClassPlanHook', ipc=2)])
    done = tools('distill', config, '--work-dir', tmp_path / 'work', '--dry-run', '--cfg-options',
                 f'train_dataloader.dataset.data_root={data}', 'model.generator.class_ids=[0,1]')
    assert done.returncode == 0, done.stderr
    plan = json.loads((tmp_path / 'work/plan.json').read_text())
    assert plan['source_size'] == 4 and plan['provenance']['data_prefix'] == dict(img_path='train')
    assert [one['id'] for one in plan['requests']] == [f'{name}/{n:05d}' for n in range(2) for name in names]
