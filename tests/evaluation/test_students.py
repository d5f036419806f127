"""A student is trained on the requested set, and MMEngine's global state is restored."""
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import DefaultScope

from mmdistill.toy.street_scenes import CLASSES
from mmdistill.evaluation import ClassIoU, train_student


def test_class_iou_against_a_naive_one():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, (4, 9, 7))
    labels[rng.random(labels.shape) < 0.1] = 255
    predictions = rng.integers(0, 3, labels.shape)
    metric = ClassIoU()
    metric.dataset_meta = dict(classes=('a', 'b', 'c', 'absent'))
    for label, prediction in zip(labels, predictions):
        metric.process({}, [dict(pred_sem_seg=dict(data=torch.tensor(prediction)[None]),
                                 gt_sem_seg=dict(data=torch.tensor(label)[None]))])
    measured = metric.compute_metrics(metric.results)
    valid = labels != 255
    expected = [100 * (valid & (labels == k) & (predictions == k)).sum() /
                (valid & ((labels == k) | (predictions == k))).sum() for k in range(3)]
    assert [measured[f'IoU.{name}'] for name in 'abc'] == pytest.approx(expected)
    assert np.isnan(measured['IoU.absent'])
    assert measured['mIoU'] == pytest.approx(np.mean(expected))
    assert measured['aAcc'] == pytest.approx(100 * (labels == predictions)[valid].mean())


@pytest.fixture
def student(root):
    cfg = Config.fromfile(root / 'configs/students/unet_streets-64x64.py')
    cfg.model.backbone.base_channels = cfg.model.decode_head.in_channels = cfg.model.decode_head.channels = 4
    cfg.train_cfg.max_iters = cfg.train_cfg.val_interval = 3
    cfg.train_dataloader.batch_size = 2
    cfg.test_dataloader.dataset.num_scenes = 4
    cfg.param_scheduler = []
    return cfg


def test_students_are_repeatable_and_leave_no_trace(student, run, tmp_path):
    logger = MMLogger.get_instance('outer')
    scope = DefaultScope.get_instance('outer', scope_name='mmdistill')
    hub = MessageHub.get_instance('outer')
    before = student.to_dict()
    real = dict(type='mmdistill.StreetScenes', num_scenes=9, indices=[0, 1, 2])
    same = dict(type='mmdistill.DistilledDataset', data_root=str(run / 'distilled'))
    results = [train_student(student, train, seed, tmp_path / 'logs', evaluations=2)
               for train, seed in ((real, 0), (real, 0), (real, 1), (same, 0))]
    for result in results:
        assert result.pop('seconds') > 0
        assert result.pop('curve') == [(2, pytest.approx(0, abs=100)), (3, result['mIoU'])]
        assert {f'IoU.{name}' for name in CLASSES} <= set(result)
        assert 0 <= result['mIoU'] <= 100
    assert results[0] == pytest.approx(results[1], nan_ok=True)
    assert results[0]['aAcc'] != results[2]['aAcc']
    assert results[0] == pytest.approx(results[3], nan_ok=True)  # the same pixels, read from files
    assert student.to_dict() == before
    assert MMLogger.get_current_instance() is logger
    assert DefaultScope.get_current_instance() is scope
    assert MessageHub.get_current_instance() is hub
    assert not list((tmp_path / 'logs').rglob('*.pth'))


def test_a_training_set_keeps_its_pipeline(student, tmp_path):
    from mmdistill.evaluation.students import student_runner_config
    own = [dict(type='LoadImageFromFile')]
    cfg = student_runner_config(student, dict(type='X', pipeline=own), 3, tmp_path)
    assert cfg.train_dataloader.dataset == dict(type='X', pipeline=own)
    assert cfg.randomness.seed == 3
    cfg = student_runner_config(student, dict(type='X'), 3, tmp_path)
    assert cfg.train_dataloader.dataset.pipeline == student.train_pipeline
