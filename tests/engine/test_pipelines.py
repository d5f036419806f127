"""Transforms named without their package, in the pipeline of a dataset in a config with scope mmdistill."""
import pytest

from mmdistill.config import merge_options, read_config
from mmdistill.engine.check import check_run
from mmdistill.errors import DistillError

SEG, CLASSES = 'mmdistill::quickstart/d3s2_streets-64x64.py', 'mmdistill::quickstart/unguided_objects-64px.py'
KEY = r'test_dataloader\.dataset'
HERE = 'but names without a scope are looked up in MMEngine, mmcv and mmdistill only'


def named(*names, **settings):
    return [dict(type=name, **settings) for name in names]


def check(config, **dataset):
    cfg = read_config(config)
    cfg.work_dir = 'work'
    kind = dict(type='StreetScenes', num_scenes=4) if config == SEG else dict(type='ObjectPictures', num_images=10)
    whole = dataset if 'dataset' in dataset else {**kind, **dataset}
    merge_options(cfg, {'test_dataloader.dataset': dict(whole, _delete_=True)})
    check_run(cfg)


@pytest.mark.parametrize('config, pipeline, say', [
    (SEG, named('LoadAnnotations'),
     rf"{KEY}\.pipeline\.LoadAnnotations\.type='LoadAnnotations' is mmcv's, which does not read masks as mmseg does: "
     rf"write 'mmseg\.LoadAnnotations', or set {KEY}\._scope_='mmseg'$"),
    (SEG, named('LoadImageFromFile', 'mmcv.LoadAnnotations'),
     r"pipeline\.LoadAnnotations\.type='mmcv\.LoadAnnotations' is mmcv's, .*: write 'mmseg\.LoadAnnotations'$"),
    (SEG, named('LoadImageFromFile', 'PackSegInputs'),
     rf"{KEY}\.pipeline\.PackSegInputs\.type='PackSegInputs' is a transform of mmseg, {HERE}: write "
     rf"'mmseg\.PackSegInputs', or set {KEY}\._scope_='mmseg'$"),
    (SEG, named('RandomCrop'), r"write 'mmseg\.RandomCrop', or"),
    (CLASSES, named('RandomCrop'), r"write 'mmpretrain\.RandomCrop', or set .*\._scope_='mmpretrain'$"),
    (SEG, named('RandomChoice', transforms=[named('LoadImageFromFile', 'RandomCutOut')]),
     r"pipeline\.RandomChoice\.transforms\.0\.RandomCutOut\.type='RandomCutOut' is a transform of mmseg"),
    (SEG, named('mmseg.LoadAnnotation'),
     r"'mmseg\.LoadAnnotation' is unknown in registry 'transform'; did you mean mmseg\.LoadAnnotations\?"),
    (SEG, [dict(typ='LoadImageFromFile')], r"pipeline\.0: it has no type, but 'typ': rename it"),
])
def test_refused_before_anything_is_built(config, pipeline, say):
    with pytest.raises(DistillError, match=say):
        check(config, pipeline=pipeline)


def test_behind_wrappers():
    scenes = dict(type='StreetScenes', num_scenes=4, size=64, pipeline=named('PackSegInputs'))
    wrapped = dict(type='RepeatDataset', times=2, dataset=scenes)
    with pytest.raises(DistillError, match=rf"{KEY}\.dataset\.pipeline\.Pack.*set {KEY}\.dataset\._scope_='mmseg'$"):
        check(SEG, **wrapped)
    check(SEG, **dict(wrapped, dataset=dict(scenes, type='mmdistill.StreetScenes', _scope_='mmseg')))
    mixed = dict(wrapped, type='mmseg.MultiImageMixDataset', pipeline=named('RandomMosaic', prob=1.0),
                 dataset=dict(scenes, pipeline=[]))
    mixed.pop('times')
    with pytest.raises(DistillError, match=rf"{KEY}\.pipeline\.RandomMosaic\.type=.*: write 'mmseg\.RandomMosaic'"):
        check(SEG, **mixed)
    with pytest.raises(DistillError, match=r"pipeline\.PackSegInputs\.type='PackSegInputs' is a transform of mmseg"):
        check(SEG, _scope_='mmdistill', pipeline=named('PackSegInputs'))  # as a base of ours sets it


@pytest.mark.parametrize('dataset', [
    dict(pipeline=named('LoadImageFromFile', 'mmseg.LoadAnnotations', 'mmseg.PackSegInputs')),
    dict(type='mmdistill.StreetScenes', _scope_='mmseg',
         pipeline=named('LoadImageFromFile', 'LoadAnnotations', 'PackSegInputs')),
    dict(pipeline=named('LoadAnnotations', with_bbox=False, with_label=False, with_seg=True)),
    dict(pipeline=named('LoadImageFromFile', 'Resize', scale=(8, 8)))])
def test_as_they_are_to_be_written(dataset):
    check(SEG, **dataset)
