"""Clocks, lamps and mugs of the built-in object pictures, five modes of each.

Each function draws on a :class:`Canvas` with a pose, in coordinates of about [-1, 1]; y points down.
"""
import numpy as np

from .object_canvas import Canvas, box, oval, rod


def _dial(c: Canvas, radius: float, face, hand, y: float = 0.0) -> None:
    c.solid(oval(0, y, radius, radius), face, 0.0)
    for t in np.radians(np.arange(0, 360, c.pick((30, 90)))):
        s, k = np.sin(t), np.cos(t)
        c.solid(rod([(0.72 * radius * s, y + 0.72 * radius * k), (0.9 * radius * s, y + 0.9 * radius * k)],
                    0.12 * radius), hand, 0)
    for length, width in ((0.5, 0.13), (0.78, 0.09)):
        t = c.u(0, 2 * np.pi)
        c.solid(rod([(0, y), (length * radius * np.sin(t), y - length * radius * np.cos(t))], width * radius), hand, 0)


def clock_wall(c: Canvas) -> None:
    """Round, pale face."""
    c.solid(oval(0, 0, 1, 1), c.hue(c.u(), 0.5, 0.6), 0.2, 0.4)
    _dial(c, 0.82, c.grey(0.8, 1.0), c.grey(0.05, 0.2))


def clock_alarm(c: Canvas) -> None:
    """Two bells and two feet."""
    body = c.hue(c.pick((0.0, 0.5, 0.12)), 0.8, 0.75)
    for side in (-1, 1):
        c.solid(rod([(0.4 * side, 0.5), (0.65 * side, 1)], 0.16), c.grey(0.3, 0.5))
        c.solid(oval(0.55 * side, -0.72, 0.36, 0.3), c.hue(0.13, 0.4, 0.75), 0.2, 0.6)
    c.solid(rod([(0, -0.95), (0, -0.6)], 0.12), c.grey(0.3, 0.5))
    c.solid(oval(0, 0.05, 0.82, 0.82), body, 0.2, 0.4)
    _dial(c, 0.62, c.grey(0.85, 1.0), c.grey(0.05, 0.2), 0.05)


def clock_digital(c: Canvas) -> None:
    """A dark box with four glowing digits."""
    lit = c.hue(c.pick((0.0, 0.35, 0.5)), 0.9, 0.95)
    c.solid(box(-1.1, -0.55, 1.1, 0.55), c.grey(0.12, 0.3), 0.12, 0.3)
    c.solid(box(-0.98, -0.4, 0.98, 0.4), c.grey(0.03, 0.08), 0)
    for x in (-0.7, -0.27, 0.27, 0.7):
        bars = [((-0.12, -0.27), (0.12, -0.27)), ((-0.12, 0), (0.12, 0)), ((-0.12, 0.27), (0.12, 0.27)),
                ((-0.14, -0.25), (-0.14, 0)), ((0.14, -0.25), (0.14, 0)), ((-0.14, 0), (-0.14, 0.25)),
                ((0.14, 0), (0.14, 0.25))]
        for bar in bars:
            if c.u() < 0.72:
                c.solid(rod(np.array(bar) + (x, 0), 0.09), lit, 0)
    c.glow(0, 0, 0.7, lit, 0.12)


def clock_watch(c: Canvas) -> None:
    """A wristwatch on its strap."""
    strap = c.hue(c.pick((0.07, 0.6, 0.0)), 0.5, 0.35)
    c.solid(box(-0.32, -1.25, 0.32, 1.25), strap, 0.12)
    c.solid(oval(0, 0, 0.62, 0.62), c.hue(0.13, 0.4, 0.75), 0.15, 0.7)
    dark = c.u() < 0.5
    _dial(c, 0.48, c.grey(0.05, 0.2) if dark else c.grey(0.8, 1), c.grey(0.8, 1) if dark else c.grey(0.05, 0.2))


def clock_tall(c: Canvas) -> None:
    """A grandfather clock with its pendulum."""
    wood = c.hue(0.06, 0.65, 0.45)
    c.solid([(-0.5, -0.95), (0, -1.3), (0.5, -0.95)], wood * 0.9, 0.1)
    c.solid(box(-0.48, -0.98, 0.48, -0.1), wood, 0.1)
    c.solid(box(-0.36, -0.1, 0.36, 0.9), wood * 0.85, 0.1)
    c.solid(box(-0.5, 0.85, 0.5, 1.25), wood, 0.1)
    c.solid(box(-0.22, 0.0, 0.22, 0.78), wood * 0.35, 0)
    swing = c.u(-0.12, 0.12)
    c.solid(rod([(0, 0), (swing, 0.55)], 0.06), (0.8, 0.65, 0.25), 0)
    c.solid(oval(swing, 0.6, 0.13, 0.13), (0.85, 0.68, 0.25), 0.1, 0.6)
    _dial(c, 0.4, c.grey(0.8, 1.0), c.grey(0.05, 0.2), -0.54)


