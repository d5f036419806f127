"""Each kind of soft labels in MMEngine's runner and a stock training; combinations that do not fit are refused."""
import pickle
from copy import deepcopy

import numpy as np
import pytest
import torch

from mmdistill.errors import DistillError
from mmdistill.labels import LabelStore
from mmdistill.labels.label import label


def online(world, **teacher):
    hook = dict(type='mmdistill.OnlineLabelsHook', temperature=4, teacher=dict(world.teacher, **teacher))
    return world.config(custom_hooks=[hook])


def replayed(world, **changes):
    changes = {
        'train_dataloader.dataset': dict(_delete_=True, type='mmdistill.ReplayedViews', dataset=world.plain,
                                         store=str(world.store), temperature=4),
        'data_preprocessor.batch_augments': None,
        'custom_hooks': [dict(type='mmdistill.ReplayedLabelsHook')],
        'labels': dict(teacher=world.teacher, top_k=2), **changes}
    return world.config(**changes)


def stock(world):
    """mmpretrain's own dataset, hooks and preprocessing alone."""
    return world.config(**{
        'train_dataloader.dataset': dict(_delete_=True, type='BaseDataset', data_root=str(world.root),
                                         ann_file='meta/train.pkl', data_prefix='train', pipeline=world.pipeline),
        'labels': dict(teacher=world.teacher, temperature=4, dataset=dict(
            world.plain, pipeline=[dict(type='LoadImageFromFile'), dict(type='Resize', scale=(16, 16)),
                                   dict(type='PackInputs')]))})


def teacher_scores(world, inputs):
    """Of normalised inputs; the teacher was trained with the student's preprocessing here."""
    with torch.no_grad():
        return (world.model.eval()(inputs) / 4).softmax(1)


def test_online_labels_are_of_the_mixed_batch(world, train):
    seen, runner = train(online(world))
    assert len(seen) == 4 and runner.iter == 4
    for inputs, targets in seen:
        torch.testing.assert_close(targets, teacher_scores(world, inputs), atol=1e-5, rtol=1e-4)
        assert (targets.max(1)[0] < 0.999).any()
    # The teacher is nobody's parameter.
    assert not [name for name in runner.model.state_dict() if 'teacher' in name]
    known = {id(p) for group in runner.optim_wrapper.optimizer.param_groups for p in group['params']}
    assert known == {id(p) for p in runner.model.parameters()}
    data = dict(inputs=[torch.zeros(3, 16, 16, dtype=torch.uint8)], data_samples=None)
    runner.model.data_preprocessor(data, True)  # let go of: no samples to label would fail


@pytest.mark.parametrize('student_rgb', [True, False])
def test_online_teacher_uses_its_own_preprocessing(world, train, student_rgb):
    """Another mean, deviation and channel order: the same pixels."""
    other = dict(num_classes=3, mean=[1.0, 2.0, 3.0], std=[200.0, 210.0, 220.0], to_rgb=False)
    cfg = online(world, data_preprocessor=other)
    cfg.data_preprocessor.to_rgb = student_rgb
    (inputs, targets), *_ = train(cfg)[0]
    std, mean = (torch.tensor(v).view(3, 1, 1) for v in ([60.0, 55.0, 50.0], [120.0, 110.0, 100.0]))
    pixels = inputs * std + mean
    pixels = pixels.flip(1) if student_rgb else pixels  # BGR
    own = (pixels - torch.tensor(other['mean']).view(3, 1, 1)) / torch.tensor(other['std']).view(3, 1, 1)
    torch.testing.assert_close(targets, teacher_scores(world, own), atol=1e-5, rtol=1e-4)


def test_replayed_views_have_the_labels_of_the_same_views(world, train):
    cfg = replayed(world, labels=dict(teacher=world.teacher, top_k=None))
    label(deepcopy(cfg), batch_size=3)
    seen, runner = train(cfg)
    assert len(seen) == 4
    for inputs, targets in seen:
        torch.testing.assert_close(targets, teacher_scores(world, inputs), atol=2e-3, rtol=2e-3)
    first, second = (torch.cat([inputs for inputs, _ in seen[i:i + 2]]) for i in (0, 2))
    assert first.shape == second.shape == (7, 3, 16, 16)
    # Each epoch has views of its own.
    assert (first[:, None] - second[None]).flatten(2).abs().amax(2).min() > 0


@pytest.mark.parametrize('workers', [0, 2])
def test_epochs_reach_the_workers(world, train, workers):
    cfg = replayed(world)
    label(deepcopy(cfg))
    cfg.train_dataloader.update(num_workers=workers, persistent_workers=bool(workers))
    cfg.train_dataloader.sampler.shuffle = False
    seen, runner = train(cfg)
    store, dataset = LabelStore(world.store), runner.train_dataloader.dataset
    for epoch in (0, 1):
        targets = torch.cat([targets for _, targets in seen[2 * epoch:2 * epoch + 2]])
        expected = np.stack([store.scores(i, epoch) for i in range(7)])
        np.testing.assert_allclose(targets.numpy(), expected, atol=1e-7)
        inputs = torch.cat([inputs for inputs, _ in seen[2 * epoch:2 * epoch + 2]])
        views = [dict(inputs=[dataset.view(i, epoch)['inputs']]) for i in range(7)]
        expected = torch.cat([runner.model.data_preprocessor(view)['inputs'] for view in views])
        torch.testing.assert_close(inputs, expected)


