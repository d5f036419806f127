"""Boats and fish of the built-in object pictures, five modes of each.

Each function draws on a :class:`Canvas` with a pose, in coordinates of about [-1, 1]; y points down.
"""
import numpy as np

from .object_canvas import Canvas, box, oval, rod


def _wash(c: Canvas, y: float) -> None:
    """Water in front of a hull."""
    c.solid(oval(0, y, 1.25, 0.1), c.hue(0.54, 0.3, 0.75), 0, grain=0.1, opacity=0.75)


def boat_sail(c: Canvas) -> None:
    """Two triangles over a hull."""
    c.solid(rod([(0, -1.15), (0, 0.7)], 0.07), c.hue(0.08, 0.5, 0.4), 0)
    cloth = c.pick((c.grey(0.85, 1), c.grey(0.85, 1), c.hue(c.u(), 0.75, 0.8)))
    c.solid([(0.05, -1.1), (0.95, 0.45), (0.05, 0.45)], cloth, 0.25, 0.05)
    c.solid([(-0.05, -0.9), (-0.05, 0.45), (-0.75, 0.45)], cloth * 0.88, 0.2, 0.05)
    c.solid([(-1.0, 0.6), (1.05, 0.6), (0.7, 1.02), (-0.7, 1.02)], c.hue(c.pick((0.0, 0.6, 0.08)), 0.7, 0.5), 0.2)
    _wash(c, 1.02)


def boat_motor(c: Canvas) -> None:
    """A white speedboat with its wake."""
    c.solid([(-1.2, 0.4), (-2.2, 0.55), (-2.2, 0.75), (-1.0, 0.6)], c.grey(0.85, 1), 0, opacity=0.7)
    c.solid([(-0.45, -0.05), (-0.2, -0.5), (0.25, -0.5), (0.5, -0.05)], c.hue(0.55, 0.4, 0.4), 0.1, 0.6)
    c.solid([(-1.15, -0.1), (1.3, -0.15), (0.8, 0.5), (-1.05, 0.5)], c.grey(0.85, 1), 0.25, 0.4)
    c.solid([(-1.12, 0.1), (1.12, 0.08), (1.02, 0.22), (-1.1, 0.24)], c.hue(c.u(), 0.8, 0.6), 0)
    _wash(c, 0.52)


def boat_ship(c: Canvas) -> None:
    """A freighter with its load."""
    for row in range(3):
        for x in np.arange(-0.7, 0.75, 0.3).tolist():
            if c.u() < 0.9 - 0.25 * row:
                c.solid(box(x, -0.12 - 0.25 * row, x + 0.28, 0.12 - 0.25 * row), c.hue(c.u(), 0.7, 0.6), 0.03)
    c.solid(box(-1.15, -0.8, -0.78, 0.2), c.grey(0.8, 1), 0.08)
    for y in (-0.65, -0.4, -0.15):
        c.solid(box(-1.1, y, -0.83, y + 0.1), c.grey(0.1, 0.25), 0)
    c.solid(box(-1.05, -1.1, -0.88, -0.78), c.hue(0.0, 0.7, 0.6), 0.06)
    c.solid([(-1.3, 0.15), (1.35, 0.1), (1.15, 0.6), (-1.2, 0.6)], c.hue(0.6, 0.4, 0.25), 0.1)
    c.solid([(-1.24, 0.42), (1.22, 0.42), (1.12, 0.65), (-1.2, 0.65)], c.hue(0.0, 0.75, 0.5), 0)
    _wash(c, 0.67)


