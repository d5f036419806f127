"""The distillation loss against a naive one and PyTorch's, and in a head of mmpretrain."""
import math

import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import MODELS, DefaultScope

from mmdistill.errors import DistillError
from mmdistill.models import TemperatureKLLoss


@pytest.fixture
def logits():
    generator = torch.Generator().manual_seed(0)
    return [5 * torch.randn(6, 4, generator=generator, dtype=torch.double) for _ in range(2)]


@pytest.mark.parametrize('temperature', [0.5, 1, 4, 20])
def test_against_a_naive_one_and_pytorchs(logits, temperature):
    student, teacher = logits
    target = (teacher / temperature).softmax(1)
    loss = TemperatureKLLoss(temperature)(student, target)
    naive = 0.0
    for s, t in zip(student.tolist(), teacher.tolist()):
        q, p = ([math.exp(v / temperature) for v in values] for values in (s, t))
        naive += sum(a / sum(p) * math.log(a / sum(p) / (b / sum(q))) for a, b in zip(p, q)) / len(student)
    assert loss.item() == pytest.approx(naive, rel=1e-12)
    torch.testing.assert_close(loss, F.kl_div((student / temperature).log_softmax(1), target, reduction='batchmean'))


def test_gradient_is_the_closed_form(logits):
    """(softmax(s/T) - p) / (N T): no T^2."""
    student, teacher = logits
    student.requires_grad_()
    target = (teacher / 20).softmax(1)
    TemperatureKLLoss(20)(student, target).backward()
    torch.testing.assert_close(student.grad, ((student / 20).softmax(1) - target).detach() / (6 * 20))


def test_zero_at_the_teacher_and_one_hot_labels_are_cross_entropy(logits):
    student, _ = logits
    assert TemperatureKLLoss(3)(student, (student / 3).softmax(1)).item() == pytest.approx(0, abs=1e-12)
    ids = torch.tensor([0, 1, 2, 3, 0, 1])
    torch.testing.assert_close(
        TemperatureKLLoss(1)(student, F.one_hot(ids, 4)), F.cross_entropy(student, ids))


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision(dtype):
    """Losses of a large batch are summed in float32."""
    generator = torch.Generator().manual_seed(1)
    student, teacher = (30 * torch.randn(2048, 4, generator=generator) for _ in range(2))
    student = student.to(dtype)
    expected = F.kl_div(student.double().log_softmax(1), teacher.double().softmax(1), reduction='batchmean')
    assert TemperatureKLLoss(1)(student, teacher.softmax(1)).item() == pytest.approx(expected.item(), rel=1e-5)


def test_avg_factor(logits):
    student, teacher = logits
    loss, target = TemperatureKLLoss(2), (teacher / 2).softmax(1)
    torch.testing.assert_close(loss(student, target, avg_factor=3), 2 * loss(student, target))


def test_in_the_head_of_mmpretrain(logits):
    import mmpretrain.models  # noqa: F401
    from mmpretrain.structures import DataSample
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        head = MODELS.build(dict(type='LinearClsHead', num_classes=4, in_channels=4,
                                 loss=dict(type='mmdistill.TemperatureKLLoss', temperature=20)))
    features, teacher = (values.float() for values in logits)
    target = (teacher / 20).softmax(1)
    samples = [DataSample().set_gt_label(0).set_gt_score(row) for row in target]
    scores = head((features, ))
    expected = F.kl_div((scores / 20).log_softmax(1), target, reduction='batchmean')
    torch.testing.assert_close(head.loss((features, ), samples)['loss'], expected)


def test_mistakes(logits):
    student, teacher = logits
    with pytest.raises(DistillError, match='TemperatureKLLoss: temperature=0 is out of range'):
        TemperatureKLLoss(0)
    with pytest.raises(DistillError, match=r'soft labels \(gt_score\) of shape \(6, 4\), not \(6,\)'):
        TemperatureKLLoss(20)(student, torch.zeros(6, dtype=torch.long))
    with pytest.raises(DistillError, match=r'softmax\(logits / 20\)'):
        TemperatureKLLoss(20)(student, teacher)
    TemperatureKLLoss(20)(student, (teacher / 20).softmax(1).half())  # a store's rounding is no mistake
