"""Flowers and trees of the built-in object pictures, five modes of each.

Each function draws on a :class:`Canvas` with a pose, in coordinates of about [-1, 1]; y points down.
"""
import numpy as np

from .object_canvas import Canvas, box, oval, rod


def _petals(c: Canvas, x, y, number, length, width, colour, inner=0.2, phase=0.0) -> None:
    for t in np.linspace(0, 2 * np.pi, number, endpoint=False) + phase:
        turn = np.array([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]])
        c.solid(oval(inner + length / 2, 0, length / 2, width) @ turn.T + (x, y), colour * c.u(0.85, 1.1), 0.12, 0.05)


def _stem(c: Canvas, top=0.0, bend=0.15) -> None:
    green = c.hue(0.3, 0.65, 0.45)
    x = c.u(-bend, bend)
    c.solid(rod([(0, top), (x, 0.8), (x * 1.5, 1.4)], 0.13), green, 0.06)
    side = c.pick((-1, 1))
    c.solid(oval(0.35 * side + x, 0.85, 0.36, 0.14), green * 1.1, 0.1)


def flower_daisy(c: Canvas) -> None:
    """White or pale petals around yellow, from the front."""
    if c.u() < 0.6:
        _stem(c)
    petals = c.pick((c.grey(0.9, 1), c.hue(0.9, 0.3, 0.95)))
    _petals(c, 0, 0, int(c.u(9, 15)), 0.8, 0.17, petals, 0.15, c.u())
    c.solid(oval(0, 0, 0.3, 0.3), c.hue(0.13, 0.85, 0.9), 0.2)


def flower_tulip(c: Canvas) -> None:
    """A cup on a stem, from the side; sometimes two."""
    red = c.hue(c.pick((0.98, 0.13, 0.85, 0.05)), 0.8, 0.85)
    for x in ((0, ) if c.u() < 0.6 else (-0.55, 0.5)):
        _stem(c, -0.1)
        for dx, k in ((-0.25, 0.85), (0.25, 0.92), (0, 1.08)):
            c.solid([(x + dx - 0.3, -0.35), (x + dx * 1.5, -1.05), (x + dx + 0.3, -0.35), (x + dx * 0.5 + 0.2, 0.1),
                     (x + dx * 0.5 - 0.2, 0.1)], red * k, 0.25)


def flower_rose(c: Canvas) -> None:
    """Nested petals, from above, on leaves."""
    for t in np.arange(c.u(0, 1), 6, 1.6):
        c.solid(oval(0.85 * np.cos(t), 0.85 * np.sin(t), 0.45, 0.3), c.hue(0.33, 0.6, 0.35), 0.15)
    red = c.hue(c.pick((0.97, 0.99, 0.1, 0.88)), 0.75, 0.75)
    for radius, number in ((0.55, 6), (0.36, 5), (0.18, 4)):
        for t in np.linspace(0, 2 * np.pi, number, endpoint=False) + c.u(0, 1):
            c.solid(oval(radius * np.cos(t), radius * np.sin(t), 0.38, 0.38), red * c.u(0.7, 1.1), 0.25, 0.05)
    c.solid(oval(0, 0, 0.16, 0.16), red * 0.6, 0.1)


def flower_sunflower(c: Canvas) -> None:
    """A large brown heart in yellow."""
    _stem(c)
    _petals(c, 0, 0, 18, 0.62, 0.13, c.hue(0.13, 0.95, 0.95, 0.02), 0.42, c.u())
    _petals(c, 0, 0, 18, 0.45, 0.12, c.hue(0.11, 0.95, 0.85, 0.02), 0.4, c.u())
    c.solid(oval(0, 0, 0.52, 0.52), c.hue(0.07, 0.7, 0.3), 0.3, 0, 0.2)


def flower_pot(c: Canvas) -> None:
    """Several blossoms in a pot."""
    hue = c.pick((0.75, 0.62, 0.93, 0.02))
    for _ in range(9):
        x, y = c.u(-0.7, 0.7), c.u(-0.5, 0.25)
        c.solid(oval(x, y, 0.3, 0.16), c.hue(0.32, 0.6, 0.4), 0.1)
    c.solid([(-0.5, 0.2), (0.5, 0.2), (0.36, 1.1), (-0.36, 1.1)], c.hue(0.04, 0.65, 0.6), 0.3)
    c.solid(box(-0.58, 0.15, 0.58, 0.38), c.hue(0.04, 0.65, 0.65), 0.1)
    for _ in range(int(c.u(4, 8))):
        x, y = c.u(-0.75, 0.75), c.u(-0.95, -0.05)
        _petals(c, x, y, 5, 0.24, 0.12, c.hue(hue, 0.65, 0.85), 0.03, c.u())
        c.solid(oval(x, y, 0.07, 0.07), (0.95, 0.85, 0.3), 0)


