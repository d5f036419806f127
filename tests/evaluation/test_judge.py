import math

import numpy as np
import pytest
import torch
from mmseg.datasets import BaseSegDataset
from PIL import Image
from sklearn.metrics import jaccard_score

from mmdistill.datasets import DatasetMasks
from mmdistill.errors import DistillError
from mmdistill.evaluation.judge import judge_agreement
from mmdistill.toy.street_scenes import CLASSES
from mmdistill.toy.streets import StreetScenes

NAMES = ('a', 'b', 'c', 'd')


@pytest.fixture
def masks(tmp_path):
    """Seven images with masks, in two sizes. Red encodes the class; the class 'd' is in no mask."""
    rng = np.random.default_rng(0)
    for folder in ('images', 'masks'):
        (tmp_path / folder).mkdir()
    for i in range(7):
        size = (12, 20) if i in (2, 5) else (16, 16)
        mask = rng.choice([0, 1, 2, 255], size, p=[0.6, 0.3, 0.05, 0.05]).astype(np.uint8)
        seen = np.where(rng.random(size) < 0.7, mask % 4, rng.integers(0, 3, size)).astype(np.uint8)
        Image.fromarray(np.dstack((seen * 80, seen, seen))).save(tmp_path / f'images/{i}.png')
        Image.fromarray(mask).save(tmp_path / f'masks/{i}.png')
    return DatasetMasks(BaseSegDataset(
        data_root=str(tmp_path), data_prefix=dict(img_path='images', seg_map_path='masks'), img_suffix='.png',
        metainfo=dict(classes=NAMES, palette=[[i] * 3 for i in range(4)]), pipeline=[]))


def judge(images):
    """Reads the class off the red channel, of images in [-1, 1]."""
    ids = ((images[:, 0] + 1) * 127.5 / 80).round().long()
    return torch.nn.functional.one_hot(ids, 4).permute(0, 3, 1, 2).float()


def test_is_scikit_learns_of_all_pixels(masks):
    pixels = [masks.pair(i, masks.checked_mask(i).shape) for i in range(7)]
    seen = np.concatenate([image[..., 1].ravel() for image, _ in pixels])
    true = np.concatenate([mask.ravel() for _, mask in pixels])
    # A judge may see anything where the mask ignores: 255 % 4 = 3 stands there and must not count.
    assert (seen == 3).any() and not (seen[true != 255] == 3).any()
    expected = 100 * jaccard_score(true[true != 255], seen[true != 255], labels=[0, 1, 2], average=None)
    for size in (1, 3, 16):
        found = judge_agreement(judge, masks, size)
        assert [found[f'IoU.{name}'] for name in 'abc'] == pytest.approx(expected.tolist())
        assert math.isnan(found['IoU.d']) and found['mIoU'] == pytest.approx(expected.mean())


def test_a_class_that_is_only_predicted_counts_as_0(masks):
    found = judge_agreement(lambda images: torch.eye(4)[3].view(1, 4, 1, 1).expand(len(images), 4, *images.shape[2:]),
                            masks)
    assert [found[f'IoU.{name}'] for name in NAMES] == [0, 0, 0, 0] and found['mIoU'] == 0


def test_batches_are_full_and_of_one_size(masks):
    shapes = []
    judge_agreement(lambda images: (shapes.append(tuple(images.shape)), judge(images))[1], masks, 2)
    assert shapes == [(2, 3, 16, 16), (1, 3, 12, 20), (2, 3, 16, 16), (1, 3, 12, 20), (1, 3, 16, 16)]


def test_the_built_in_guide_agrees_with_real_scenes():
    from mmdistill.config import read_config
    from mmdistill.models import SegmentorGuide
    config = read_config('mmdistill::generators/unet-guide_streets-64x64.py')
    guide = SegmentorGuide(config.model, 'mmdistill://streets/segmentor/model.safetensors')
    found = judge_agreement(guide, DatasetMasks(StreetScenes(20, 'test', pipeline=[])))
    assert found['mIoU'] > 70 and set(found) == {'mIoU', *(f'IoU.{name}' for name in CLASSES)}


def test_a_judge_of_other_classes_or_sizes(masks):
    for change in (lambda x: x[:, :3], lambda x: x[..., ::2]):
        with pytest.raises(DistillError, match='give it a segmentor of the same classes'):
            judge_agreement(lambda images, change=change: change(judge(images)), masks)


def test_nothing_labelled(masks):
    for path in masks.masks:
        mask = np.asarray(Image.open(path))
        Image.fromarray(np.full_like(mask, 255)).save(path)
    with pytest.raises(DistillError, match='no mask has a labelled pixel'):
        judge_agreement(judge, masks)
