"""The shipped comparisons on ImageNet-1K and ImageNet-100, on trees of small images."""
import os

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from PIL import Image

from mmdistill.config import merge_options, read_config
from mmdistill.datasets import ClassWriter, write_manifest
from mmdistill.evaluation import ComparisonRunner
from mmdistill.evaluation.comparison import check_comparison
from mmdistill.imagenet import imagenet_wnids
from mmdistill.labels.teacher import Teacher
from mmdistill.plan import Plan, Request
from mmdistill.registry import MODELS

WNIDS = imagenet_wnids()
NAMES = ['fkd_sre2l_ipc10_imagenet1k-224px', 'rded_ipc10_imagenet1k-224px', 'idc_hard_ipc10_imagenet1k-224px',
         'idc_hard_ipc10_imagenet100-224px']


@pytest.fixture(scope='module')
def trees(tmp_path_factory):
    """An ImageNet of two training images and one test image per class, and one distilled image of each class."""
    root = tmp_path_factory.mktemp('trees')
    for name, colour in (('a', 10), ('b', 90), ('c', 200)):
        Image.new('RGB', (12 + colour % 7, 12), (colour, 50, 0)).save(root / f'{name}.jpg')
    for wnid in WNIDS:
        for split, files in (('train', 'ab'), ('val', 'c')):
            (root / 'imagenet' / split / wnid).mkdir(parents=True)
            for file in files:
                os.link(root / f'{file}.jpg', root / 'imagenet' / split / wnid / f'{file}.JPEG')
    return root


def distilled(root, classes, wnids):
    requests = tuple(Request(id=f'{wnid}/00000', seed=0, classes=(label, )) for label, wnid in enumerate(wnids))
    writer = ClassWriter(root)
    for request in requests:
        writer.write(request.id, np.full((8, 8, 3), request.classes[0] % 200, np.uint8))
    write_manifest(root, Plan('D4M', 'hash', 0, classes, (), len(wnids), requests), writer.layout, {})
    return root


@pytest.mark.parametrize('name', NAMES)
def test_the_shipped_comparisons(root, trees, tmp_path, name):
    """Every cell follows its protocol, with all classes; random real images have the same number of runs."""
    cfg = Config.fromfile(root / f'configs/evaluation/{name}.py')
    subset = cfg.get('classes')
    merge_options(cfg, dict(data_root=str(trees / 'imagenet')))
    merge_options(cfg, {'ipc': 1, 'training_sets.dmgd': None}, ['ipc', 'training_sets'])
    real = check_comparison(_with(cfg, 'training_sets.d4m', None))
    assert list(real.training_sets) == ['random_real']
    test = ComparisonRunner(_with(cfg, 'training_sets.d4m', None), tmp_path / 'real')
    classes = tuple(test.test.metainfo['classes'])
    assert len(classes) == (100 if subset else 1000)
    folder = distilled(tmp_path / 'distilled', classes, subset or WNIDS)
    jobs = ComparisonRunner(_with(cfg, 'training_sets.d4m.data_root', str(folder)), tmp_path / 'work').jobs()
    assert {(job.set, job.image_set, job.images) for job in jobs} == {
        ('d4m', 0, len(classes)), *(('random_real', n, len(classes)) for n in range(3))}
    students = [job.student for job in jobs if job.set == 'd4m']
    assert students == [*cfg.students] * 3 and len(students) == len(jobs) / 2
    for job in jobs:
        student = job.arguments['student_cfg']
        assert student.model.head.num_classes == student.data_preprocessor.num_classes == len(classes)
        assert student.test_dataloader.dataset.data_root == str(trees / 'imagenet')
        if 'hard' not in name:
            assert student.model.head.loss.temperature == 20 and student.train_cfg.max_epochs == 300
            assert student.custom_hooks[0].teacher.outputs == 'imagenet'
            assert (student.model.backbone.type, student.model.backbone.depth) == ('ResNet', 18)
        elif subset:
            assert student.train_cfg.max_epochs == 2000 and student.optim_wrapper.optimizer.lr == 0.01
        else:
            assert student.train_cfg.max_epochs == 3000 and student.train_dataloader.batch_size == 128
            assert student.optim_wrapper.optimizer == dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=1e-4)


