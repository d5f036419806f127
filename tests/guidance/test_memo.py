"""Constants of a batch: remembered from the first step, with the same losses and gradients bit for bit."""
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mmdistill.errors import DistillError
from mmdistill.generation.conditions import Condition
from mmdistill.guidance import (ClassFeatureMatching, ClassStatistics, PointMatching, SegmentationConsistency,
                                SemanticMatching, SetMatching, TransportMatching)
from mmdistill.guidance.memo import BatchMemo
from mmdistill.plan import Request

K = 3
REQUESTS = [Request(f'r{n}', seed=n, classes=(n % 2, )) for n in range(4)]
POINTS = {label: np.random.default_rng(label).normal(size=(3, 3, 8, 8)).astype(np.float32) for label in (0, 1)}
MASSES = {label: np.array([0.5, 0.3, 0.2]) for label in (0, 1)}
LEVEL = SimpleNamespace(step=0, timestep=0, alpha=0.6, sigma=0.8)
WEIGHT = torch.randn(K, 3, 3, 3, generator=torch.Generator().manual_seed(0))


def extractor(x):
    return [torch.nn.functional.conv2d(x, WEIGHT.to(x), stride=2, padding=1), x * x]


def statistics():
    random = torch.Generator().manual_seed(1)
    images, masks = torch.rand(3, 3, 8, 8, generator=random).double(), torch.randint(0, K, (3, 8, 8), generator=random)
    return ClassStatistics(K).fit(extractor(images), masks)


MAKE = dict(
    feat=lambda: ClassFeatureMatching(extractor, statistics()),
    seg=lambda: SegmentationConsistency(lambda x: extractor(x)[0]),
    balanced=lambda: SegmentationConsistency(lambda x: extractor(x)[0], class_weight='balanced'),
    points=lambda: PointMatching(POINTS, REQUESTS),
    transport=lambda: TransportMatching(POINTS, MASSES, REQUESTS),
    sets=lambda: SetMatching(POINTS, MASSES))


def condition(seed, rows):
    masks = torch.randint(0, K, (len(rows), 8, 8), generator=torch.Generator().manual_seed(seed))
    masks[0, :2] = 255
    return Condition(dict(mask=masks), requests=tuple(REQUESTS[row] for row in rows))


def loss_and_gradient(objective, x, batch):
    x = x.clone().requires_grad_()
    loss = objective(x, batch, *([LEVEL] if objective.space == 'noisy' else []))
    return loss.detach(), torch.autograd.grad(loss.sum(), x)[0]


@pytest.mark.parametrize('name', MAKE)
def test_losses_are_those_of_a_new_objective(name):
    """Over the steps of two batches, also in another dtype, and of the first batch again."""
    objective, random = MAKE[name](), torch.Generator().manual_seed(2)
    first, second = condition(3, (0, 1)), condition(4, (1, 0))
    for batch, dtype in ((first, torch.float32), (first, torch.float32), (first, torch.float64),
                         (second, torch.float64), (second, torch.float32), (first, torch.float32)):
        x = torch.randn(2, 3, 8, 8, generator=random).to(dtype)
        found, expected = (loss_and_gradient(one, x, batch) for one in (objective, MAKE[name]()))
        assert all(map(torch.equal, found, expected)) and found[0].dtype == dtype and found[1].any()


class Operations(TorchDispatchMode):
    """The names of the operations that run, with the dtype of what is copied."""

    def __init__(self):
        super().__init__()
        self.seen = set()

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        name = operation.overloadpacket.__name__
        self.seen.add(f'{name}-{args[0].dtype}' if name == '_to_copy' else name)
        return operation(*args, **(kwargs or {}))


@pytest.mark.parametrize('name, waits', [
    ('feat', {'bincount', '_local_scalar_dense', '_to_copy-torch.float64'}), ('seg', {'_local_scalar_dense'}),
    ('balanced', {'_local_scalar_dense'}), ('points', {'stack'})])
def test_a_step_does_not_wait_for_the_device(name, waits):
    """Operations that wait for a GPU, or copy to it, run only in the first step."""
    objective, batch, seen = MAKE[name](), condition(3, (0, 1)), []
    for step in range(3):
        with Operations() as operations:
            objective(torch.full((2, 3, 8, 8), 0.1 * step), batch)
        seen.append(operations.seen & waits)
    assert seen[0] and not seen[1] and not seen[2]


def test_masks_are_still_checked():
    objective, batch = MAKE['seg'](), condition(3, (0, 1))
    objective(torch.ones(2, 3, 8, 8), batch)
    batch['mask'][0, 3, 3] = K
    for _ in range(2):
        with pytest.raises(DistillError, match='the segmentor has 3 classes, a mask shows id 3'):
            objective(torch.ones(2, 3, 8, 8), dict(mask=batch['mask'].clone()))


def test_a_memo_computes_once_per_batch_and_key():
    calls, memo, first, second = [], BatchMemo(), [1], [1]  # equal, but not the same
    for batch, key in ((first, 'a'), (first, 'a'), (first, 'b'), (second, 'a'), (second, 'a'), (first, 'a')):
        assert memo(batch, key, lambda value: calls.append(value) or value, key) == key
    assert calls == ['a', 'b', 'a', 'a']


def test_class_embeddings_are_computed_once():
    calls = []
    generator = SimpleNamespace(class_embeddings=lambda requests: calls.append(requests) or {0: torch.ones(4)},
                                scheduler=SimpleNamespace(config=SimpleNamespace(num_train_timesteps=1000)))
    SemanticMatching(generator, REQUESTS)
    assert calls == [REQUESTS]
