"""Procedural street scenes: a small, long-tailed segmentation dataset that needs no download.

Plain numpy and OpenCV drawing; a scene is a pure function of its split, index and size.
"""
from typing import Dict, Tuple

import cv2
import numpy as np

CLASSES = ('sky', 'building', 'road', 'pavement', 'vegetation', 'fence', 'pole', 'car', 'sign', 'person', 'cyclist')
PALETTE = ((120, 180, 235), (150, 110, 90), (110, 80, 120), (225, 160, 220), (70, 140, 60), (205, 165, 130),
           (235, 225, 130), (40, 60, 200), (240, 60, 50), (250, 130, 20), (0, 200, 200))
SPLITS: Dict[str, int] = dict(train=0, val=1, test=2)
_ID = {name: i for i, name in enumerate(CLASSES)}

# (Probability that a scene has any, maximum number) of each object. The long tail is intended.
_TREES, _FENCES, _POLES, _CARS = (0.75, 4), (0.22, 1), (0.5, 3), (0.35, 3)
_SIGNS, _PEOPLE, _CYCLISTS = (0.13, 1), (0.16, 3), (0.08, 1)


class _Canvas:
    """A float RGB picture and its mask; coordinates are fractions of the side."""

    def __init__(self, size: int, rng: np.random.Generator):
        self.size, self.rng = size, rng
        self.image = np.zeros((size, size, 3), np.float32)
        self.mask = np.zeros((size, size), np.uint8)

    def region(self, points=None, disc=None) -> np.ndarray:
        """Region of a polygon or a disc (x, y, radius x, radius y), bool (size, size)."""
        out = np.zeros((self.size, self.size), np.uint8)
        if points is not None:
            cv2.fillPoly(out, [np.round(np.asarray(points) * self.size).astype(np.int32)], 1)
        else:
            x, y, rx, ry = (v * self.size for v in disc)
            axes = max(int(round(rx)), 1), max(int(round(ry)), 1)
            cv2.ellipse(out, (int(round(x)), int(round(y))), axes, 0, 0, 360, 1, -1)
        return out.astype(bool)

    def box(self, x0, y0, x1, y1) -> np.ndarray:
        """Region of a box, bool (size, size), at least one pixel wide and high."""
        a, b = int(round(x0 * self.size)), int(round(y0 * self.size))
        c, d = max(int(round(x1 * self.size)), a + 1), max(int(round(y1 * self.size)), b + 1)
        out = np.zeros((self.size, self.size), bool)
        out[max(b, 0):max(d, 0), max(a, 0):max(c, 0)] = True
        return out

    def paint(self, region: np.ndarray, colour, name=None, grain=0.012) -> None:
        """Fill a region with a colour and fine grain; with ``name=None``, the mask is not changed."""
        noise = self.rng.random((int(region.sum()), 1), np.float32) - 0.5
        self.image[region] = np.asarray(colour, np.float32) + noise * (2 * grain)
        if name is not None:
            self.mask[region] = _ID[name]

    def u(self, low=0.0, high=1.0) -> float:
        """A uniform random number in [low, high)."""
        return low + (high - low) * self.rng.random()

    def count(self, chance: Tuple[float, int]) -> int:
        """Random number of objects for (probability of any, maximum number)."""
        exists, number = self.u() < chance[0], int(self.u(1, chance[1] + 1))
        return number if exists else 0


def street_scene(index: int, split: str = 'train', size: int = 64) -> Tuple[np.ndarray, np.ndarray]:
    """Draw one scene.

    Args:
        index: Any non-negative integer; the scene only depends on (split, index, size).
        split: ``'train'``, ``'val'`` or ``'test'``.
        size: Side in pixels.

    Returns:
        Image uint8 RGB (size, size, 3) and mask uint8 (size, size) with ids 0..10 of :data:`CLASSES`; every pixel has
        a class.

    Example:
        >>> image, mask = street_scene(0, size=64)
        >>> image.shape, mask.shape
        ((64, 64, 3), (64, 64))
    """
    canvas = _Canvas(size, np.random.Generator(np.random.Philox(key=(index << 2) | SPLITS[split])))
    horizon, light = canvas.u(0.38, 0.52), canvas.u(0.7, 1.1)
    vanish = canvas.u(0.35, 0.65)
    _sky(canvas, horizon)
    _buildings(canvas, horizon, vanish)
    ground = _ground(canvas, horizon, vanish)
    for draw, chance in ((_fence, _FENCES), (_tree, _TREES), (_pole, _POLES), (_sign, _SIGNS), (_car, _CARS),
                         (_person, _PEOPLE), (_cyclist, _CYCLISTS)):
        depths = sorted(canvas.u() for _ in range(canvas.count(chance)))
        for depth in depths:
            draw(canvas, ground, depth)
    tint = 1 + 0.06 * (canvas.rng.random(3, np.float32) - 0.5)
    image = np.clip(canvas.image * light * tint, 0, 1)
    return np.round(image * 255).astype(np.uint8), canvas.mask