def test_one_label_an_image_by_stock_mmpretrain(world, train):
    cfg = stock(world)
    line = label(deepcopy(cfg), batch_size=2)
    assert '7 images' in line and str(world.root / 'meta/train.pkl') in line
    entries = pickle.loads((world.root / 'meta/train.pkl').read_bytes())
    assert entries['metainfo']['classes'] == ['n1', 'n2', 'n3']
    assert [entry['img_path'].split('/')[0] for entry in entries['data_list']] == ['n1'] * 3 + ['n2'] * 2 + ['n3'] * 2
    scores = np.stack([entry['gt_score'] for entry in entries['data_list']])
    np.testing.assert_allclose(scores.sum(1), 1, atol=1e-6)
    seen, runner = train(cfg)
    assert len(seen) == 4 and runner.train_dataloader.dataset.metainfo['labels']['temperature'] == 4
    for _, targets in seen:  # mmpretrain's CutMix mixed them: convex combinations of two
        shares = np.linalg.lstsq(np.concatenate([scores, np.ones((7, 1))], 1).T,
                                 np.concatenate([targets.numpy(), np.ones((len(targets), 1))], 1).T, rcond=None)
        np.testing.assert_allclose(shares[0].T @ scores, targets, atol=1e-5)


def test_one_label_an_image_of_wrapped_sets(world):
    """Each image has one label, however often the training and the set without labels repeat it."""
    cfg = stock(world)
    label(deepcopy(cfg), batch_size=2)
    expected = pickle.loads((world.root / 'meta/train.pkl').read_bytes())
    cfg.train_dataloader.dataset = dict(type='RepeatDataset', times=2, dataset=cfg.train_dataloader.dataset)
    plain = cfg.labels.dataset
    cfg.labels.dataset = dict(type='ConcatDataset', datasets=[dict(type='RepeatDataset', times=3, dataset=plain),
                                                              dict(plain, indices=2)])
    (world.root / 'meta/train.pkl').unlink()
    assert '7 images' in label(deepcopy(cfg), batch_size=2)
    found = pickle.loads((world.root / 'meta/train.pkl').read_bytes())
    for one, other in zip(found['data_list'], expected['data_list'], strict=True):
        assert one['img_path'] == other['img_path']
        np.testing.assert_allclose(one['gt_score'], other['gt_score'], atol=1e-6)


def refuse(cfg, message, train):
    with pytest.raises(DistillError, match=message) as caught:
        train(cfg)
    assert '\n' not in str(caught.value)


def test_teachers_that_do_not_fit(world, train):
    path = world.teacher['checkpoint']
    loaded = torch.load(path, weights_only=True)
    for classes, what in ((('n2', 'n1', 'n3'), 'in another order'), (('cat', 'n2', 'n3'), 'other classes')):
        loaded['meta']['dataset_meta']['classes'] = classes
        torch.save(loaded, path)
        refuse(online(world), f"{what}: its class 0 is '{classes[0]}', the set's 'n1'", train)
        with pytest.raises(DistillError, match=what):
            label(replayed(world))
        assert not world.store.exists()
    refuse(online(world, outputs=[0, 1]), '2 classes, the set 3', train)
    refuse(online(world, outputs=[0, 1, 3]), r'in 0\.\.2', train)
    train(online(world, outputs=[1, 0, 2]))  # said by hand
    refuse(online(world, checkpoint=str(world.tmp_path / 'none.pth')), 'cannot read weights', train)
    torch.save({k: v for k, v in loaded['state_dict'].items() if 'head' not in k}, path)
    refuse(online(world), 'do not fit the teacher', train)
    refuse(online(world, config=dict(world.teacher['config'], data_preprocessor=None)), 'no data_preprocessor', train)


def test_trainings_that_do_not_fit(world, train):
    cfg = replayed(world)
    refuse(cfg, 'store .* does not exist', train)
    label(deepcopy(cfg))
    longer = deepcopy(cfg)
    longer.train_cfg.max_epochs = 3
    refuse(longer, 'has 2 epochs and the training takes 3', train)
    mixed = replayed(world, **{'data_preprocessor.batch_augments': dict(augments=[dict(type='Mixup', alpha=1.0)])})
    refuse(mixed, 'mixed again', train)
    hot = deepcopy(cfg)
    hot.model.head.loss.temperature = 20
    refuse(hot, 'temperature 4 and the loss 20', train)
    deaf = deepcopy(cfg)
    deaf.custom_hooks = []
    refuse(deaf, 'does not know the epoch', train)
    refuse(world.config(custom_hooks=[dict(type='mmdistill.ReplayedLabelsHook')]), 'has to be a mmdistill.Repl', train)
    steps = deepcopy(cfg)
    steps.train_cfg = dict(by_epoch=False, max_iters=2)
    refuse(steps, 'EpochBasedTrainLoop', train)
    other = deepcopy(cfg)
    other.train_dataloader.dataset.seed = 1
    refuse(other, 'is for other views', train)
    other = deepcopy(cfg)
    other.train_dataloader.dataset.dataset.pipeline[1].crop_ratio_range = (0.5, 1.0)
    refuse(other, 'is for other views', train)
    other = deepcopy(cfg)
    other.train_dataloader.dataset.temperature = other.model.head.loss.temperature = 5
    refuse(other, 'temperature .4, not 5.', train)
    (world.root / 'train' / 'n1' / '0.png').write_bytes((world.root / 'train' / 'n2' / '1.png').read_bytes())
    refuse(cfg, 'another set of images', train)
