"""Cars, houses and umbrellas of the built-in object pictures, five modes of each.

Each function draws on a :class:`Canvas` with a pose, in coordinates of about [-1, 1]; y points down.
"""
import numpy as np

from .object_canvas import Canvas, box, oval, rod


def _canopy(c: Canvas, first, second, flat=0.75) -> None:
    c.solid(oval(0, 0, 1.1, flat + 0.2, 180, 360), first, 0.4, 0.2)
    for a, b in ((-0.75, -0.3), (0.3, 0.75)):
        c.solid([(0, -flat - 0.18), (a * 1.1, 0.02), (b * 1.1, 0.02)], second, 0.2, 0.1)
    for x in (-0.825, -0.275, 0.275, 0.825):
        c.solid(oval(x, 0.03, 0.27, 0.11, 180, 360), first * 0.6, 0)


def _pair(c: Canvas):
    first = c.hue(c.u(), 0.8, 0.7)
    return first, c.pick((first * 0.75, first * 0.8, c.hue(c.u(), 0.6, 0.9), c.grey(0.85, 1)))


def umbrella_open(c: Canvas) -> None:
    """Open, from the side, with a crook."""
    c.solid(rod([(0, -1.1), (0, 1.0)], 0.08), c.grey(0.15, 0.35), 0)
    c.solid(np.concatenate([oval(0.17, 1.0, 0.21, 0.24, 180, 0), oval(0.17, 1.0, 0.12, 0.14, 0, 180)]),
            c.hue(0.07, 0.6, 0.4), 0)
    _canopy(c, *_pair(c))


def umbrella_above(c: Canvas) -> None:
    """Open, from above: wedges."""
    first, second = _pair(c)
    t = np.radians(np.arange(0, 361, 45) + c.u(0, 45))
    rim = np.stack([np.cos(t), np.sin(t)], 1) * 1.05
    for i in range(8):
        shade = 1 + 0.25 * float(rim[i] @ c.light[:2])
        sag = 0.46 * (rim[i] + rim[i + 1])
        c.solid([(0, 0), rim[i], sag, rim[i + 1]], (first, second)[i % 2] * shade, 0.1)
    c.solid(oval(0, 0, 0.09, 0.09), c.grey(0.1, 0.8), 0.05)


def umbrella_closed(c: Canvas) -> None:
    """Furled, on its tip or hung up."""
    first, _ = _pair(c)
    c.solid(rod([(0, -1.1), (0, 1.5)], 0.08), c.grey(0.3, 0.5), 0)
    c.solid(np.concatenate([oval(0.2, -1.1, 0.24, 0.26, 180, 360), oval(0.2, -1.1, 0.12, 0.15, 360, 180)]),
            c.hue(0.07, 0.6, 0.4), 0.05)
    c.solid([(-0.12, -0.6), (0.12, -0.6), (0.34, -0.35), (0.06, 1.3), (-0.06, 1.3), (-0.34, -0.35)], first, 0.2, 0.2)
    c.solid([(0.0, -0.5), (0.15, -0.35), (0.02, 1.2)], first * 0.65, 0)
    c.solid(box(-0.3, 0.0, 0.3, 0.14), first * 0.5, 0)


def umbrella_beach(c: Canvas) -> None:
    """A striped parasol in the sand."""
    c.solid(rod([(0, -1.0), (0, 2.0)], 0.1), c.grey(0.75, 0.95), 0.03)
    first, white = c.hue(c.u(), 0.85, 0.85), c.grey(0.9, 1)
    top = np.array([0, -0.95])
    edge = np.stack([np.linspace(-1.2, 1.2, 7), 0.1 * np.cos(np.linspace(-1.5, 1.5, 7))], 1) + (0, -0.25)
    for i in range(6):
        c.solid([top, edge[i], (edge[i] + edge[i + 1]) / 2 + (0, 0.1), edge[i + 1]],
                (first, white)[i % 2] * c.u(0.85, 1.05), 0.1, 0.1)