def _sky(c, horizon):
    top = np.array([c.u(0.25, 0.6), c.u(0.45, 0.7), c.u(0.7, 0.95)])
    low = np.array([c.u(0.7, 0.95), c.u(0.7, 0.85), c.u(0.75, 0.95)])
    ramp = np.clip(np.linspace(0, 1 / max(horizon, 1e-3), c.size), 0, 1)[:, None, None]
    c.image[:] = top + (low - top) * ramp
    c.mask[:] = _ID['sky']


def _buildings(c, horizon, vanish):
    x = -c.u(0, 0.15)
    while x < 1:
        width = c.u(0.14, 0.34)
        near = abs(x + width / 2 - vanish)
        top = horizon - c.u(0.06, 0.2) - near * c.u(0.2, 0.6)
        if c.u() < 0.82:
            tone = c.u(0.25, 0.75)
            wall = np.array([tone * c.u(0.95, 1.3), tone, tone * c.u(0.7, 1.0)])
            c.paint(c.box(x, top, x + width, horizon + 0.1), wall, 'building')
            pane, step = wall * c.u(0.35, 0.6), c.u(0.08, 0.11)
            for wy in np.arange(top + 0.04, horizon - 0.03, step):
                for wx in np.arange(x + 0.035, x + width - 0.05, step):
                    c.paint(c.box(wx, wy, wx + 0.04, wy + 0.045), pane)
        x += width


def _ground(c, horizon, vanish):
    side = np.array([c.u(0.55, 0.7)] * 3) * np.array([1.06, 0.98, 0.9])
    if c.u() < 0.35:
        c.paint(c.box(0, horizon, 1, 1), (c.u(0.25, 0.4), c.u(0.5, 0.6), c.u(0.15, 0.3)), 'vegetation', 0.03)
    else:
        c.paint(c.box(0, horizon, 1, 1), side, 'pavement', 0.02)
    half, spread, grey = c.u(0.02, 0.06), c.u(0.32, 0.6), c.u(0.24, 0.38)
    curb = 0.12

    def edges(y, extra=0.0):
        t = (y - horizon) / (1 - horizon)
        reach = half + (spread + extra) * t
        return vanish - reach, vanish + reach

    (a, b), (d, e) = edges(horizon, curb), edges(1.0, curb)
    c.paint(c.region([(a, horizon), (b, horizon), (e, 1), (d, 1)]), side, 'pavement', 0.02)
    (a, b), (d, e) = edges(horizon), edges(1.0)
    c.paint(c.region([(a, horizon), (b, horizon), (e, 1), (d, 1)]), (grey, grey, grey * 1.05), 'road', 0.02)
    for t in np.arange(c.u(0, 0.2), 1, 0.3):
        y = horizon + (1 - horizon) * t
        w = 0.006 + 0.02 * t
        c.paint(c.box(vanish - w, y, vanish + w, y + 0.02 + 0.06 * t) & (c.mask == _ID['road']), (0.85, 0.85, 0.8))
    return horizon, vanish, edges


def _stand(c, ground, depth, on_road):
    """A random position on the ground: x, y of the foot, and the scale of objects there."""
    horizon, vanish, edges = ground
    y = horizon + (1 - horizon) * (0.12 + 0.8 * depth)
    left, right = edges(y)
    if on_road:
        x = left + (right - left) * c.u(0.15, 0.85)
    else:
        x = left - c.u(0.03, 0.22) if c.u() < 0.5 else right + c.u(0.03, 0.22)
    return x, y, 0.35 + 0.65 * (y - horizon) / (1 - horizon)


def _fence(c, ground, depth):
    horizon, vanish, _ = ground
    left = c.u() < 0.5
    x0, x1 = (0.0, vanish - c.u(0.12, 0.25)) if left else (vanish + c.u(0.12, 0.25), 1.0)
    colour, y = np.array([c.u(0.5, 0.75), c.u(0.35, 0.5), c.u(0.2, 0.35)]), horizon + c.u(0.02, 0.08)
    c.paint(c.box(x0, y - 0.07, x1, y + 0.05), colour, 'fence')
    for x in np.arange(x0 + 0.03, x1 - 0.02, 0.0625):
        c.paint(c.box(x, y - 0.07, x + 0.02, y + 0.05), colour * 0.6)


