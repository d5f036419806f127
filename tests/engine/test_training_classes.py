"""A training on a distilled set whose classes are not those of the student or of the validation set."""
import pytest

from mmdistill.cli import main
from mmdistill.datasets import SegWriter, write_manifest
from mmdistill.plan import Plan, Request
from mmdistill.toy.street_scenes import CLASSES, PALETTE, street_scene
from mmdistill.toy.streets import StreetScenes

REVERSED = CLASSES[::-1]
SHORT = ['train_cfg.max_iters=2', 'train_cfg.val_interval=2', 'val_dataloader.dataset.num_scenes=2',
         'val_dataloader.batch_size=2', 'param_scheduler.LinearLR.end=1', 'param_scheduler.PolyLR.begin=1']


@pytest.fixture
def config(tmp_path):
    """``config(classes)``: a training config as in the docs, whose set has these classes."""
    def write(classes, wrapper='{}'):
        requests = tuple(Request(id=f'{i:06d}', seed=i, classes=(0, )) for i in range(4))
        plan = Plan('D3S2', 'hash', 0, tuple(classes), PALETTE[:len(classes)], 10, requests, {})
        writer = SegWriter(tmp_path / 'set', 'source', StreetScenes(1, pipeline=[], lazy_init=True))
        for request in requests:
            image, mask = street_scene(request.seed, 'train', 64)
            writer.write(request.id, image, mask % len(classes))
        write_manifest(tmp_path / 'set', plan, writer.layout, dict(weights={}))
        dataset = wrapper.format(f"dict(type='mmdistill.DistilledDataset', data_root={str(tmp_path / 'set')!r}, "
                                 'pipeline=_base_.train_pipeline)')
        path = tmp_path / 'my_training.py'
        path.write_text("_base_ = 'mmdistill::students/unet_streets-64x64.py'\n"
                        f'train_dataloader = dict(dataset=dict(_delete_=True, **{dataset}))\n')
        return ['train', str(path), '--work-dir', str(tmp_path / 'work'), '--cfg-options', *SHORT]
    return write


def refused(command):
    with pytest.raises(SystemExit) as end:
        main(command)
    return str(end.value.code)


@pytest.mark.parametrize('wrapper', ['{}', "dict(type='RepeatDataset', times=2, dataset={})"])
@pytest.mark.parametrize('classes, difference', [
    (('a', 'b', 'c'), '3 instead of 11'),
    (REVERSED, f"id 0 is '{REVERSED[0]}' instead of '{CLASSES[0]}'")], ids=['number', 'order'])
def test_other_classes_than_the_validation_set(config, tmp_path, classes, difference, wrapper):
    command = config(classes, wrapper)
    for dry in ([], ['--dry-run']):
        assert refused([*command[:2], *dry, *command[2:]]) == (
            f'error: train_dataloader.dataset has other classes than val_dataloader.dataset: {difference}; give a set '
            'with the same classes, in the same order')
    assert not list((tmp_path / 'work').rglob('*.pth'))


def test_another_number_of_classes_than_the_student(config):
    command = config(CLASSES)
    assert refused([*command[:2], '--dry-run', *command[2:], 'model.decode_head.num_classes=5']) == (
        'error: model.decode_head.num_classes=5, but the training set has 11 classes: set it to 11')


def test_a_segmentor_with_fewer_classes_than_real_masks(root, tmp_path):
    command = ['train', str(root / 'configs/students/unet_streets-64x64.py'), '--work-dir', str(tmp_path / 'work'),
               '--dry-run', '--cfg-options', 'model.decode_head.num_classes=5', *SHORT]
    assert refused(command).startswith('error: model.decode_head.num_classes=5, but the training set has 11 classes')


def test_the_same_classes_are_trained(config, tmp_path, capsys):
    command = config(CLASSES)
    main([*command[:2], '--dry-run', *command[2:]])
    assert 'Data: 4 images of DistilledSegDataset' in capsys.readouterr().out
    main(command)
    assert (tmp_path / 'work/iter_2.pth').is_file()
