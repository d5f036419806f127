"""Drawing of the built-in object pictures: shaded solids on lit backgrounds, in plain numpy and OpenCV."""
import colorsys
from typing import List, Optional, Sequence

import cv2
import numpy as np

_OVER = 2  # supersampling factor


def oval(x: float, y: float, rx: float, ry: float, start: float = 0, end: float = 360, n: int = 28) -> np.ndarray:
    """Points (n, 2) on an ellipse between two angles in degrees; y points down."""
    t = np.radians(np.linspace(start, end, n))
    return np.stack([x + rx * np.cos(t), y + ry * np.sin(t)], 1)


def box(x0: float, y0: float, x1: float, y1: float) -> np.ndarray:
    """Corners (4, 2) of a box."""
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], float)


def rod(points, width: float, end_width: Optional[float] = None) -> np.ndarray:
    """Outline of a line through ``points`` whose width changes from ``width`` to ``end_width``."""
    points = np.asarray(points, float)
    along = np.gradient(points, axis=0)
    normal = np.stack([-along[:, 1], along[:, 0]], 1) / np.maximum(np.linalg.norm(along, axis=1), 1e-9)[:, None]
    half = np.linspace(width, width if end_width is None else end_width, len(points))[:, None] / 2
    return np.concatenate([points + normal * half, (points - normal * half)[::-1]])


