"""Images with weights in trainings of mmpretrain: hard labels, a teacher online, replayed views."""
from copy import deepcopy

import numpy as np
import pytest
import torch
from PIL import Image

from mmdistill.datasets import ClassWriter, write_manifest
from mmdistill.errors import DistillError
from mmdistill.labels import LabelStore
from mmdistill.labels.label import label
from mmdistill.plan import Plan, Request
from tests.labels.conftest import CLASSES
from tests.labels.test_trainings import online, replayed, stock, teacher_scores

WEIGHTS = torch.tensor([0.5, 2.0, 0.0, 1.0, 1.5, 0.25, 1.75])


@pytest.fixture
def weighted(world):
    """The config of the world's images as a distilled set with weights."""
    root, files = world.tmp_path / 'distilled', sorted((world.root / 'train').rglob('*.png'))
    writer = ClassWriter(root)
    requests = tuple(Request(f'{path.parent.name}/{path.stem}', i, classes=(CLASSES.index(path.parent.name), ))
                     for i, path in enumerate(files))
    for request, path in zip(requests, files):
        writer.write(request.id, np.asarray(Image.open(path)))
    plan = Plan('D4M', 'hash', 0, CLASSES, (), 7, requests)
    write_manifest(root, plan, writer.layout, {}, image_weights={
        request.id: weight for request, weight in zip(requests, WEIGHTS.tolist())})
    return dict(type='mmdistill.DistilledDataset', data_root=str(root), weights=True, pipeline=world.pipeline)


def wrapped(cfg):
    """A config whose loss heeds weights, with the images in their order."""
    cfg.model.head.loss = dict(type='mmdistill.WeightedLoss', loss=cfg.model.head.loss)
    cfg.train_dataloader.sampler.shuffle = False
    return cfg


@pytest.fixture
def mixed(monkeypatch):
    """(Targets before CutMix, targets after it) of each batch."""
    from mmpretrain.models.utils.batch_augments import CutMix
    batches, mix = [], CutMix.mix

    def record(self, inputs, scores):
        before = scores.clone()
        inputs, after = mix(self, inputs, scores)
        batches.append((before, after.clone()))
        return inputs, after

    monkeypatch.setattr(CutMix, 'mix', record)
    return batches


def test_hard_labels(world, weighted, train, mixed):
    cfg = world.config()
    cfg.model.head.loss = dict(type='CrossEntropyLoss')
    cfg.train_dataloader.dataset = weighted
    seen, runner = train(wrapped(cfg))
    for (_, targets), (_, after) in zip(seen, mixed):
        torch.testing.assert_close(targets, after)
    rows = torch.cat([before for before, _ in mixed[:2]])
    torch.testing.assert_close(rows.sum(1), WEIGHTS)
    assert rows.argmax(1)[WEIGHTS > 0].tolist() == [0, 0, 1, 1, 2, 2]
    assert (seen[0][1].sum(1) - WEIGHTS[:4]).abs().max() > 0.01  # mixed
    assert type(runner.model.head.loss_module).__name__ == 'WeightedLoss'


@pytest.mark.parametrize('augments', [True, False])
def test_a_teacher_online_keeps_the_weights(world, weighted, train, mixed, augments):
    cfg = online(world)
    cfg.train_dataloader.dataset = weighted
    if not augments:
        cfg.data_preprocessor.batch_augments = None
    seen, _ = train(wrapped(cfg))
    sums = [after.sum(1) for _, after in mixed] if augments else [WEIGHTS[:4], WEIGHTS[4:]] * 2
    assert len(seen) == len(sums) == 4
    for (inputs, targets), expected in zip(seen, sums):
        torch.testing.assert_close(targets.sum(1), expected)
        torch.testing.assert_close(targets, teacher_scores(world, inputs) * expected[:, None], atol=1e-5, rtol=1e-4)


def test_a_loss_that_does_not_heed_them(world, weighted, train):
    cfg = online(world)
    cfg.train_dataloader.dataset = weighted
    with pytest.raises(DistillError, match='for a set with weights, wrap the loss'):
        train(cfg)
    cfg = wrapped(online(world))
    cfg.train_dataloader.dataset = weighted
    cfg.model.head.loss.loss.temperature = 5
    with pytest.raises(DistillError, match='the labels have temperature 4 and the loss 5: set both to the same value'):
        train(cfg)


@pytest.mark.parametrize('cutmix', [1.0, None])
def test_replayed_views_mix_the_weights(world, weighted, train, cutmix):
    cfg = replayed(world)
    cfg.train_dataloader.dataset.update(dataset=weighted, cutmix=cutmix)
    label(deepcopy(cfg))
    seen, runner = train(wrapped(cfg))
    views, store = runner.train_dataloader.dataset, LabelStore(world.store)
    targets = torch.cat([targets for _, targets in seen[:2]])
    moved = 0
    for image in range(7):
        weight = WEIGHTS[image].item()
        if cutmix:  # by counting pixels: a view whose single images are one colour each
            single, views._single = views._single, lambda one, epoch: dict(inputs=torch.full((1, 16, 16), float(one)))
            pixels = views.view(image, 0)['inputs'].flatten().long()
            views._single = single
            weight = WEIGHTS[pixels].mean().item()
            moved += abs(weight - WEIGHTS[image].item()) > 0.01
        np.testing.assert_allclose(targets[image], weight * store.scores(image, 0), rtol=1e-5, atol=1e-7)
    assert moved >= 3 or not cutmix


def test_one_label_an_image_has_no_place_for_weights(world, weighted):
    cfg = stock(world)
    cfg.labels.dataset = dict(weighted, pipeline=cfg.labels.dataset.pipeline)
    cfg.train_dataloader.dataset.data_root = weighted['data_root']
    with pytest.raises(DistillError, match='labels.dataset has weights=True, .* leave weights out'):
        label(cfg)