def _shade(c: Canvas, top, bottom, y0, y1, lit, colour) -> None:
    c.solid([(-top, y0), (top, y0), (bottom, y1), (-bottom, y1)], colour * (1.25 if lit else 1), 0.3, 0.05)
    if lit:
        c.solid(oval(0, y1 - 0.15, bottom * 0.6, 0.3), (1, 0.95, 0.7), 0.0, opacity=0.5)
        c.glow(0, y1, 0.8, (1, 0.8, 0.45), 0.35)


def lamp_table(c: Canvas) -> None:
    """A cloth shade on a round foot."""
    foot = c.hue(c.u(), 0.5, 0.5)
    c.solid(rod([(0, 1.0), (0, -0.2)], 0.14), foot, 0.06)
    c.solid(oval(0, 0.55, 0.34, 0.45), foot, 0.35, 0.5)
    c.solid(oval(0, 1.05, 0.45, 0.13), foot * 0.8, 0.1)
    _shade(c, 0.4, 0.85, -1.05, 0.05, c.u() < 0.6, c.hue(c.pick((0.1, 0.12, 0.0, 0.4)), 0.35, 0.8))


def lamp_desk(c: Canvas) -> None:
    """A jointed arm with a metal hood."""
    metal = c.hue(c.pick((0.0, 0.6, 0.12, 0.4)), 0.7, 0.55)
    c.solid(oval(-0.2, 1.0, 0.6, 0.16), metal, 0.12, 0.4)
    c.solid(rod([(-0.2, 0.95), (-0.75, 0.05)], 0.1), c.grey(0.5, 0.7), 0.05)
    c.solid(rod([(-0.75, 0.05), (0.2, -0.75)], 0.1), c.grey(0.5, 0.7), 0.05)
    c.solid(oval(-0.75, 0.05, 0.11, 0.11), c.grey(0.2, 0.4), 0.1)
    c.solid([(0.05, -0.95), (0.35, -1.05), (0.95, -0.35), (0.3, -0.1)], metal, 0.3, 0.5)
    c.solid(oval(0.62, -0.22, 0.34, 0.14), (1, 0.95, 0.75), 0)
    if c.u() < 0.6:
        c.glow(0.65, 0.1, 0.5, (1, 0.85, 0.5), 0.4)


def lamp_pendant(c: Canvas) -> None:
    """A dome that hangs from a cord."""
    c.solid(rod([(0, -2.5), (0, -0.4)], 0.06), c.grey(0.1, 0.3), 0)
    metal = c.hue(c.u(), 0.6, 0.5)
    c.solid(box(-0.13, -0.65, 0.13, -0.3), c.grey(0.2, 0.4), 0.08)
    c.solid(np.concatenate([oval(0, 0.4, 0.95, 0.85, 180, 360), [(0.95, 0.5), (-0.95, 0.5)]]), metal, 0.45, 0.5)
    c.solid(oval(0, 0.5, 0.93, 0.16), (1, 0.95, 0.75), 0)
    c.solid(oval(0, 0.55, 0.24, 0.2), (1, 1, 0.9), 0)
    c.glow(0, 0.8, 0.7, (1, 0.85, 0.5), c.u(0.15, 0.5))


def lamp_street(c: Canvas) -> None:
    """A lantern on an iron post."""
    iron = c.grey(0.08, 0.25)
    c.solid(rod([(0, 2.2), (0, 0.2)], 0.18, 0.12), iron, 0.05)
    c.solid(box(-0.3, 0.2, 0.3, 0.3), iron, 0)
    c.solid([(-0.42, -0.6), (0.42, -0.6), (0.28, 0.2), (-0.28, 0.2)], (1, 0.88, 0.55), 0.1)
    for x in (-1, 0, 1):
        c.solid(rod([(0.4 * x, -0.6), (0.27 * x, 0.2)], 0.07), iron, 0)
    c.solid([(-0.55, -0.58), (0, -1.1), (0.55, -0.58)], iron, 0.15)
    c.glow(0, -0.2, 0.6, (1, 0.8, 0.4), c.u(0.2, 0.6))


def lamp_bulb(c: Canvas) -> None:
    """A bare bulb."""
    c.glow(0, -0.3, 0.8, (1, 0.8, 0.4), c.u(0.1, 0.5))
    glass = c.hue(0.13, 0.3, 0.95)
    c.solid(np.concatenate([oval(0, -0.3, 0.72, 0.72, 130, 410), [(0.3, 0.6), (-0.3, 0.6)]]), glass, 0.5, 0.5)
    c.solid(rod([(-0.2, 0.5), (-0.2, -0.2), (0, -0.4), (0.2, -0.2), (0.2, 0.5)], 0.07), (0.9, 0.5, 0.1), 0)
    for y in (0.6, 0.77, 0.94):
        c.solid(box(-0.3, y, 0.3, y + 0.16), c.grey(0.45, 0.65), 0.1, 0.6)