def umbrella_below(c: Canvas) -> None:
    """The dark inside with its ribs, tilted."""
    first, _ = _pair(c)
    c.solid(oval(0, 0, 1.1, 0.8), first, 0.15, 0.2)
    c.solid(oval(0, 0.06, 1.0, 0.7), first * 0.5, 0)
    for t in np.radians(np.arange(0, 360, 45)):
        c.solid(rod([(0, 0), (np.cos(t), 0.06 + 0.7 * np.sin(t))], 0.05), c.grey(0.55, 0.75), 0)
    c.solid(rod([(0, 0), (0.25, 1.3)], 0.09), c.grey(0.1, 0.3), 0.03)


def _wheels(c: Canvas, xs, y, r) -> None:
    for x in xs:
        c.solid(oval(x, y, r, r), c.grey(0.04, 0.12), 0.1)
        c.solid(oval(x, y, r * 0.5, r * 0.5), c.grey(0.5, 0.8), 0.06, 0.4)


def _coat(c: Canvas) -> np.ndarray:
    return c.pick((c.hue(0.0, 0.85, 0.7), c.hue(0.6, 0.75, 0.6), c.grey(0.75, 0.95), c.grey(0.1, 0.3),
                   c.hue(0.13, 0.85, 0.85), c.hue(0.38, 0.6, 0.45)))


def car_side(c: Canvas) -> None:
    """A saloon, from the side."""
    paint, glass = _coat(c), c.hue(0.55, 0.3, 0.45)
    roof = c.u(0.42, 0.6)
    c.solid([(-0.8, -0.05), (-0.5, -roof), (0.35, -roof), (0.75, -0.02)], paint * 0.95, 0.12, 0.4)
    c.solid([(-0.65, -0.05), (-0.44, -roof + 0.1), (-0.1, -roof + 0.1), (-0.1, -0.05)], glass, 0, 0.4)
    c.solid([(0.0, -0.05), (0.0, -roof + 0.1), (0.3, -roof + 0.1), (0.6, -0.05)], glass, 0, 0.4)
    c.solid([(-1.2, 0.0), (-0.9, -0.12), (0.8, -0.1), (1.2, 0.05), (1.22, 0.4), (-1.22, 0.4)], paint, 0.2, 0.4)
    c.solid(box(1.08, 0.06, 1.22, 0.18), (1, 0.95, 0.7), 0)
    c.solid(box(-1.22, 0.06, -1.1, 0.18), (0.9, 0.1, 0.1), 0)
    _wheels(c, (-0.7, 0.72), 0.42, 0.26)


def car_front(c: Canvas) -> None:
    """From the front, lights on or off."""
    paint = _coat(c)
    _wheels(c, (-0.68, 0.68), 0.68, 0.22)
    c.solid([(-0.72, -0.1), (-0.5, -0.75), (0.5, -0.75), (0.72, -0.1)], paint, 0.15, 0.4)
    c.solid([(-0.6, -0.12), (-0.43, -0.62), (0.43, -0.62), (0.6, -0.12)], c.hue(0.56, 0.3, 0.4), 0, 0.4)
    c.solid([(-0.85, -0.1), (0.85, -0.1), (0.95, 0.25), (0.9, 0.65), (-0.9, 0.65), (-0.95, 0.25)], paint, 0.25, 0.4)
    c.solid(box(-0.45, 0.2, 0.45, 0.42), c.grey(0.05, 0.2), 0)
    c.solid(box(-0.25, 0.46, 0.25, 0.6), c.grey(0.85, 1), 0)
    lit = c.u() < 0.4
    for x in (-0.68, 0.68):
        c.solid(oval(x, 0.2, 0.19, 0.15), (1, 0.97, 0.8), 0.1)
        if lit:
            c.glow(x, 0.2, 0.35, (1, 0.9, 0.6), 0.6)


