"""A comparison of a distilled set with and without the weights of its images."""
import html
import json
import re

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpretrain.registry import DATASETS, MODELS

from mmdistill.cli import main
from mmdistill.datasets import ClassWriter, write_manifest
from mmdistill.errors import DistillError
from mmdistill.evaluation import ComparisonRunner
from mmdistill.evaluation.protocols import weighted_config
from mmdistill.plan import Plan, Request
from mmdistill.toy.object_pictures import CLASSES, object_picture

CONFIG = """
_base_ = ['{root}/configs/_base_/datasets/objects.py']
train_dataset = dict(num_images=20)
test_dataset = dict(num_images=20)
protocol = '{folder}/protocol.py'
training_sets = dict(
    plain=dict(data_root='{folder}/distilled'),
    weighted=dict(data_root='{folder}/distilled', weights=True),
    both=dict(union=['weighted', 'again']),
    again=dict(data_root=['{folder}/distilled'], weights=True),
    random_real=dict(selector=dict(type='RandomPerClassSelector')))
ipc = 2
"""
PROTOCOL = """
_base_ = ['{root}/configs/students/convnet4_objects-64px.py']
model = dict(backbone=dict(width=4), head=dict(in_channels=4 * 4 * 4, cal_acc=False))
train_cfg = dict(max_iters=4, val_interval=4)
train_dataloader = dict(batch_size=5)
param_scheduler = []
"""


@pytest.fixture
def folder(root, tmp_path):
    """Twenty pictures with weights, and a comparison of a few steps."""
    writer = ClassWriter(tmp_path / 'distilled')
    requests = tuple(Request(f'{CLASSES[i % 10]}/{i // 10:05d}', i, classes=(i % 10, )) for i in range(20))
    for i, request in enumerate(requests):
        writer.write(request.id, object_picture(i, 'train', 64)[0])
    weights = {request.id: 0.0 if i < 10 else 2.0 for i, request in enumerate(requests)}
    plan = Plan('D4M', 'hash', 0, CLASSES, (), 20, requests)
    write_manifest(tmp_path / 'distilled', plan, writer.layout, {}, image_weights=weights)
    for name, text in (('protocol', PROTOCOL), ('config', CONFIG)):
        (tmp_path / f'{name}.py').write_text(text.format(root=root, folder=tmp_path))
    return tmp_path


def test_a_comparison_with_weights(folder):
    main(['evaluate', str(folder / 'config.py'), '--work-dir', str(folder / 'work'), '--workers', '1'])
    results = json.loads((folder / 'work/results.json').read_text())
    assert {run['set']: run.get('weighted') for run in results['runs']} == dict(
        plain=None, weighted=True, both=True, again=True, random_real=None)
    assert {run['set']: run['images'] for run in results['runs']}['both'] == 40
    cells = {run['set']: run['config_hash'] for run in results['runs']}
    assert cells['weighted'] == cells['again'] and len({*cells.values()}) == 4
    note = 'The loss uses the image weights in the manifests of weighted, both, again.'
    assert note in results['notes'] and note in (folder / 'work/results.md').read_text()
    keys = [json.loads(path.read_text())['key'] for path in (folder / 'work/cells').glob('*.json')]
    losses = sorted(key['student']['model']['head']['loss']['type'] for key in keys)
    assert losses == ['LabelSmoothLoss'] * 2 + ['mmdistill.WeightedLoss'] * 2
    main(['report', str(folder / 'work'), '--out', str(folder / 'page.html')])
    recipes = recipes_of(folder / 'page.html')
    assert list(recipes) == ['plain', 'weighted, with the weights of its images,',
                             'again, with the weights of its images,']
    assert 'weights=' not in recipes['plain'] and 'WeightedLoss' not in recipes['plain']
    follow(recipes['plain'], folder, False)
    follow(recipes['weighted, with the weights of its images,'], folder, True)
    main(['export', str(folder / 'distilled'), str(folder / 'out'), '--results', str(folder / 'work')])
    card = (folder / 'out/README.md').read_text()
    assert all(f'\n\n{text}\n' in card for text in results['notes']) and '\n\nProtocol `' in card


def recipes_of(page):
    """Name of a set → the config that the page has for training on it."""
    found = re.findall(r'<h3>Train on (.*?) in any mmpretrain config</h3><pre>(.*?)</pre>', page.read_text(), re.S)
    return {name: html.unescape(text) for name, text in found}