def _band(c: Canvas, colour) -> None:
    if c.u() < 0.5:
        y = c.u(-0.3, 0.3)
        c.solid(box(-0.66, y, 0.66, y + 0.25), colour, 0.0, opacity=0.7)


def mug_side(c: Canvas) -> None:
    """A cylinder with a handle."""
    colour = c.hue(c.u(), 0.65, 0.75)
    ring = np.concatenate([oval(0.75, 0.1, 0.5, 0.5, -80, 80), oval(0.75, 0.1, 0.28, 0.3, 80, -80)])
    c.solid(ring, colour * 0.9, 0.12, 0.4)
    c.solid(np.concatenate([oval(0, 0.8, 0.7, 0.2, 0, 180), [(-0.72, -0.75)], oval(0, -0.75, 0.72, 0.2, 180, 360)]),
            colour, 0.5, 0.4)
    _band(c, c.hue(c.u(), 0.5, 0.9))
    c.solid(oval(0, -0.75, 0.66, 0.17), c.pick((c.hue(0.07, 0.7, 0.2), colour * 0.5)), 0)


def mug_above(c: Canvas) -> None:
    """Coffee in a round mug, from above."""
    colour = c.pick((c.grey(0.8, 1), c.hue(c.u(), 0.6, 0.7)))
    c.solid(rod([(0.7, 0), (1.35, 0)], 0.26), colour * 0.9, 0.12, 0.3)
    c.solid(oval(0, 0, 0.95, 0.95), colour, 0.2, 0.4)
    coffee = c.hue(0.07, 0.75, 0.32)
    c.solid(oval(0, 0, 0.76, 0.76), coffee, 0)
    if c.u() < 0.6:
        c.solid(oval(c.u(-0.2, 0.2), c.u(-0.2, 0.2), 0.45, 0.38), (0.88, 0.75, 0.55), 0.1, opacity=0.8)


def mug_teacup(c: Canvas) -> None:
    """A shallow cup on its saucer."""
    china = c.pick((c.grey(0.85, 1), c.hue(c.pick((0.6, 0.95, 0.4)), 0.35, 0.9)))
    c.solid(oval(0, 0.62, 1.15, 0.3), china * 0.95, 0.12, 0.4)
    c.solid(np.concatenate([oval(0.75, -0.05, 0.42, 0.36, -80, 100), oval(0.7, -0.05, 0.22, 0.18, 100, -80)]), china)
    c.solid(np.concatenate([oval(0, -0.35, 0.82, 0.95, 0, 180), oval(0, -0.35, 0.82, 0.2, 180, 360)]), china, 0.5, 0.5)
    c.solid(oval(0, -0.35, 0.74, 0.15), c.hue(0.06, 0.75, 0.5), 0)


def mug_beer(c: Canvas) -> None:
    """A glass of beer with foam and a handle."""
    ring = np.concatenate([oval(0.6, 0.15, 0.55, 0.6, -80, 80), oval(0.6, 0.15, 0.34, 0.4, 80, -80)])
    c.solid(ring, (0.8, 0.83, 0.85), 0.12, 0.6)
    c.solid(box(-0.65, -0.75, 0.65, 1.0), (0.85, 0.85, 0.85), 0.15, 0.6)
    c.solid(box(-0.56, -0.5, 0.56, 0.88), c.hue(c.pick((0.11, 0.1, 0.05)), 0.9, 0.75), 0.4, 0.3)
    for x in (-0.3, 0, 0.3):
        c.solid(rod([(x, -0.4), (x, 0.75)], 0.07), (1, 0.9, 0.6), 0, opacity=0.35)
    for x in np.linspace(-0.5, 0.5, 5):
        c.solid(oval(x, -0.72 + c.u(-0.1, 0.05), 0.27, 0.24), (0.97, 0.95, 0.88), 0.2)


def mug_paper(c: Canvas) -> None:
    """A paper cup with lid and sleeve."""
    c.solid([(-0.62, -0.8), (0.62, -0.8), (0.45, 1.15), (-0.45, 1.15)], c.grey(0.8, 0.98), 0.45, 0.1)
    c.solid([(-0.6, -0.3), (0.6, -0.3), (0.51, 0.6), (-0.51, 0.6)], c.hue(c.pick((0.07, 0.4, 0.0)), 0.6, 0.5), 0.4,
            0.05)
    c.solid(box(-0.7, -0.98, 0.7, -0.76), c.grey(0.1, 0.4), 0.1)
    c.solid(box(-0.55, -1.12, 0.55, -0.96), c.grey(0.1, 0.4), 0.1)