def _crown(c: Canvas, x, y, r, colour, number=12) -> None:
    for i in range(number):
        t, s = c.u(0, 2 * np.pi), c.u(0.2, 0.75)
        c.solid(oval(x + r * s * np.cos(t), y + r * s * np.sin(t), 0.42 * r, 0.4 * r, n=12),
                colour * (0.7 + 0.5 * i / number) * c.u(0.85, 1.1), 0.25 * r, 0, 0.15)


def _trunk(c: Canvas, top, width, colour=None) -> None:
    bark = c.hue(0.07, 0.5, 0.32) if colour is None else colour
    c.solid(rod([(c.u(-0.06, 0.06), top), (0, 1.2)], width * 0.7, width), bark, 0.08, 0, 0.12)


def tree_broad(c: Canvas) -> None:
    """A round green crown."""
    _trunk(c, 0.1, 0.26)
    _crown(c, 0, -0.35, 0.95, c.hue(0.28, 0.65, 0.45))


def tree_conifer(c: Canvas) -> None:
    """Layers that narrow upwards; at times with snow."""
    _trunk(c, 0.8, 0.24)
    green, snow = c.hue(0.38, 0.55, 0.32), c.u() < 0.3
    for y, w in ((0.9, 0.85), (0.45, 0.7), (0.0, 0.54), (-0.45, 0.36)):
        c.solid([(-w, y), (0, y - 0.85), (w, y), (0, y + 0.1)], green * c.u(0.85, 1.15), 0.15, 0, 0.15)
        if snow:
            c.solid([(-w * 0.6, y - 0.35), (0, y - 0.85), (w * 0.6, y - 0.35), (0, y - 0.45)], (0.95, 0.97, 1), 0)


def tree_palm(c: Canvas) -> None:
    """Fronds on a bent stem."""
    x = c.u(-0.35, 0.35)
    c.solid(rod([(-x, 1.3), (-x * 0.6, 0.5), (x * 0.2, -0.1), (x, -0.5)], 0.24, 0.13), c.hue(0.08, 0.45, 0.5), 0.08)
    green = c.hue(0.27, 0.7, 0.45)
    for t in np.radians([200, 235, 270, 305, 340, 165, 15]) + c.u(-0.15, 0.15):
        d = np.array([np.cos(t), np.sin(t)])
        tip = np.array([x, -0.5]) + d * (0.9, 0.65) + (0, 0.3)
        c.solid(rod([(x, -0.5), np.array([x, -0.5]) + d * (0.5, 0.55), tip], 0.24, 0.04), green * c.u(0.75, 1.15),
                0.08)


def tree_bare(c: Canvas) -> None:
    """Branches without leaves."""
    bark = c.hue(0.07, 0.35, 0.25)
    _trunk(c, -0.2, 0.24, bark)

    def grow(at, angle, length, width, depth):
        end = at + length * np.array([np.sin(angle), -np.cos(angle)])
        c.solid(rod([at, end], width, width * 0.6), bark, 0)
        for side in (-1, 1) if depth else ():
            grow(end, angle + side * c.u(0.25, 0.65), length * c.u(0.6, 0.8), width * 0.6, depth - 1)

    for angle in (-0.6, 0.0, 0.55):
        grow(np.array([0, 0.1]), angle, 0.5, 0.13, 2)


def tree_autumn(c: Canvas) -> None:
    """A pale trunk, red, gold or pink leaves."""
    _trunk(c, -0.1, 0.18, c.grey(0.7, 0.9))
    for y in (0.4, 0.7, 1.0):
        c.solid(box(-0.07, y, 0.03, y + 0.06), c.grey(0.1, 0.2), 0)
    hue = c.pick((0.02, 0.08, 0.12, 0.93))
    for y, r in ((0.0, 0.6), (-0.55, 0.6)):
        _crown(c, c.u(-0.12, 0.12), y, r, c.hue(hue, 0.75, 0.8), 8)