def car_bus(c: Canvas) -> None:
    """A long box with a row of windows."""
    paint = c.hue(c.pick((0.0, 0.13, 0.35, 0.6)), 0.85, 0.75)
    c.solid(box(-1.3, -0.75, 1.3, 0.5), paint, 0.15, 0.3)
    for x in np.arange(-1.18, 0.8, 0.4).tolist():
        c.solid(box(x, -0.58, x + 0.33, -0.1), c.hue(0.55, 0.3, 0.45), 0, 0.3)
    c.solid(box(0.88, -0.58, 1.25, 0.4), c.hue(0.55, 0.3, 0.5), 0.03)
    c.solid(box(-1.28, 0.12, 0.85, 0.22), c.grey(0.9, 1), 0)
    _wheels(c, (-0.8, 0.7), 0.52, 0.24)


def car_above(c: Canvas) -> None:
    """From above, on the road."""
    paint = _coat(c)
    outline = np.array([(-0.5, -1.0), (-0.35, -1.15), (0.35, -1.15), (0.5, -1.0), (0.52, 1.0), (0.4, 1.12),
                        (-0.4, 1.12), (-0.52, 1.0)])
    c.solid(outline, paint, 0.2, 0.4)
    c.solid([(-0.42, -0.35), (-0.36, -0.6), (0.36, -0.6), (0.42, -0.35)], c.grey(0.1, 0.25), 0)
    c.solid([(-0.4, 0.6), (-0.34, 0.8), (0.34, 0.8), (0.4, 0.6)], c.grey(0.1, 0.25), 0)
    c.solid(box(-0.38, -0.33, 0.38, 0.58), paint * 1.05, 0.15, 0.4)
    for x in (-0.37, 0.37):
        c.solid(oval(x, -1.08, 0.1, 0.06), (1, 0.95, 0.7), 0)
        c.solid(oval(x, 1.06, 0.1, 0.05), (0.85, 0.1, 0.1), 0)


def car_truck(c: Canvas) -> None:
    """A lorry with its cargo box."""
    c.solid(box(-1.3, -0.85, 0.45, 0.35), c.pick((c.grey(0.8, 1), c.hue(c.u(), 0.5, 0.75))), 0.08, 0.1)
    cab = c.hue(c.pick((0.0, 0.6, 0.35)), 0.8, 0.6)
    c.solid([(0.5, -0.45), (0.95, -0.45), (1.2, 0.0), (1.25, 0.4), (0.5, 0.4)], cab, 0.15, 0.4)
    c.solid([(0.68, -0.32), (0.92, -0.32), (1.1, 0.02), (0.68, 0.02)], c.hue(0.55, 0.3, 0.5), 0)
    c.solid(box(-1.3, 0.33, 1.2, 0.45), c.grey(0.1, 0.2), 0)
    _wheels(c, (-0.95, -0.45, 0.85), 0.48, 0.23)


def _windows(c: Canvas, xs, ys, w, h) -> None:
    glass = c.pick((c.hue(0.57, 0.35, 0.35), c.hue(0.12, 0.6, 0.9)))
    for x in xs:
        for y in ys:
            c.solid(box(x - w, y - h, x + w, y + h), c.grey(0.85, 1), 0)
            c.solid(box(x - 0.75 * w, y - 0.75 * h, x + 0.75 * w, y + 0.75 * h), glass, 0, grain=0.2)


def house_gable(c: Canvas) -> None:
    """A gable, a door, a chimney."""
    wall, roof = c.pick((c.grey(0.75, 0.95), c.hue(0.1, 0.4, 0.8), c.hue(0.03, 0.55, 0.6))), c.hue(0.02, 0.7, 0.45)
    c.solid(box(0.35, -1.0, 0.58, -0.3), c.hue(0.03, 0.5, 0.4), 0.05)
    c.solid(box(-0.85, -0.2, 0.85, 1.0), wall, 0.05, 0)
    c.solid([(-1.1, -0.1), (0, -1.05), (1.1, -0.1)], roof, 0.08, 0)
    c.solid([(-0.55, -0.22), (0, -0.72), (0.55, -0.22)], wall * 0.95, 0)
    c.solid(box(-0.18, 0.4, 0.18, 1.0), c.hue(c.u(), 0.6, 0.4), 0.03)
    _windows(c, (-0.52, 0.52), (0.2, ), 0.2, 0.2)


