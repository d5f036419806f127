"""ClassWeightsHook in a stock mmseg training."""
import numpy as np
import pytest
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

import mmseg.datasets
import mmseg.models  # noqa: F401
from mmdistill.config import merge_options, read_config
from mmdistill.datasets.wrapped_configs import with_pipeline
from mmdistill.engine.hooks.class_weights import enet_weights
from mmdistill.errors import DistillError
from mmdistill.toy.street_scenes import CLASSES, street_scene

OTHER_HEAD = dict(type='FCNHead', in_channels=4, channels=4, num_convs=1, num_classes=len(CLASSES), in_index=3,
                  loss_decode=[dict(type='CrossEntropyLoss', avg_non_ignore=True), dict(type='DiceLoss')])


@pytest.fixture
def train(tmp_path):
    """Trains the student of the scenes for an iteration; its model."""
    def run(dataset, **options):
        cfg = read_config('mmdistill::students/unet_streets-64x64.py')
        merge_options(cfg, {'model.backbone.base_channels': 4, 'model.decode_head.in_channels': 4,
                            'train_cfg.max_iters': 1, 'train_dataloader.batch_size': 2, **options})
        cfg.train_dataloader.dataset = with_pipeline(dataset, cfg.train_dataloader.dataset.pipeline)
        cfg.custom_hooks = [dict(type='mmdistill.ClassWeightsHook')]
        for key in ('val_dataloader', 'val_cfg', 'val_evaluator', 'test_dataloader', 'test_cfg', 'test_evaluator'):
            cfg[key] = None
        cfg.update(work_dir=str(tmp_path / 'work'), experiment_name=str(tmp_path), log_level='ERROR')
        with DefaultScope.overwrite_default_scope('mmseg'):
            runner = Runner.from_cfg(cfg)
            runner.train()
        return runner.model

    return run


def scenes(count, **settings):
    return dict(type='mmdistill.StreetScenes', num_scenes=count, **settings)


def expected(*numbers):
    masks = np.concatenate([street_scene(number, 'train', 64)[1].ravel() for number in numbers])
    counts = [(masks == c).sum() for c in range(len(CLASSES))]
    return [1 / np.log(1.02 + count / sum(counts)) for count in counts]


def test_weights_are_those_of_the_training_set(train, tmp_path):
    model = train(scenes(9, indices=[1, 5]))
    np.testing.assert_allclose(model.decode_head.loss_decode.class_weight, expected(1, 5), rtol=1e-12)
    assert len(set(np.round(model.decode_head.loss_decode.class_weight, 6))) > 3
    with np.load(tmp_path / 'work/class_histograms.npz') as data:  # shared by the processes of a distributed training
        assert data['counts'].shape == (2, len(CLASSES))


def test_a_sample_of_two_datasets_counts_twice(train):
    model = train(dict(type='ConcatDataset', datasets=[scenes(2), scenes(2, indices=[1])]))
    np.testing.assert_allclose(model.decode_head.loss_decode.class_weight, expected(0, 1, 1), rtol=1e-12)


def test_every_head_is_weighed(train):
    """Among several losses those with class weights; ignored pixels would have failed with avg_non_ignore."""
    model = train(scenes(2), **{'model.auxiliary_head': OTHER_HEAD})
    loss = model.auxiliary_head.loss_decode[0]
    assert loss.class_weight == model.decode_head.loss_decode.class_weight == pytest.approx(expected(0, 1))
    assert not loss.avg_non_ignore and not hasattr(model.auxiliary_head.loss_decode[1], 'class_weight')


def test_mistakes(train):
    with pytest.raises(DistillError, match='FCNHead has 3 classes, the training set 11: set num_classes'):
        train(scenes(2), **{'model.decode_head.num_classes': 3})
    with pytest.raises(DistillError, match='no head of EncoderDecoder has a loss_decode with class_weight'):
        train(scenes(2), **{'model.decode_head.loss_decode': dict(type='DiceLoss', _delete_=True)})


def test_an_absent_class_and_one_that_is_everywhere():
    assert enet_weights(np.array([0, 10])) == pytest.approx([1 / np.log(1.02), 1 / np.log(2.02)])