def boat_rowing(c: Canvas) -> None:
    """A rowing boat with oars, from above."""
    wood = c.hue(c.pick((0.07, 0.07, 0.0, 0.55)), 0.65, 0.55)
    hull = np.concatenate([np.stack([np.linspace(-1.15, 1.15, 15), -0.45 * np.cos(np.linspace(-1.3, 1.57, 15))], 1),
                           np.stack([np.linspace(1.15, -1.15, 15), 0.45 * np.cos(np.linspace(-1.57, 1.3, 15))], 1)])
    for side in (-1, 1):
        c.solid(rod([(0.1, 0.3 * side), (-0.35, 1.1 * side)], 0.07), c.hue(0.1, 0.4, 0.75), 0)
        c.solid(oval(-0.4, 1.15 * side, 0.1, 0.22), c.hue(0.1, 0.4, 0.75), 0.05)
    c.solid(hull, wood, 0.12, 0.2)
    c.solid(hull * (0.86, 0.76), wood * 0.45, 0.0)
    for x in (-0.65, 0.0, 0.6):
        c.solid(box(x - 0.1, -0.36, x + 0.1, 0.36), wood * 1.2, 0.05)


def boat_canoe(c: Canvas) -> None:
    """A crescent with somebody paddling."""
    for x in c.pick(((0.0, ), (-0.4, 0.35))):
        coat = c.hue(c.u(), 0.8, 0.8)
        c.solid(rod([(x - 0.35, -0.35), (x + 0.45, 0.55)], 0.07), c.hue(0.1, 0.4, 0.7), 0)
        c.solid(oval(x, 0.0, 0.2, 0.36), coat, 0.15)
        c.solid(oval(x, -0.47, 0.15, 0.17), c.hue(0.07, 0.45, 0.8), 0.1)
    top = np.stack([np.linspace(-1.25, 1.25, 15), 0.05 + 0.3 * np.cos(np.linspace(-1.57, 1.57, 15))], 1)
    low = np.stack([np.linspace(1.1, -1.1, 15), 0.2 + 0.42 * np.cos(np.linspace(-1.57, 1.57, 15))], 1)
    c.solid(np.concatenate([top, low]), c.hue(c.pick((0.0, 0.1, 0.35, 0.07)), 0.8, 0.6), 0.15)
    _wash(c, 0.65)


def _eye(c: Canvas, x, y, r=0.1) -> None:
    c.solid(oval(x, y, r, r), c.grey(0.9, 1), 0)
    c.solid(oval(x, y, r * 0.55, r * 0.55), c.grey(0, 0.1), 0)


def fish_striped(c: Canvas) -> None:
    """A tall reef fish with bars."""
    first, second = c.hue(c.pick((0.07, 0.13, 0.58)), 0.9, 0.9), c.pick((c.grey(0.9, 1), c.grey(0.05, 0.15)))
    c.solid([(-0.65, 0), (-1.2, -0.5), (-1.08, 0), (-1.2, 0.5)], first * 0.9, 0.1)
    c.solid([(-0.4, -0.5), (-0.2, -1.0), (0.5, -0.55)], first * 0.8, 0.1)
    c.solid([(-0.3, 0.5), (-0.3, 0.95), (0.35, 0.55)], first * 0.8, 0.1)
    c.solid(oval(0, 0, 0.9, 0.7), first, 0.4, 0.3)
    for x, half in ((-0.4, 0.58), (0.05, 0.68), (0.5, 0.55)):
        c.solid(rod([(x, -half), (x + 0.07, 0), (x, half)], 0.17), second, 0.05)
    _eye(c, 0.68, -0.12)


def fish_silver(c: Canvas) -> None:
    """Slender, grey, with a forked tail."""
    back = c.hue(0.56, 0.3, 0.5)
    c.solid([(-0.9, 0), (-1.35, -0.4), (-1.15, 0), (-1.35, 0.4)], back, 0.08)
    c.solid([(-0.1, -0.28), (0.1, -0.55), (0.35, -0.25)], back * 0.8, 0)
    c.solid([(-0.1, 0.28), (-0.05, 0.5), (0.25, 0.25)], back * 0.8, 0)
    body = np.stack([np.linspace(-1, 1.15, 16), -0.36 * np.sin(np.linspace(0.12, np.pi, 16))**0.8], 1)
    c.solid(np.concatenate([body, body[::-1] * (1, -1)]), c.grey(0.65, 0.85), 0.3, 0.6)
    c.solid(np.concatenate([body, body[::-1] * (1, 0.2)]), back, 0, opacity=0.7)
    _eye(c, 0.85, -0.07, 0.08)