def _with(cfg, key, value):
    cfg = cfg.copy()
    merge_options(cfg, {key: value}, ['training_sets'])
    return cfg


def test_a_missing_folder_of_the_test_set_is_named(root, trees, tmp_path):
    cfg = Config.fromfile(root / f'configs/evaluation/{NAMES[0]}.py')
    merge_options(cfg, dict(data_root=str(trees / 'imagenet')))
    cfg.training_sets = dict(random_real=cfg.training_sets.random_real)
    folder = trees / 'imagenet/val' / WNIDS[7]
    folder.rename(trees / 'away')
    try:
        with pytest.raises(Exception, match=rf'/val is not ImageNet-1K: no folder for {WNIDS[7]} \(cock\): rename'):
            ComparisonRunner(cfg, tmp_path)
    finally:
        (trees / 'away').rename(folder)


@pytest.mark.parametrize('depth', [18, 50, 101])
def test_the_students_are_torchvisions(depth):
    import torchvision
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        student = MODELS.build(read_config(f'mmdistill::students/resnet{depth}_224px.py').model)
    student.init_weights()
    reference = getattr(torchvision.models, f'resnet{depth}')()
    ours, theirs = ([value for value in network.state_dict().values()] for network in (student, reference))
    assert sorted(value.shape for value in ours) == sorted(value.shape for value in theirs)
    for mine, other in zip(ours, theirs):
        if mine.ndim > 1 and mine.shape == other.shape:
            assert mine.std() == pytest.approx(float(other.std()), rel=0.1)
    last = [value for name, value in student.state_dict().items() if 'layer4.1' in name and name.endswith('weight')
            and value.ndim == 1]
    assert last and all((value == 1).all() for value in last)  # no block starts as the identity


@pytest.fixture
def teacher(tmp_path):
    """``teacher(outputs)``: a teacher of 1000 classes, or of fewer, whose logits are its ids."""
    pre = dict(mean=[0.0] * 3, std=[1.0] * 3, to_rgb=True)

    def build(outputs, count=1000):
        model = dict(type='ImageClassifier', backbone=dict(type='mmdistill.ConvNet', depth=3), data_preprocessor=pre,
                     head=dict(type='LinearClsHead', num_classes=count, in_channels=128 * 4,
                               loss=dict(type='CrossEntropyLoss')))
        torch.manual_seed(0)
        with DefaultScope.overwrite_default_scope('mmpretrain'):
            network = MODELS.build(model)
        network.head.fc.weight.data.zero_()
        network.head.fc.bias.data = torch.arange(count).float()
        torch.save(dict(state_dict=network.state_dict()), tmp_path / 'teacher.pth')
        return Teacher(model, str(tmp_path / 'teacher.pth'), outputs=outputs, device='cpu')

    return build


def test_outputs_by_wordnet_ids(teacher, root):
    from mmpretrain.datasets.categories import IMAGENET_CATEGORIES
    pixels = torch.zeros(1, 3, 16, 16)
    for name in ('imagenette', 'imagewoof', 'imagenet100'):
        cfg, network = Config.fromfile(root / f'configs/_base_/datasets/{name}.py'), teacher('imagenet')
        network.check_classes(cfg.classes)
        assert network(pixels)[0].tolist() == list(cfg.imagenet_ids) and network.num_classes == len(cfg.classes)
        by_hand = teacher(list(cfg.imagenet_ids))
        by_hand.check_classes(cfg.classes)
        assert network.fingerprint() == by_hand.fingerprint()
    network = teacher('imagenet')
    network.check_classes(IMAGENET_CATEGORIES)
    assert network(pixels)[0].tolist() == list(range(1000))
    with pytest.raises(Exception, match='has 1000 classes, the set 2: give the teacher outputs'):
        teacher('imagenet').check_classes(('cat', 'dog'))
    with pytest.raises(Exception, match="outputs='imagenet': the teacher .* has 10 classes, not 1000: give outputs"):
        teacher('imagenet', 10)