def follow(recipe, folder, weighted):
    """Build the dataset and the model of a config of mmpretrain that follows a recipe; one step of training."""
    path = folder / 'recipe.py'
    path.write_text("_base_ = 'mmpretrain::resnet/resnet18_8xb16_cifar10.py'\n"
                    f"train_pipeline = [dict(type='LoadImageFromFile'), dict(type='PackInputs')]\n{recipe}\n")
    cfg = Config.fromfile(path)
    init_default_scope('mmpretrain')
    dataset, model = DATASETS.build(cfg.train_dataloader.dataset), MODELS.build(cfg.model)
    assert (type(model.head.loss_module).__name__ == 'WeightedLoss') == weighted
    samples = [dataset[i]['data_samples'] for i in (3, 13)]
    logits = torch.arange(20.).reshape(2, 10) % 7
    loss = model.head._get_loss(logits, samples)['loss'].item()
    rows = -logits.log_softmax(1)[:, 3]
    assert loss == pytest.approx((rows[1] if weighted else rows.mean()).item())  # of weights 0 and 2


def test_a_report_on_one_run_uses_the_weights_in_its_manifest(folder):
    (folder / 'run').mkdir()
    (folder / 'distilled').rename(folder / 'run/distilled')
    main(['report', str(folder / 'run'), '--out', str(folder / 'page.html')])
    recipe, = recipes_of(folder / 'page.html').values()
    assert 'weights=True' in recipe and 'mmdistill.WeightedLoss' in recipe


def test_the_students_heed_the_weights(folder, monkeypatch):
    """Images of weight 0 have no effect: the loss is the same with other pixels in them."""
    from mmdistill.evaluation.students import train_student
    runner = ComparisonRunner(Config.fromfile(folder / 'config.py'), folder / 'work')
    jobs = {job.set: job for job in runner.jobs()}
    seen = []

    def watch(self, logits, target, **kwargs):
        loss = forward(self, logits, target, **kwargs)
        rows = (-target * logits.log_softmax(1)).sum(1).sum() / target.sum()
        smooth = -(logits.log_softmax(1).mean(1) * target.sum(1)).sum() / target.sum()
        seen.append((loss.item(), (0.9 * rows + 0.1 * smooth).item(), target.sum(1)))
        return loss

    from mmdistill.models import WeightedLoss
    forward = WeightedLoss.forward
    monkeypatch.setattr(WeightedLoss, 'forward', watch)
    train_student(**jobs['weighted'].arguments)
    assert len(seen) == 4 and {weight for _, _, sums in seen for weight in sums.tolist()} == {0, 2}
    for found, expected, _ in seen:
        assert found == pytest.approx(expected, rel=1e-4)
    train_student(**jobs['plain'].arguments)
    assert len(seen) == 4


MISTAKES = [
    (dict(data_root='DIR', weights='yes'), "training_sets.mine.weights='yes' has to be True or False"),
    (dict(weights=True), 'training_sets.mine: set exactly one of data_root'),
    (dict(data_root='DIR', weight=True), 'training_sets.mine: set exactly one of data_root'),
    (dict(selector=dict(type='RandomPerClassSelector'), weights=True),
     'training_sets.mine.weights: only a data_root has weights of images, not selector: remove weights'),
    (dict(union=['plain', 'weighted']), "'weighted' has weights and 'plain' has none: give weights=True to all or to"),
    (dict(data_root='BARE', weights=True), 'has no weights in its meta/distilled.json: add an ImageWeightsHook'),
]


@pytest.mark.parametrize(('spec', 'expected'), MISTAKES)
def test_mistakes(folder, spec, expected):
    manifest = json.loads((folder / 'distilled/meta/distilled.json').read_text())
    for image in manifest['images']:
        image.pop('weight')
    (folder / 'bare/meta').mkdir(parents=True)
    (folder / 'bare/meta/distilled.json').write_text(json.dumps(manifest))
    places = dict(DIR=str(folder / 'distilled'), BARE=str(folder / 'bare'))
    cfg = Config.fromfile(folder / 'config.py')
    cfg.training_sets.mine = {key: places.get(value, value) if isinstance(value, str) else value
                              for key, value in spec.items()}
    with pytest.raises(DistillError, match=re.escape(expected)):
        ComparisonRunner(cfg, folder / 'work')


def test_a_protocol_of_stored_soft_labels_takes_no_weights_for_them(folder):
    cfg = Config.fromfile(folder / 'config.py')
    (folder / 'protocol.py').write_text((folder / 'protocol.py').read_text() + "protocol = dict(labels='soft')\n")
    cfg.training_sets = dict(mine=cfg.training_sets.weighted)
    with pytest.raises(DistillError, match='mine: its image 0 has no soft label'):
        ComparisonRunner(cfg, folder / 'work').jobs()


def test_the_loss_of_a_student():
    def wrap(**model):
        return weighted_config(Config(dict(model=dict(type='X', **model))), 'mine').model.head

    assert wrap(head=dict(loss=dict(type='A'), cal_acc=True)) == dict(
        loss=dict(type='mmdistill.WeightedLoss', loss=dict(type='A')))
    assert wrap(head=dict()).loss.loss.type == 'CrossEntropyLoss'
    once = dict(type='mmdistill.WeightedLoss', loss=dict(type='A'))
    assert wrap(head=dict(loss=once)).loss == once
    with pytest.raises(DistillError, match='the student mine, a X, has no head whose loss'):
        wrap()
