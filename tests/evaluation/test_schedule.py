"""A protocol's epochs by images per class, and schedules stretched to them."""
import copy

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import CosineAnnealingLR, LinearLR, MultiStepLR

from mmdistill.errors import DistillError
from mmdistill.evaluation.schedule import settings_by_size, set_epochs

PROTOCOL = dict(id='p', ipc=5, by_size=[
    (10, 10, dict(epochs=2000)), (10, None, dict(epochs=1500)), (20, 5, dict(lr=0.1, batch_size=128)), (None, 1, {})])
SCHEDULERS = dict(MultiStepLR=MultiStepLR, CosineAnnealingLR=CosineAnnealingLR, LinearLR=LinearLR)


def config(schedulers, epochs=100, **kwargs):
    return Config(dict(train_cfg=dict(max_epochs=epochs, val_interval=epochs // 10), param_scheduler=schedulers,
                       **kwargs))


def rates(cfg):
    """The learning rate of every epoch."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    given = cfg.param_scheduler if isinstance(cfg.param_scheduler, list) else [cfg.param_scheduler]
    built = [SCHEDULERS[s['type']](optimizer, **{k: v for k, v in s.items() if k != 'type'}) for s in given]
    seen = []
    for _ in range(cfg.train_cfg.max_epochs):
        seen.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        for scheduler in built:
            scheduler.step()
    return seen


@pytest.mark.parametrize('classes, ipc, settings', [
    (1, 1, dict(epochs=2000)), (10, 10, dict(epochs=2000)), (10, 11, dict(epochs=1500)), (10, 10**6, dict(epochs=1500)),
    (11, 1, dict(lr=0.1, batch_size=128)), (20, 5, dict(lr=0.1, batch_size=128)), (21, 1, {}),
    (10, None, dict(epochs=2000)), (11, None, dict(lr=0.1, batch_size=128))])
def test_the_first_row_that_fits_counts(classes, ipc, settings):
    assert settings_by_size(PROTOCOL, classes, ipc) == settings
    assert settings_by_size(Config(dict(protocol=PROTOCOL)).protocol, classes, ipc) == settings


def test_sizes_without_a_row():
    assert settings_by_size(dict(id='p'), 10, 10) == settings_by_size({}, 10, None) == {}
    with pytest.raises(DistillError, match='protocol p: no row of by_size fits 21 classes and 2 images per class: add'):
        settings_by_size(PROTOCOL, 21, 2)
    with pytest.raises(DistillError, match='protocol p has settings by images per class: give the comparison an ipc'):
        settings_by_size(dict(PROTOCOL, ipc=None), 10, None)


@pytest.mark.parametrize('epochs', [1, 2, 7, 300, 500, 1000, 1500, 2000, 3000])
@pytest.mark.parametrize('base', [100, 2000])
def test_milestones_are_whole_parts_of_shares(epochs, base):
    """As in integer arithmetic, for any number of epochs in the config."""
    cfg = config(dict(type='MultiStepLR', milestones=[1, 2], gamma=0.2), base,
                 protocol=dict(milestones=(2 / 3, 5 / 6)))
    set_epochs(cfg, epochs)
    assert cfg.param_scheduler.milestones == [max(1, 2 * epochs // 3), max(1, 5 * epochs // 6)]
    assert cfg.train_cfg.max_epochs == epochs
    assert cfg.train_cfg.val_interval == max(1, round(epochs / 10))
    seen = rates(cfg)
    assert seen[0] == 1.0
    if epochs > 6:
        assert seen[-1] == pytest.approx(0.04)
        assert [seen.count(rate) for rate in sorted(set(seen))[::-1]] == [
            2 * epochs // 3, 5 * epochs // 6 - 2 * epochs // 3, epochs - 5 * epochs // 6]


def test_without_shares_milestones_are_scaled():
    cfg = config([dict(type='MultiStepLR', milestones=[30, 60, 90], gamma=0.1)])
    set_epochs(cfg, 10)
    assert cfg.param_scheduler[0].milestones == [3, 6, 9]


@pytest.mark.parametrize('epochs', [1, 10, 300])
def test_half_a_cosine_stays_one(epochs):
    cfg = config(dict(type='CosineAnnealingLR', T_max=200, begin=0, end=100))
    set_epochs(cfg, epochs)
    expected = [0.5 * (1 + torch.cos(torch.tensor(torch.pi * t / epochs / 2, dtype=torch.double)).item())
                for t in range(epochs)]
    assert rates(cfg) == pytest.approx(expected)


def test_warm_up_keeps_its_share():
    cfg = config([dict(type='LinearLR', start_factor=0.1, begin=0, end=10),
                  dict(type='CosineAnnealingLR', T_max=90, begin=10, end=100)])
    before = rates(cfg)
    set_epochs(cfg, 1000)
    assert cfg.param_scheduler[0].end == cfg.param_scheduler[1].begin == 100
    assert rates(cfg)[100::10] == pytest.approx(before[10:], abs=1e-9)
    with pytest.raises(DistillError, match='1 epochs are too few for CosineAnnealingLR'):
        set_epochs(cfg, 1)


def test_there_and_back_again():
    cfg = config([dict(type='CosineAnnealingLR', T_max=200, begin=0, end=100)], protocol=dict(milestones=(2 / 3, )))
    before = copy.deepcopy(cfg.to_dict())
    set_epochs(cfg, 2000)
    assert cfg.to_dict() != before
    set_epochs(cfg, 100)
    assert cfg.to_dict() == before


def test_mistakes():
    with pytest.raises(DistillError, match='counts iterations'):
        set_epochs(dict(train_cfg=dict(max_iters=10)), 5)
    cfg = config([dict(type='PolyLR', by_epoch=False, end=10)])
    with pytest.raises(DistillError, match='PolyLR in param_scheduler counts iterations'):
        set_epochs(cfg, 5)
    assert cfg.train_cfg.max_epochs == 100