def _tree(c, ground, depth):
    x, y, s = _stand(c, ground, 0.6 * depth, False)
    height, radius = c.u(0.2, 0.34) * s, c.u(0.08, 0.15) * s
    c.paint(c.box(x - 0.02 * s, y - height, x + 0.02 * s, y), (0.3, 0.2, 0.12), 'vegetation')
    green = np.array([c.u(0.1, 0.3), c.u(0.3, 0.5), c.u(0.08, 0.2)])
    crown = c.region(disc=(x, y - height - radius * 0.6, radius, radius * c.u(0.9, 1.4)))
    c.paint(crown, green, 'vegetation', 0.03)
    c.paint(crown & c.region(disc=(x - radius * 0.3, y - height - radius * 0.9, radius * 0.5, radius * 0.5)),
            green * 1.3, None, 0.03)


def _pole(c, ground, depth):
    x, y, s = _stand(c, ground, depth, False)
    grey = c.u(0.12, 0.25)
    c.paint(c.box(x, y - 0.55 * s, x + 0.032 * s, y), (grey, grey, grey), 'pole')


def _sign(c, ground, depth):
    x, y, s = _stand(c, ground, 0.4 + 0.5 * depth, False)
    c.paint(c.box(x - 0.01 * s, y - 0.36 * s, x + 0.016 * s, y), (0.55, 0.55, 0.57), 'pole')
    r = 0.068 * s
    colour = ((0.85, 0.1, 0.1), (0.1, 0.25, 0.8), (0.95, 0.8, 0.1))[int(c.u(0, 3))]
    plate = c.region(disc=(x, y - 0.4 * s, r, r))
    c.paint(plate, colour, 'sign')
    c.paint(plate & c.box(x - 0.5 * r, y - 0.4 * s - 0.3 * r, x + 0.6 * r, y - 0.4 * s + 0.3 * r), (0.95, 0.95, 0.95))


def _car(c, ground, depth):
    x, y, s = _stand(c, ground, depth, True)
    w, h = c.u(0.13, 0.18) * s, c.u(0.1, 0.13) * s
    colour = np.array(((0.7, 0.1, 0.12), (0.85, 0.85, 0.88), (0.12, 0.2, 0.5), (0.75, 0.6, 0.15), (0.15, 0.4, 0.3))[
        int(c.u(0, 5))]) * c.u(0.85, 1.1)
    for side in (-0.62, 0.62):
        c.paint(c.region(disc=(x + side * w, y, 0.3 * h, 0.3 * h)), (0.06, 0.06, 0.06), 'car')
    c.paint(c.box(x - w, y - h, x + w, y), colour, 'car')
    c.paint(c.region([(x - 0.7 * w, y - h), (x - 0.45 * w, y - 1.8 * h), (x + 0.45 * w, y - 1.8 * h),
                      (x + 0.7 * w, y - h)]), colour * 0.9, 'car')
    c.paint(c.box(x - 0.45 * w, y - 1.6 * h, x + 0.45 * w, y - 1.05 * h), (0.55, 0.68, 0.75))
    for side in (-0.85, 0.7):
        c.paint(c.box(x + side * w, y - 0.7 * h, x + (side + 0.15) * w, y - 0.4 * h), (0.95, 0.9, 0.6))


def _figure(c, x, y, s, name, coat):
    """A standing or riding figure of height 0.3 s with its feet at (x, y)."""
    legs = np.array([0.12, 0.12, 0.2]) * c.u(0.7, 1.5)
    c.paint(c.box(x - 0.03 * s, y - 0.13 * s, x + 0.03 * s, y), legs, name)
    c.paint(c.box(x - 0.042 * s, y - 0.24 * s, x + 0.042 * s, y - 0.12 * s), coat, name)
    skin = c.u(0.45, 0.9)
    c.paint(c.region(disc=(x, y - 0.275 * s, 0.032 * s, 0.036 * s)), (skin, skin * 0.78, skin * 0.62), name)


def _person(c, ground, depth):
    x, y, s = _stand(c, ground, 0.3 + 0.6 * depth, c.u() < 0.2)
    _figure(c, x, y, s, 'person', (c.u(0.5, 1.0), c.u(0.05, 0.5), c.u(0.05, 0.5)))


def _cyclist(c, ground, depth):
    x, y, s = _stand(c, ground, 0.3 + 0.6 * depth, True)
    for side in (-0.085, 0.085):
        wheel = c.region(disc=(x + side * s, y - 0.06 * s, 0.06 * s, 0.06 * s))
        c.paint(wheel, (0.08, 0.08, 0.09), 'cyclist')
        c.paint(wheel & c.region(disc=(x + side * s, y - 0.06 * s, 0.025 * s, 0.025 * s)), (0.5, 0.5, 0.52))
    c.paint(c.box(x - 0.08 * s, y - 0.13 * s, x + 0.08 * s, y - 0.1 * s), (0.85, 0.85, 0.2), 'cyclist')
    _figure(c, x, y - 0.08 * s, s, 'cyclist', (c.u(0.1, 0.5), c.u(0.6, 0.95), c.u(0.1, 0.6)))
