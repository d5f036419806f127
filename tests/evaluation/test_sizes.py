"""Settings of a protocol that depend on the number of classes and images per class, in ``mmdistill evaluate``."""
import numpy as np
import pytest
from mmengine.config import Config

from mmdistill.config import config_path, merge_options
from mmdistill.datasets import ClassWriter, write_manifest
from mmdistill.errors import DistillError
from mmdistill.evaluation import ComparisonRunner
from mmdistill.evaluation.protocols import load_protocol, student_config
from mmdistill.plan import Plan, Request
from mmdistill.toy.object_pictures import CLASSES

TEST = dict(type='CustomDataset', data_root='test')
SGD, OTHER = (0.01, 5e-4, 64), (0.1, 1e-4, 128)  # lr, weight decay, batch size


def student(protocol, classes, ipc, **settings):
    return student_config(load_protocol(protocol), None, TEST, classes, ipc=ipc, **settings)


def sizes(cfg):
    optimizer = cfg.optim_wrapper.optimizer
    return cfg.train_cfg.max_epochs, optimizer.lr, optimizer.weight_decay, cfg.train_dataloader.batch_size


@pytest.mark.parametrize('ipcs, few, hundred, many', [
    ((1, ), 3000, 2000, 3000), ((2, 10), 2000, 1300, 2000), ((11, 50), 1500, 1000, 1500), ((51, 200), 1000, 600, 1000),
    ((201, 500), 500, 300, 500), ((501, 1300), 300, 200, 300)])