class Canvas:
    """A background and an object in front of it, with a shadow.

    Objects are drawn in coordinates of about [-1, 1], which the pose converts to pixels.

    Args:
        size: Side of the picture in pixels.
        rng: Source of all random numbers.
    """

    def __init__(self, size: int, rng: np.random.Generator):
        self.side, self.size, self.rng = size * _OVER, size, rng
        self.pixel = self.side / 128  # unit of blurs and textures, so that all sizes look alike
        self.back = np.zeros((self.side, self.side, 3), np.float32)
        self.layer, self.alpha = np.zeros_like(self.back), np.zeros((self.side, self.side), np.float32)
        angle = self.u(-2.6, -0.5)  # light from above
        self.light = np.array([0.75 * np.cos(angle), 0.75 * np.sin(angle), 0.8], np.float32)
        self.ambient = self.u(0.3, 0.6)
        self.glows: List[tuple] = []
        fine, coarse = (rng.standard_normal((n, n), np.float32) for n in (64, 12))
        sides = (self.side, ) * 2
        self.noise: np.ndarray = cv2.resize(fine, sides) + cv2.resize(coarse, sides, interpolation=2)
        self.place()

    def u(self, low: float = 0.0, high: float = 1.0) -> float:
        """A uniform random number in [low, high)."""
        return low + (high - low) * self.rng.random()

    def pick(self, items: Sequence):
        """A random item."""
        return items[min(int(self.u() * len(items)), len(items) - 1)]

    def hue(self, hue: float, saturation: float = 0.7, value: float = 0.7, spread: float = 0.04) -> np.ndarray:
        """Random RGB (3,) near a hue in [0, 1]."""
        s, v = saturation * self.u(0.75, 1.2), value * self.u(0.8, 1.2)
        return np.array(colorsys.hsv_to_rgb((hue + self.u(-spread, spread)) % 1, min(s, 1), min(v, 1)), np.float32)

    def grey(self, low: float, high: float) -> np.ndarray:
        """Random, nearly grey RGB (3,)."""
        return np.float32(self.u(low, high)) * np.array([self.u(0.95, 1.05), 1, self.u(0.92, 1.05)], np.float32)

    def place(self, x=0.5, y=0.5, scale=0.36, angle=0.0, mirror=False, squeeze=1.0) -> None:
        """Set the pose: centre and scale as fractions of the side, angle in degrees, mirror, horizontal scale."""
        a, s = np.radians(angle), scale * self.side
        turn = s * np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
        self.pose = turn @ np.diag([-squeeze if mirror else squeeze, 1])
        self.scale, self.shift = s, np.array([x, y]) * self.side

    def solid(self, points, colour, relief=0.25, gloss=0.15, grain=0.04, opacity=1.0) -> None:
        """Draw a shaded polygon over the current picture.

        Args:
            points: (n, 2) in the pose's coordinates.
            colour: RGB in [0, 1].
            relief: Width of the rounded edge, in the pose's units; 0 for a flat surface.
            gloss: Strength of the highlight.
            grain: Strength of the texture.
            opacity: Opacity of the polygon, 0..1.
        """
        pixels = np.asarray(points) @ self.pose.T + self.shift
        (x0, y0), (x1, y1) = np.clip(np.floor(pixels.min(0)) - 2, 0, None), np.ceil(pixels.max(0)) + 3
        x0, y0, x1, y1 = int(x0), int(y0), int(min(x1, self.side)), int(min(y1, self.side))
        if x1 <= x0 or y1 <= y0:
            return
        mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
        corners = np.round((pixels - (x0, y0)) * 16).astype(np.int32)
        cv2.fillPoly(mask, [corners], 255, cv2.LINE_AA, shift=4)
        tone, shine = np.ones(mask.shape, np.float32), 0.0
        radius = relief * self.scale
        if radius > 1:
            depth = cv2.distanceTransform((np.pad(mask, 1) > 127).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
            height = radius * np.sqrt(1 - (1 - np.minimum(depth / radius, 1))**2 + 1e-3)
            height = cv2.GaussianBlur(height.astype(np.float32), (0, 0), 1 + 0.12 * radius)
            gx, gy = cv2.Sobel(height, cv2.CV_32F, 1, 0, scale=0.125), cv2.Sobel(height, cv2.CV_32F, 0, 1, scale=0.125)
            facing = (self.light[2] - gx * self.light[0] - gy * self.light[1]) / np.sqrt(1 + gx * gx + gy * gy)
            tone = self.ambient + (1 - self.ambient) * np.maximum(facing, 0) * 1.25
            shine = (gloss * np.clip(facing - 0.86, 0, 1) * 5)[..., None]
        tone = tone * (1 + grain * self.noise[y0:y1, x0:x1])
        weight = mask.astype(np.float32) * (opacity / 255)
        paint = np.asarray(colour, np.float32) * tone[..., None] + shine
        part = self.layer[y0:y1, x0:x1]
        part += (paint - part) * weight[..., None]
        cover = self.alpha[y0:y1, x0:x1]
        np.maximum(cover, weight, out=cover)

    def glow(self, x: float, y: float, radius: float, colour, strength: float) -> None:
        """Add a light around a point, over everything."""
        centre = np.array([x, y]) @ self.pose.T + self.shift
        self.glows.append((centre, radius * self.scale, np.asarray(colour, np.float32) * strength))

    def finish(self) -> np.ndarray:
        """Compose object and background, add shadow and light, and scale down to RGB uint8 (size, size, 3)."""
        fall = self.side * self.u(0.02, 0.07)
        move = np.array([[1, 0, -self.light[0] * fall], [0, 1, -self.light[1] * fall]], np.float32)
        shadow = cv2.GaussianBlur(cv2.warpAffine(self.alpha, move, (self.side, ) * 2), (0, 0), fall * 0.6)
        alpha = self.alpha[..., None]
        image = self.back * (1 - self.u(0.2, 0.6) * shadow[..., None]) * (1 - alpha) + self.layer * alpha
        ys, xs = np.mgrid[:self.side, :self.side].astype(np.float32)
        for (x, y), radius, colour in self.glows:
            image += np.exp(-((xs - x)**2 + (ys - y)**2) / (2 * radius**2))[..., None] * colour
        far = ((xs / self.side - self.u(0.3, 0.7))**2 + (ys / self.side - self.u(0.3, 0.7))**2)[..., None]
        tint = np.array([self.u(0.9, 1.1), 1, self.u(0.88, 1.1)], np.float32)
        image = image * (self.u(0.75, 1.15) * (1 - self.u(0, 0.6) * far)) * tint
        small = cv2.resize(image, (self.size, ) * 2, interpolation=cv2.INTER_AREA)
        return np.round(np.clip(small, 0, 1) * 255).astype(np.uint8)


def _ramp(c: Canvas, top, low, start=0.0, end=1.0) -> None:
    a, b = int(start * c.side), int(end * c.side)
    c.back[a:b] = top + (low - top) * np.linspace(0, 1, b - a, dtype=np.float32)[:, None, None]


def _textured(c: Canvas, amount: float, start=0.0) -> None:
    a = int(start * c.side)
    c.back[a:] *= 1 + amount * c.noise[a:, :, None]


def _blur(c: Canvas, width: float) -> None:
    c.back[:] = cv2.GaussianBlur(c.back, (0, 0), width * c.pixel)


def _clutter(c: Canvas, most: int, bottom: float) -> None:
    """Draw blurred background objects."""
    for _ in range(int(c.u(0, most + 1))):
        x, w, h = c.u() * c.side, c.u(0.05, 0.2) * c.side, c.u(0.1, 0.4) * c.side
        y = bottom * c.side
        colour = tuple(float(v) for v in c.hue(c.u(), 0.4, 0.55))
        if c.u() < 0.5:
            cv2.rectangle(c.back, (int(x - w), int(y - h)), (int(x + w), int(y)), colour, -1)
        else:
            cv2.ellipse(c.back, (int(x), int(y - h / 2)), (int(w), int(h / 2)), 0, 0, 360, colour, -1)
    _blur(c, c.u(1.5, 4))


def _room(c):
    wall, edge = c.hue(c.u(), 0.3, 0.75), c.u(0.6, 0.8)
    _ramp(c, wall * c.u(0.8, 1.1), wall, 0, edge)
    table = c.hue(c.pick((0.07, 0.1, 0.6)), 0.45, 0.55)
    _ramp(c, table * 0.85, table * 1.15, edge, 1)
    _clutter(c, 3, edge + 0.05)


def _studio(c):
    tone = c.hue(c.u(), c.u(0.05, 0.55), c.u(0.35, 0.9))
    _ramp(c, tone, tone * c.u(0.6, 1.1))


def _boards(c):
    wood, number = c.hue(0.08, 0.5, 0.6), int(c.u(4, 8))
    _ramp(c, wood, wood * c.u(0.7, 1.1))
    edges = np.round((np.arange(number + 2) - c.u()) / number * c.side).astype(int).clip(0, c.side)
    for start, end in zip(edges, edges[1:]):
        c.back[:, start:end] *= c.u(0.85, 1.1)
        c.back[:, start:start + max(round(2 * c.pixel), 1)] *= 0.6
    _textured(c, 0.04)


def _cloth(c):
    first, second, step = c.hue(c.u(), 0.5, 0.65), c.hue(c.u(), 0.4, 0.65), c.side / int(c.u(3, 7))
    ys, xs = np.mgrid[:c.side, :c.side]
    c.back[:] = np.where(((xs + c.u(0, 2) * ys) // step % 2 == 0)[..., None], first, second)
    _blur(c, 2)


def _meadow(c):
    edge = c.u(0.5, 0.75)
    _ramp(c, c.hue(0.58, 0.5, 0.85), c.hue(0.55, 0.2, 0.95), 0, edge)
    _clutter(c, 2, edge + 0.02)
    grass = c.hue(c.pick((0.28, 0.24, 0.14)), 0.55, 0.5)
    _ramp(c, grass * 0.8, grass * 1.2, edge, 1)
    _textured(c, 0.08, edge)


def _street(c):
    edge = c.u(0.55, 0.75)
    _ramp(c, c.hue(0.58, 0.3, 0.8), c.hue(0.08, 0.15, 0.9), 0, edge)
    _clutter(c, 5, edge + 0.03)
    grey = c.grey(0.3, 0.55)
    _ramp(c, grey * 0.9, grey * 1.15, edge, 1)
    _textured(c, 0.04, edge)


def _sea(c):
    edge = c.u(0.4, 0.62)
    _ramp(c, c.hue(c.pick((0.58, 0.58, 0.05)), 0.5, 0.85), c.hue(0.1, 0.2, 0.95), 0, edge)
    _ramp(c, c.hue(0.53, 0.45, 0.6), c.hue(0.57, 0.65, 0.45), edge, 1)
    _waves(c, edge)


def _water(c):
    hue = c.pick((0.5, 0.56, 0.6, 0.4))
    _ramp(c, c.hue(hue, 0.55, 0.65), c.hue(hue, 0.65, 0.4))
    _waves(c, 0)


def _waves(c, edge):
    ys, xs = np.mgrid[:c.side, :c.side].astype(np.float32) / c.side
    wave = np.sin(ys * c.u(40, 90) + 3 * np.sin(xs * c.u(5, 14) + c.u(0, 6))) * (ys > edge)
    c.back *= (1 + 0.09 * wave)[..., None]


def _night(c):
    _ramp(c, c.hue(0.64, 0.6, 0.2), c.hue(0.7, 0.4, 0.35), 0, 1)
    for _ in range(int(c.u(2, 9))):
        centre = int(c.u() * c.side), int(c.u() * c.side)
        cv2.circle(c.back, centre, int(c.u(2, 9) * c.pixel), tuple(float(v) for v in c.hue(c.u(0, 0.2), 0.5, 0.7)), -1)
    _blur(c, 3)


def _bokeh(c):
    hue = c.u()
    _ramp(c, c.hue(hue, 0.4, 0.5), c.hue(hue + 0.1, 0.5, 0.4))
    for _ in range(int(c.u(5, 14))):
        centre = int(c.u() * c.side), int(c.u() * c.side)
        radius, colour = int(c.u(6, 22) * c.pixel), c.hue(hue + c.u(-0.1, 0.2), 0.5, 0.6)
        cv2.circle(c.back, centre, radius, tuple(float(v) for v in colour), -1)
    _blur(c, 3.5)


BACKGROUNDS = dict(room=_room, studio=_studio, boards=_boards, cloth=_cloth, meadow=_meadow, street=_street, sea=_sea,
                   water=_water, night=_night, bokeh=_bokeh)
