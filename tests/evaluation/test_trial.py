"""Students that cannot be built, trained or tested: one line before the first training, also in a dry run."""
import re

import cv2
import numpy as np
import pytest

from mmdistill.cli import main
from mmdistill.evaluation import workers
from mmdistill.evaluation.results import ResultCache
from mmdistill.evaluation.workers import Job, run_jobs

CONFIG = """
photos = dict(
    type='mmseg.BaseSegDataset', data_root='{folder}/data', img_suffix='.png', data_prefix=dict(
        img_path='images/train', seg_map_path='masks/train'), metainfo=dict(classes=('road', 'sky')))
train_dataset = dict(photos)
test_dataset = dict(photos, data_prefix=dict(img_path='images/test', seg_map_path='masks/test'))
protocol = 'mmdistill::students/unet_streets-64x64.py'
overrides = {{'train_cfg.max_iters': 3, 'model.backbone.base_channels': 4, 'model.decode_head.in_channels': 4,
             'param_scheduler': []}}
training_sets = dict({{name: dict(selector=dict(type='RandomSelector')) for name in ('again', 'random')}})
budget = 2
"""


@pytest.fixture
def evaluate(tmp_path):
    """Function: height and width of training and test images, options → what ``mmdistill evaluate`` says at its end."""
    def check(train, test, *options, dry=True):
        rng = np.random.default_rng(0)
        for part, size in (('train', train), ('test', test)):
            for kind in ('images', 'masks'):
                (tmp_path / 'data' / kind / part).mkdir(parents=True, exist_ok=True)
            for number in range(3):
                cv2.imwrite(str(tmp_path / f'data/images/{part}/{number}.png'), rng.integers(0, 256, (*size, 3)))
                cv2.imwrite(str(tmp_path / f'data/masks/{part}/{number}.png'), rng.integers(0, 2, size))
        (tmp_path / 'config.py').write_text(CONFIG.format(folder=tmp_path))
        command = ['evaluate', str(tmp_path / 'config.py'), '--work-dir', str(tmp_path / 'work')]
        try:
            main([*command, *['--dry-run'] * dry, *(['--cfg-options', *options] if options else [])])
        except SystemExit as end:
            assert not (tmp_path / 'work/cells').exists()
            return str(end.code)
        return ''

    return check


@pytest.mark.parametrize('option, message', [
    ('optim_wrapper.optimizer.lr=abc', r"protocol .* optim_wrapper\.optimizer\.lr='abc': it has the wrong type"),
    ('optim_wrapper.optimizer.learning_rate=1', r'protocol .* optim_wrapper\.optimizer\.learning_rate: unknown '),
    ('train_dataloader.batch_size=0', r'protocol .* with overrides: train_dataloader\.batch_size=0 is out of range'),
    ("param_scheduler=[dict(type='PolyLR',pover=1)]", r'protocol .* param_scheduler\.PolyLR\.pover: .*mean power'),
    ('model.decode_head.channel=1', r'student default cannot be built from .* with overrides: model: .*channel'),
    ('model.decode_head.loss_decode.type=CrosEntropyLoss', r'student default cannot be built from .* overrides: model: '
     'CrosEntropyLoss is not in the mmseg::model registry; did you mean CrossEntropyLoss[?]$'),
    ('optim_wrapper.paramwise_cfg=3', r'student default .* with overrides: optim_wrapper: paramwise_cfg should')])
def test_wrong_overrides(evaluate, option, message):
    for dry in (True, False):
        line, = evaluate((64, 64), (64, 64), f'overrides.{option}', dry=dry).splitlines()
        assert re.match(f'error: {message}', line), line


def test_images_that_a_student_cannot_take(evaluate, tmp_path):
    for dry in (True, False):  # before images are selected by the masks of the whole set
        line, = evaluate((90, 120), (64, 64), dry=dry).splitlines()
        assert not (tmp_path / 'work/class_histograms.npz').exists()
        assert re.match('error: training set train_dataset, student default: its images .90x120 pixels. cannot be '
                        r'trained on \(AssertionError: .*\): if their size is the reason, resize the images by a '
                        'Resize in train_dataloader.dataset.pipeline', line), line
    line, = evaluate((64, 64), (90, 120), dry=False).splitlines()
    assert 'student default cannot be tested on images of 90x120 pixels (AssertionError' in line
    assert evaluate((64, 64), (64, 64)) == ''