def house_cottage(c: Canvas) -> None:
    """Two sides seen at an angle."""
    wall, roof = c.hue(c.pick((0.1, 0.0, 0.55)), 0.35, 0.8), c.hue(c.pick((0.03, 0.6, 0.08)), 0.45, 0.4)
    c.solid([(-0.2, -0.1), (1.15, -0.2), (1.15, 0.75), (-0.2, 1.0)], wall * 0.75, 0.03, 0)
    c.solid([(-1.1, -0.15), (-0.65, -0.9), (-0.2, -0.1), (-0.2, 1.0), (-1.1, 0.8)], wall, 0.03, 0)
    c.solid([(-0.72, -0.98), (0.75, -0.95), (1.3, -0.15), (-0.12, -0.02)], roof, 0.05, 0)
    _windows(c, (0.15, 0.8), (0.3, ), 0.17, 0.18)
    c.solid([(-0.8, 0.3), (-0.5, 0.32), (-0.5, 0.94), (-0.8, 0.88)], c.hue(0.07, 0.6, 0.3), 0)


def house_tower(c: Canvas) -> None:
    """A block of flats."""
    wall = c.pick((c.grey(0.55, 0.85), c.hue(0.04, 0.4, 0.6), c.hue(0.57, 0.3, 0.55)))
    w = c.u(0.45, 0.75)
    c.solid([(w, -1.2), (w + 0.3, -1.05), (w + 0.3, 1.25), (w, 1.25)], wall * 0.6, 0)
    c.solid(box(-w, -1.2, w, 1.25), wall, 0.03, 0)
    lit = c.hue(0.13, 0.6, 0.95)
    dark = c.hue(0.58, 0.4, 0.3)
    for y in np.arange(-1.08, 1.0, 0.32).tolist():
        for x in np.arange(-w + 0.1, w - 0.15, 0.3).tolist():
            c.solid(box(x, y, x + 0.2, y + 0.2), lit if c.u() < 0.25 else dark, 0)


def house_hut(c: Canvas) -> None:
    """A frame of two roof planes down to the ground."""
    wood = c.hue(0.07, 0.6, 0.45)
    c.solid([(0, -1.15), (1.15, 1.0), (-1.15, 1.0)], c.hue(c.pick((0.03, 0.35, 0.6)), 0.5, 0.35), 0.08, 0)
    c.solid([(0, -0.85), (0.88, 1.0), (-0.88, 1.0)], wood, 0.0, grain=0.1)
    for y in np.arange(-0.3, 1, 0.25):
        half = 0.88 * (y + 0.85) / 1.85
        c.solid(rod([(-half, y), (half, y)], 0.04), wood * 0.6, 0)
    c.solid(box(-0.2, 0.35, 0.2, 1.0), wood * 0.4, 0)
    _windows(c, (0, ), (-0.1, ), 0.2, 0.18)


def house_windmill(c: Canvas) -> None:
    """A round mill with four sails."""
    c.solid([(-0.38, -0.4), (0.38, -0.4), (0.62, 1.2), (-0.62, 1.2)], c.grey(0.75, 0.95), 0.35, 0)
    c.solid([(-0.48, -0.38), (0, -0.95), (0.48, -0.38)], c.hue(0.02, 0.6, 0.4), 0.15)
    c.solid(box(-0.15, 0.75, 0.15, 1.2), c.hue(0.07, 0.6, 0.3), 0)
    turn = c.u(0, np.pi / 2)
    for t in turn + np.arange(4) * np.pi / 2:
        d, n = np.array([np.cos(t), np.sin(t)]), np.array([-np.sin(t), np.cos(t)])
        centre = np.array([0, -0.4])
        c.solid([centre + 0.2 * d, centre + 1.05 * d, centre + 1.05 * d + 0.26 * n, centre + 0.2 * d + 0.26 * n],
                c.hue(0.1, 0.3, 0.85), 0, grain=0.15)
        c.solid(rod([centre, centre + 1.1 * d], 0.07), c.hue(0.07, 0.6, 0.3), 0)
