"""Label cleaners against loops over single pixels."""
import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from mmdistill.cleaning import ClassLosses, IgnoredPixels, LossThreshold, MajorityVote, clean_masks
from mmdistill.errors import DistillError

CLASSES, SIDE = 4, 8


@pytest.fixture
def segmentor():
    """Half the resolution, so that its scores have to be resized."""
    torch.manual_seed(0)
    net = torch.nn.Conv2d(3, CLASSES, 3, 2, 1).double().requires_grad_(False)
    return lambda images: 3 * net(images)


def images_of(count, seed=1):
    return torch.randn(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed)).double()


def mask_of(seed=2):
    mask = torch.randint(0, CLASSES, (SIDE, SIDE), generator=torch.Generator().manual_seed(seed))
    mask[0, :3] = 255
    return mask


def scores_of(segmentor, images):
    """One image at a time."""
    size = dict(size=(SIDE, SIDE), mode='bilinear', align_corners=False)
    return np.stack([F.interpolate(segmentor(image[None]), **size)[0].numpy() for image in images])


@pytest.mark.parametrize('count', [2, 3, 4, 5])
def test_a_majority(segmentor, count):
    images, mask = images_of(count), mask_of()
    scores = scores_of(segmentor, images)
    ignored = MajorityVote(segmentor)(images, mask)
    assert ignored.shape == (count, SIDE, SIDE)
    seen = set()
    for y in range(SIDE):
        for x in range(SIDE):
            against = sum(int(scores[k, :, y, x].argmax()) != int(mask[y, x]) for k in range(count))
            seen.add(against)
            assert ignored[:, y, x].tolist() == [against > count / 2] * count
    assert len(seen) > 2 and (count % 2 or count // 2 in seen)  # half of them is no majority, and that occurs


def cross_entropy(scores, label):
    return math.log(sum(math.exp(value) for value in scores)) - scores[label]


@pytest.mark.parametrize('probabilities', [False, True])
def test_a_threshold_by_class(segmentor, probabilities):
    network = (lambda images: segmentor(images).softmax(1)) if probabilities else segmentor
    loss = (lambda scores, label: -math.log(min(max(scores[label], 1e-6), 1))) if probabilities else cross_entropy
    real, real_masks = images_of(5, 3), torch.stack([mask_of(seed) for seed in range(5)])
    real_masks[real_masks == 3] = 0  # a class that is in no real image
    losses = ClassLosses(CLASSES, probabilities).fit(network, real[:2], real_masks[:2])
    losses.fit(network, real[2:], real_masks[2:])
    values = {label: [] for label in range(CLASSES)}
    for scores, one in zip(scores_of(network, real), real_masks.numpy()):
        for y in range(SIDE):
            for x in range(SIDE):
                if one[y, x] != 255:
                    values[one[y, x]].append(loss(scores[:, y, x], one[y, x]))
    means = {label: sum(found) / len(found) for label, found in values.items() if found}
    assert losses.means[:3].tolist() == pytest.approx([means[label] for label in range(3)], rel=1e-9)
    assert losses.means[3].isnan()

    images, mask = images_of(3), mask_of()
    ignored = LossThreshold(network, losses, factor=1.1)(images, mask)
    scores, numbers = scores_of(network, images), mask.tolist()
    for y in range(SIDE):
        for x in range(SIDE):
            for k in range(3):
                label = numbers[y][x]
                expected = label in means and loss(scores[k, :, y, x], label) > 1.1 * means[label]
                assert label == 255 or ignored[k, y, x].item() == expected
    assert 0 < ignored.float().mean() < 1
    assert LossThreshold(network, losses).factor == 1.25


def test_losses_are_kept(segmentor, tmp_path):
    losses = ClassLosses(CLASSES, True, 'these').fit(segmentor, images_of(2), mask_of().expand(2, -1, -1))
    losses.save(tmp_path / 'losses.json')
    read = ClassLosses.load(tmp_path / 'losses.json', 'these')
    assert read.probabilities and torch.equal(read.sums, losses.sums) and torch.equal(read.counts, losses.counts)
    with pytest.raises(DistillError, match='other data or another network: delete the file'):
        ClassLosses.load(tmp_path / 'losses.json', 'others')
    (tmp_path / 'losses.json').write_text('{"sums": [1]')
    with pytest.raises(DistillError, match='no readable class losses at .*losses.json'):
        ClassLosses.load(tmp_path / 'losses.json')


class Fixed:
    def __init__(self, pixels):
        self.pixels = pixels

    def __call__(self, images, mask):
        assert int((mask == 255).sum()) == 3  # the mask as it was
        return self.pixels


def test_several_cleaners_and_their_counts():
    mask, images = mask_of(), images_of(2)
    first, second = (torch.rand(2, SIDE, SIDE, generator=torch.Generator().manual_seed(n)) < 0.3 for n in (5, 6))
    counts = IgnoredPixels(['a', 'b'], CLASSES + 1)
    for _ in range(2):  # counts add up
        cleaned = clean_masks(dict(a=Fixed(first), b=Fixed(second)), images, mask, counts)
    assert cleaned.shape == (2, SIDE, SIDE) and torch.equal(cleaned[first | second].unique(), torch.tensor([255]))
    assert torch.equal(cleaned[~(first | second)], mask.expand(2, -1, -1)[~(first | second)])
    shares = counts.shares([*'pqrs', 'none'])
    assert list(shares) == ['a', 'b', 'all']
    labelled = (mask != 255).expand(2, -1, -1)
    for name, pixels in (('a', first), ('b', second), ('all', first | second)):
        share = (pixels & labelled).sum().item() / labelled.sum().item()
        assert shares[name]['share'] == pytest.approx(share, abs=1e-6)
        for number, label in enumerate('pqrs'):
            of_class = (mask == number).expand(2, -1, -1)
            assert shares[name]['classes'][label] == pytest.approx(
                (pixels & of_class).sum().item() / of_class.sum().item(), abs=1e-6)
        assert shares[name]['classes']['none'] is None


def test_one_cleaner_is_not_said_twice():
    counts = IgnoredPixels(['a'], CLASSES)
    clean_masks(dict(a=Fixed(torch.zeros(2, SIDE, SIDE, dtype=torch.bool))), images_of(2), mask_of(), counts)
    assert list(counts.shares('pqrs')) == ['a'] and counts.shares('pqrs')['a']['share'] == 0


@pytest.mark.parametrize('cleaner', ['vote', 'loss'])
def test_a_mask_of_other_classes(segmentor, cleaner):
    mask = mask_of()
    mask[4, 4] = 7
    made = MajorityVote(segmentor) if cleaner == 'vote' else LossThreshold(segmentor, ClassLosses(CLASSES))
    with pytest.raises(DistillError, match='the segmentor has 4 classes, a mask shows id 7'):
        made(images_of(2), mask)