def test_mistakes_that_need_the_datasets(evaluate):
    found = [evaluate((64, 64), (64, 64), option) for option in (
        'overrides.model.decode_head.num_classes=9', 'budget=70', 'training_sets.random.selector.budget=70')]
    assert found[0].startswith('error: overrides: num_classes=9 in the model, but the test set has 2 classes')
    assert found[1] == ('error: budget=70 is out of range: train_dataset has 3 images, use 1..3 (for the training sets '
                        'again, random)')
    assert found[2] == ('error: training_sets.random.selector.budget=70 is out of range: train_dataset has 3 images, '
                        'use 1..3')


def test_one_class_is_too_few(evaluate):
    for dry in (True, False):
        said = evaluate((64, 64), (64, 64), *(f'{part}_dataset.metainfo.classes=[road]' for part in ('train', 'test')),
                        dry=dry)
        assert said == (
            "error: test_dataset has only the class 'road', and students need at least two: add a class for the other "
            'pixels, such as background, to metainfo.classes of all datasets, and label them with its id')


@pytest.mark.parametrize('kind, name, content, message', [
    ('masks', '2.png', np.full((64, 64), 7), 'masks/test/2.png: id 7 in 4096 pixels is out of range: 0..1, 255 '),
    ('masks', '1.png', np.zeros((32, 64)), 'masks/test/1.png is 64x32 but its image .*images/test/1.png is 64x64'),
    ('images', '2.png', None, r'images/test/2.png is not a readable image \(it is truncated.*: replace or remove it')])
def test_a_test_set_with_a_wrong_file(evaluate, tmp_path, monkeypatch, kind, name, content, message):
    evaluate((64, 64), (64, 64))
    path = tmp_path / 'data' / kind / 'test' / name
    path.write_bytes(b'x' if content is None else cv2.imencode('.png', content)[1].tobytes())
    with pytest.raises(SystemExit) as end:
        main(['evaluate', str(tmp_path / 'config.py'), '--work-dir', str(tmp_path / 'work')])
    assert re.match(f'error: {tmp_path}/data/{message}', str(end.value.code))
    assert not (tmp_path / 'work/cells').exists() and not (tmp_path / 'work/class_histograms.npz').exists()


def test_a_real_set_with_a_wrong_mask_that_no_student_reads(evaluate, tmp_path):
    evaluate((64, 64), (64, 64))
    cv2.imwrite(str(tmp_path / 'data/masks/train/2.png'), np.full((64, 64), 7))
    with open(tmp_path / 'config.py', 'a') as file:
        file.write('training_sets = dict(mine=dict(dataset=dict(photos, indices=[0, 1])))\n')
    with pytest.raises(SystemExit) as end:
        main(['evaluate', str(tmp_path / 'config.py'), '--work-dir', str(tmp_path / 'work')])
    assert 'masks/train/2.png: id 7 in 4096 pixels is out of range' in str(end.value.code)
    assert not (tmp_path / 'work/cells').exists()


def fail(seed, error=None):
    raise error or RuntimeError('two\nlines')


def test_a_training_that_fails_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(workers, 'train_student', fail)
    job = Job('first', 'small', 0, 1, dict(i=0), dict(seed=7), ResultCache(tmp_path / 'cells'), 'mIoU')
    with pytest.raises(workers.DistillError) as caught:
        run_jobs([job], 1)
    log, = (tmp_path / 'cells').glob('*.log')
    assert str(caught.value) == ('training set first, student small, seed 7: the training failed (RuntimeError: two '
                                 f'lines); finished students are kept; the traceback is in {log}')
    assert 'in fail' in log.read_text()


def test_an_image_that_no_training_can_read(tmp_path, monkeypatch):
    monkeypatch.setattr(workers, 'train_student', fail)
    error = AssertionError('Caught AssertionError in a worker.\nAssertionError: failed to load image: data/a b.jpg')
    job = Job('first', 'small', 0, 1, dict(i=0), dict(seed=7, error=error), ResultCache(tmp_path / 'cells'), 'mIoU')
    with pytest.raises(workers.DistillError, match=r'the training failed \(data/a b.jpg is not a readable image \(it '
                                                   r'is truncated, .*\): replace or remove it\)'):
        run_jobs([job], 1)