def fish_puffer(c: Canvas) -> None:
    """A ball with spines and spots."""
    skin = c.hue(c.pick((0.14, 0.1, 0.45)), 0.6, 0.75)
    for t in np.radians(np.arange(0, 360, 24)):
        way = np.array([np.cos(t), np.sin(t)])
        c.solid(rod([0.75 * way, 1.08 * way], 0.14, 0.01), skin * 0.8, 0)
    c.solid([(-0.7, 0), (-1.25, -0.28), (-1.25, 0.28)], skin * 0.8, 0.05)
    c.solid(oval(0, 0, 0.85, 0.82), skin, 0.6, 0.3)
    c.solid(oval(0.1, 0.4, 0.6, 0.35), (0.95, 0.93, 0.85), 0.2, opacity=0.7)
    for _ in range(8):
        c.solid(oval(c.u(-0.6, 0.3), c.u(-0.65, 0.1), 0.08, 0.08), skin * 0.4, 0)
    _eye(c, 0.5, -0.2, 0.17)
    c.solid(oval(0.84, 0.1, 0.1, 0.08), skin * 0.5, 0)


def fish_gold(c: Canvas) -> None:
    """A goldfish with veils."""
    gold = c.hue(0.06, 0.95, 0.95, 0.02)
    for y in (-0.5, 0.5):
        c.solid([(-0.4, 0), (-0.9, y - 0.3), (-1.45, y), (-1.2, y * 0.4), (-0.8, 0)], gold * 0.9, 0.1, opacity=0.85)
    c.solid([(-0.35, -0.35), (-0.15, -0.95), (0.45, -0.35)], gold * 0.85, 0.1, opacity=0.9)
    c.solid([(0.0, 0.35), (-0.35, 0.9), (0.3, 0.45)], gold * 0.85, 0.1, opacity=0.9)
    c.solid(oval(0.15, 0, 0.75, 0.5), gold, 0.4, 0.4)
    c.solid(oval(0.2, 0.2, 0.5, 0.25), (1, 0.85, 0.6), 0.1, opacity=0.6)
    _eye(c, 0.65, -0.1, 0.12)


def fish_koi(c: Canvas) -> None:
    """A koi from above, bent, white with red patches."""
    t, bend = np.linspace(-1.2, 1.1, 14), c.u(-0.35, 0.35)
    spine = np.stack([bend * np.sin(1.7 * t), -t], 1)
    width = 0.31 * np.sqrt(np.clip(np.cos(np.linspace(-1.35, 1.45, 14)), 0, 1)) + 0.03
    white, patch = c.grey(0.9, 1), c.hue(c.pick((0.02, 0.05, 0.6)), 0.9, 0.8)
    for side in (-1, 1):
        x, y = spine[9]
        c.solid([(x, y - 0.1), (x + 0.65 * side, y + 0.25), (x + 0.2 * side, y + 0.3)], white * 0.9, 0, opacity=0.8)
    x, y = spine[0]
    c.solid([(x, y - 0.2), (x - 0.3, y + 0.35), (x, y + 0.2), (x + 0.3, y + 0.35)], white * 0.9, 0, opacity=0.9)
    side = width[:, None] * (1, 0)
    c.solid(np.concatenate([spine - side, (spine + side)[::-1]]), white, 0.2, 0.3)
    for i in (3, 6, 9, 11):
        if c.u() < 0.75:
            x, y = spine[i] + (c.u(-0.08, 0.08), 0)
            c.solid(oval(x, y, 0.2, c.u(0.12, 0.25)), patch, 0.05)
