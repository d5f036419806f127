import numpy as np
import pytest
import torch
from torch.nn import functional as F

from mmdistill.errors import DistillError
from mmdistill.guidance import SegmentationConsistency


def inputs():
    torch.manual_seed(0)
    logits = torch.randn(3, 4, 6, 6, dtype=torch.float64)
    mask = torch.randint(0, 4, (3, 6, 6))
    mask[0, :2], mask[2] = 255, 255
    return logits, mask


def naive(logits, mask, balanced):
    losses = []
    for scores, labels in zip(logits.numpy(), mask.numpy()):
        logs = scores - np.log(np.exp(scores).sum(0))
        by_class = [[-logs[c, y, x] for y, x in zip(*np.where(labels == c))] for c in range(4)]
        by_class = [values for values in by_class if values]
        if not by_class:
            losses.append(0.0)
        elif balanced:
            losses.append(np.mean([np.mean(values) for values in by_class]))
        else:
            losses.append(np.mean(sum(by_class, [])))
    return torch.tensor(losses)


@pytest.mark.parametrize('class_weight', ['none', 'balanced'])
def test_against_a_naive_loop(class_weight):
    logits, mask = inputs()
    losses = SegmentationConsistency(lambda x: logits, class_weight=class_weight)(logits, dict(mask=mask))
    torch.testing.assert_close(losses, naive(logits, mask, class_weight == 'balanced'))


def test_ignored_pixels_have_no_gradient():
    logits, mask = inputs()
    logits.requires_grad_()
    SegmentationConsistency(lambda x: x)(logits, dict(mask=mask)).sum().backward()
    assert logits.grad[2].abs().max() == 0 and logits.grad[0, :, :2].abs().max() == 0
    assert logits.grad[0, :, 2:].abs().min() > 0


def test_scores_are_resized_to_the_mask():
    logits, mask = inputs()
    small = logits[..., ::2, ::2]
    losses = SegmentationConsistency(lambda x: small)(logits, dict(mask=mask))
    resized = F.interpolate(small, (6, 6), mode='bilinear', align_corners=False)
    torch.testing.assert_close(losses, naive(resized, mask, False))


def test_probabilities():
    logits, mask = inputs()
    loss = SegmentationConsistency(lambda x: x.softmax(1), probabilities=True)(logits, dict(mask=mask))
    torch.testing.assert_close(loss, naive(logits, mask, False))
    odd = torch.full((1, 4, 2, 2), 3.0)
    odd[:, 1] = 0.0
    losses = SegmentationConsistency(lambda x: x, probabilities=True)(odd, dict(mask=torch.tensor([[[0, 0], [1, 1]]])))
    assert losses.item() == pytest.approx(-np.log(1e-6) / 2, rel=1e-5)


def test_errors():
    logits, mask = inputs()
    with pytest.raises(DistillError, match='3 classes'):
        SegmentationConsistency(lambda x: x[:, :3])(logits, dict(mask=mask))
    with pytest.raises(DistillError, match='class_weight'):
        SegmentationConsistency(None, class_weight='rare')