def test_idc_hard(ipcs, few, hundred, many):
    for ipc in ipcs:
        for classes, epochs, rest in ((2, few, SGD), (10, few, SGD), (99, few, SGD), (100, hundred, SGD),
                                      (101, many, OTHER), (1000, many, OTHER)):
            cfg = student('idc_hard', classes, ipc)
            assert sizes(cfg) == (epochs, *rest), (classes, ipc)
            assert cfg.param_scheduler.milestones == [2 * epochs // 3, 5 * epochs // 6]
            batch = rest[2]
            assert sizes(student('idc_hard_adamw', classes, ipc)) == (epochs, 1e-3, 0.01, batch), (classes, ipc)
            assert sizes(student('idc_hard-tiny', classes, ipc)) == (epochs // 10, *rest), (classes, ipc)


@pytest.mark.parametrize('name', ['rded', 'rded_nopatch', 'rded-tiny', 'rded_nopatch-tiny',
                                  'mmdistill::protocols/_labels_/rded_online.py'])
def test_rded(name):
    if '::' in name:
        name = str(config_path(name))
    epochs = 30 if name.endswith('-tiny') else 300
    for ipc, few, many in ((1, 10, 20), (2, 50, 100), (10, 50, 100), (11, 100, 200), (50, 100, 200)):
        for classes, batch in ((10, few), (99, few), (100, many), (1000, many)):
            assert sizes(student(name, classes, ipc)) == (epochs, 1e-3, 0.01, batch), (classes, ipc)


@pytest.mark.parametrize('name, epochs', [('fkd_sre2l', 300), ('fkd_sre2l-tiny', 30)])
def test_fkd_is_the_same_for_all(name, epochs):
    for classes, ipc in ((10, 1), (10, 50), (100, 10), (1000, 200)):
        assert sizes(student(name, classes, ipc)) == (epochs, 1e-3, 0.01, 50 if 'tiny' in name else 1024)


@pytest.fixture
def comparison(root, tmp_path):
    """``comparison(**keys)``: a comparison of random real pictures, 10 classes."""
    def build(**keys):
        cfg = Config.fromfile(root / 'configs/_base_/datasets/objects.py')
        for key in ('train_dataset', 'test_dataset'):
            cfg[key].num_images = 500
        cfg.training_sets = dict(random_real=dict(selector=dict(type='RandomPerClassSelector')))
        merge_options(cfg, keys, keys)
        return ComparisonRunner(cfg, tmp_path)

    return build


def test_evaluate_sets_and_tells_them(comparison):
    found = comparison(protocol='idc_hard', ipc=1)
    assert sizes(found.configs['default']) == (3000, *SGD)
    assert found.notes()[1] == 'Its settings for 10 classes and IPC 1: epochs 3000.'
    found = comparison(protocol='rded-tiny', ipc=50, epochs=7)
    assert sizes(found.configs['default']) == (7, 1e-3, 0.01, 100)
    assert found.notes()[1:3] == ['Its settings for 10 classes and IPC 50: batch_size 100.',
                                  'The schedule was shortened: 7 epochs instead of 30.']
    assert found.configs['default'].param_scheduler.T_max == 14


def test_a_comparison_without_ipc_uses_that_of_the_protocol(comparison):
    found = comparison(protocol='rded', budget=20)
    assert sizes(found.configs['default']) == (300, 1e-3, 0.01, 50)
    assert found.notes()[1] == 'Its settings for 10 classes and IPC 10: batch_size 50.'


def test_distilled_sets_of_another_size_are_told(comparison, tmp_path):
    def make(name, images):
        writer = ClassWriter(tmp_path / name)
        requests = tuple(Request(f'{CLASSES[i % 10]}/{i // 10:05d}', i, classes=(i % 10, )) for i in range(images))
        for i, request in enumerate(requests):
            writer.write(request.id, np.full((8, 8, 3), i, np.uint8))
        write_manifest(tmp_path / name, Plan('D4M', 'hash', 0, CLASSES, (), 20, requests), writer.layout, {})
        return str(tmp_path / name)

    two, one = make('two', 20), make('one', 10)
    sets = dict(fits=dict(data_root=two), small=dict(data_root=one), both=dict(data_root=[two, one]))
    found = [note for note in comparison(protocol='rded', ipc=2, training_sets=sets).notes() if 'although' in note]
    assert found == ['Every set is trained with the settings for 2 images per class, although small has 1, both has 2 '
                     'and 1. To use the settings for another size, set ipc to it in a separate comparison.']
    found = comparison(protocol='rded', budget=20, training_sets=dict(fits=sets['fits'])).notes()  # the protocol's ipc
    assert any('the settings for 10 images per class, although fits has 2. ' in note for note in found)
    for settings in (dict(protocol='rded', ipc=2), dict(protocol=str(tmp_path / 'fixed.py'), ipc=2)):
        (tmp_path / 'fixed.py').write_text("_base_ = 'mmdistill::protocols/rded.py'\nprotocol = dict(by_size=None)\n")
        ours = dict(fits=sets['fits']) if settings['protocol'] == 'rded' else sets
        assert not any('although' in note for note in comparison(**settings, training_sets=ours).notes())


def test_overrides_and_epochs_come_after_the_settings(comparison):
    overrides = {'train_dataloader.batch_size': 7, 'optim_wrapper.optimizer.lr': 0.5}
    found = comparison(protocol='rded', ipc=50, overrides=overrides)
    assert sizes(found.configs['default']) == (300, 0.5, 0.01, 7)
    found = comparison(protocol='idc_hard', ipc=50, epochs=30, overrides=dict(train_cfg=dict(max_epochs=60)))
    assert found.configs['default'].train_cfg.max_epochs == 30
    assert found.configs['default'].param_scheduler.milestones == [20, 25]
    assert found.notes()[2] == 'The schedule was shortened: 30 epochs instead of 1500.'


@pytest.mark.parametrize('settings, message', [
    (dict(ipc=51), 'ipc=51 is out of range: train_dataset has 50 images of class {one!r}, use 1..50 (for the training '
                   'sets random_real)'),
    (dict(budget=9), 'budget=9 is fewer than the 10 classes, and the same number of images is selected from each: '
                     'use at least 10, or give ipc, the number of images per class (for the training sets '
                     'random_real)'),
    (dict(budget=510), 'budget=510 is out of range: train_dataset has 50 images of class {one!r}, use 10..500'),
    ({'ipc': 51, 'training_sets.random_real.selector.type': 'RandomSelector'},
     'ipc=51 is out of range: 10 classes need 510 images, train_dataset has 500 images, use 1..50'),
    ({'ipc': 2, 'training_sets.random_real.selector.budget': 51},
     'training_sets.random_real.selector.budget=51 is out of range: train_dataset has 50 images of class {one!r}, use '
     '1..50'),
    (dict(ipc=2, evaluations=31), 'evaluations=31 is out of range: the students are trained for 30 epochs, use 1..30')])
def test_sizes_that_no_training_has(comparison, settings, message):
    with pytest.raises(DistillError) as caught:
        comparison(protocol='rded-tiny', **settings)
    assert str(caught.value).startswith(message.format(one=CLASSES[0])), caught.value


@pytest.mark.parametrize('rules, message', [
    ([(10, dict(epochs=5))], r'protocol.by_size=.* has an item '),
    ([(10, 0, dict(epochs=5))], r'protocol.by_size=.* has an item '),
    ([(None, None, dict(epochs=0))], r'protocol.by_size.0.2.epochs=0 .* at least 1'),
    ([(None, None, {}), (None, None, dict(rl=0.1))], r'protocol.by_size.1.2.rl: unknown setting.*epochs, batch_size'),
    ([(9, None, dict(epochs=5))], 'protocol mine: no row of by_size fits 10 classes and 3 images per class')])
def test_malformed_rows_are_refused(comparison, tmp_path, rules, message):
    (tmp_path / 'mine.py').write_text("_base_ = 'mmdistill::protocols/idc_hard-tiny.py'\n"
                                      f"protocol = dict(id='mine', by_size={rules!r})\n")
    with pytest.raises(DistillError, match=message):
        comparison(protocol=str(tmp_path / 'mine.py'), ipc=3)
