"""A protocol's epochs by images per class, and schedules stretched to them."""
import copy

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import CosineAnnealingLR, LinearLR, MultiStepLR

from mmdistill.errors import DistillError
from mmdistill.evaluation.schedule import by_ipc, set_epochs

PROTOCOL = dict(id='p', epochs_by_ipc=[(10, 2000), (50, 1500), (None, 300)], batch_size_by_ipc=[(10, 100)])
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


@pytest.mark.parametrize('ipc, epochs', [(1, 2000), (10, 2000), (11, 1500), (50, 1500), (51, 300), (10**6, 300)])
def test_epochs_by_ipc(ipc, epochs):
    assert by_ipc(PROTOCOL, 'epochs_by_ipc', ipc) == epochs
    assert by_ipc(Config(dict(protocol=PROTOCOL)).protocol, 'epochs_by_ipc', ipc) == epochs


def test_batch_size_by_ipc():
    assert by_ipc(PROTOCOL, 'batch_size_by_ipc', 10) == 100
    assert by_ipc(dict(id='p'), 'batch_size_by_ipc', 10) is None
    with pytest.raises(DistillError, match='protocol p has no batch_size_by_ipc for 11 images per class'):
        by_ipc(PROTOCOL, 'batch_size_by_ipc', 11)


@pytest.mark.parametrize('epochs', [1, 2, 7, 300, 500, 1000, 1500, 2000, 3000])
@pytest.mark.parametrize('base', [100, 2000])
def test_milestones_are_whole_parts_of_shares(epochs, base):
    """As integer arithmetic gives them, from any number of epochs that the config had."""
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
    with pytest.raises(DistillError, match='1 epochs leave none to CosineAnnealingLR'):
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
