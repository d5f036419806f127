"""A linear probe on frozen ImageNet features, which measures in seconds how useful a set of CamVid frames is.

The features are those of all stages of EfficientNet-Lite0 at 1/4 of the image size. The classes are weighted as in
ENet. The probe compares training sets; it does not predict the quality of a student, which also trains its backbone.
"""
import numpy as np
import torch
import torch.nn.functional as F
from mmseg.evaluation import IoUMetric

from mmdistill.engine.hooks.class_weights import enet_weights
from mmdistill.models.efficientnet_lite import EfficientNetLite0

STEPS, BATCH, RATE = 120, 16384, 0.02


class Pixels:
    """Computes features of images (N, H, W, 3) uint8 and labels from masks (N, H, W), 255 = ignore."""

    def __init__(self):
        self.network = EfficientNetLite0()
        self.network.init_weights()
        self.network.eval()

    @torch.no_grad()
    def features(self, image):
        """Features (h*w, C) float16 of an image (H, W, 3), h = H/4, w = W/4."""
        size = [side // 4 for side in image.shape[:2]]
        stages = self.network((torch.tensor(image).permute(2, 0, 1)[None].float() - 127) / 128)
        return torch.cat([F.interpolate(stage, size, mode='bilinear') for stage in stages], 1)[0].flatten(1).T.half()

    def __call__(self, pairs):
        """Features (N, h*w, C) and labels (N, h*w) of images and masks."""
        found = [(self.features(image), torch.tensor(mask[2::4, 2::4]).flatten().long())
                 for image, mask in pairs]
        return tuple(torch.stack(part) for part in zip(*found))


def moments(features):
    """Mean and standard deviation of the features of every seventh frame."""
    sample = features[::7].float()
    return sample.mean((0, 1)), sample.std((0, 1)) + 1e-4


def probe(train, test, scale, seed):
    """Mean IoU in percent on the pixels of ``test``, for a linear classifier trained on the pixels of ``train``.

    Args:
        train, test: Features and labels, see :class:`Pixels`.
        scale: Result of :func:`moments`, to normalise the features.
        seed: Seed of the initial weights and the batches.
    """
    torch.manual_seed(seed)
    mean, deviation = scale

    def pixels(features, labels, every):
        x, y = (features[:, ::every].float() - mean) / deviation, labels[:, ::every]
        return x[y != 255], y[y != 255]

    classes = int(test[1][test[1] != 255].max()) + 1
    x, y = pixels(*train, 1)
    weight = torch.tensor(enet_weights(np.bincount(y, minlength=classes)), dtype=torch.float32)
    layer = torch.nn.Linear(x.shape[1], classes)
    optimizer = torch.optim.AdamW(layer.parameters(), lr=RATE, weight_decay=0.3)
    for step in range(STEPS):
        optimizer.param_groups[0]['lr'] = RATE * (1 - step / STEPS)
        rows = torch.randint(len(x), (BATCH, ))
        optimizer.zero_grad()
        F.cross_entropy(layer(x[rows]), y[rows], weight).backward()
        optimizer.step()
    x, y = pixels(*test, 3)
    with torch.no_grad():
        intersect, union, *_ = IoUMetric.intersect_and_union(layer(x).argmax(1), y, classes, 255)
    return float((intersect / union.clamp(min=1)).mean() * 100)
