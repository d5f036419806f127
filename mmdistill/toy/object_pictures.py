"""Procedural object pictures: a small multi-modal classification dataset that needs no download.

A picture is a pure function of its split, index and size. Each class has five modes of decreasing frequency, so that a
few random pictures of a class do not cover it.
"""
from typing import Tuple

import numpy as np

from . import objects_garden as garden
from . import objects_home as home
from . import objects_town as town
from . import objects_water as water
from .object_canvas import BACKGROUNDS, Canvas
from .street_scenes import SPLITS

SHARES = (0.32, 0.25, 0.19, 0.14, 0.1)  # probabilities of the modes
_LAND, _HOME, _FLAT = ('meadow', 'street'), ('room', 'studio', 'boards'), ('boards', 'cloth', 'studio')
_SEA, _POOL = ('sea', ), ('water', )

# Class: (drawing function, backgrounds, maximum rotation in degrees, scale) of each mode, most frequent first.
_MODES = dict(
    boat=((water.boat_sail, _SEA, 10, 0.34), (water.boat_motor, _SEA + _POOL, 12, 0.33),
          (water.boat_rowing, _POOL, 180, 0.36), (water.boat_ship, _SEA, 4, 0.32),
          (water.boat_canoe, _POOL + _SEA, 10, 0.34)),
    car=((town.car_side, _LAND, 5, 0.35), (town.car_front, _LAND + ('night', ), 4, 0.4),
         (town.car_bus, _LAND, 4, 0.33), (town.car_above, ('street', 'boards'), 180, 0.37),
         (town.car_truck, _LAND, 4, 0.33)),
    clock=((home.clock_wall, ('studio', 'cloth', 'room'), 20, 0.38), (home.clock_alarm, _HOME, 10, 0.36),
           (home.clock_watch, _FLAT, 60, 0.36), (home.clock_digital, _HOME + ('night', ), 6, 0.36),
           (home.clock_tall, ('room', 'boards'), 3, 0.34)),
    fish=((water.fish_striped, _POOL + ('bokeh', ), 20, 0.34), (water.fish_silver, _POOL + ('boards', ), 25, 0.33),
          (water.fish_koi, _POOL, 180, 0.36), (water.fish_gold, _POOL + ('studio', ), 20, 0.33),
          (water.fish_puffer, _POOL, 15, 0.34)),
    flower=((garden.flower_daisy, ('meadow', 'bokeh', 'studio'), 25, 0.36),
            (garden.flower_tulip, ('bokeh', 'studio', 'meadow'), 12, 0.36),
            (garden.flower_pot, _HOME, 4, 0.36), (garden.flower_rose, ('bokeh', 'cloth', 'boards'), 180, 0.36),
            (garden.flower_sunflower, ('meadow', 'bokeh'), 15, 0.36)),
    house=((town.house_gable, _LAND, 3, 0.36), (town.house_cottage, _LAND, 3, 0.35),
           (town.house_tower, ('street', 'night'), 3, 0.34), (town.house_hut, ('meadow', ), 3, 0.36),
           (town.house_windmill, _LAND, 3, 0.36)),
    lamp=((home.lamp_table, _HOME, 5, 0.36), (home.lamp_desk, _HOME, 10, 0.38),
          (home.lamp_pendant, ('studio', 'room', 'night'), 3, 0.34),
          (home.lamp_street, ('street', 'night', 'meadow'), 3, 0.34), (home.lamp_bulb, ('studio', 'night'), 30, 0.36)),
    mug=((home.mug_side, _HOME + ('cloth', ), 6, 0.34), (home.mug_above, _FLAT, 180, 0.34),
         (home.mug_teacup, _HOME + ('cloth', ), 6, 0.35), (home.mug_beer, ('bokeh', 'boards', 'room'), 5, 0.36),
         (home.mug_paper, ('room', 'street', 'studio'), 8, 0.35)),
    tree=((garden.tree_broad, _LAND, 4, 0.36), (garden.tree_conifer, _LAND, 4, 0.36),
          (garden.tree_palm, ('sea', 'meadow'), 6, 0.35), (garden.tree_autumn, _LAND, 5, 0.36),
          (garden.tree_bare, _LAND, 5, 0.38)),
    umbrella=((town.umbrella_open, ('street', 'studio', 'bokeh'), 30, 0.36),
              (town.umbrella_above, ('street', 'cloth', 'boards'), 180, 0.36),
              (town.umbrella_beach, _SEA + ('meadow', ), 15, 0.34),
              (town.umbrella_closed, _HOME, 40, 0.33),
              (town.umbrella_below, ('bokeh', 'street', 'night'), 40, 0.35)))
CLASSES = tuple(_MODES)


def object_picture(index: int, split: str = 'train', size: int = 64) -> Tuple[np.ndarray, int, int]:
    """Draw one picture.

    Args:
        index: Any non-negative integer; the class is ``index % 10``. The picture only depends on (split, index, size),
            and other sizes show the same scene.
        split: ``'train'``, ``'val'`` or ``'test'``.
        size: Side in pixels.

    Returns:
        Image uint8 RGB (size, size, 3), class id 0..9 in :data:`CLASSES`, and mode 0..4, the most frequent first.

    Example:
        >>> image, label, mode = object_picture(13, size=64)
        >>> image.shape, label
        ((64, 64, 3), 3)
    """
    c = Canvas(size, np.random.Generator(np.random.Philox(key=(1 << 60) | (index << 2) | SPLITS[split])))
    label = index % len(CLASSES)
    mode = int(np.searchsorted(np.cumsum(SHARES)[:-1], c.u(), side='right'))
    draw, backgrounds, turn, scale = _MODES[CLASSES[label]][mode]
    BACKGROUNDS[c.pick(backgrounds if c.u() < 0.8 else tuple(BACKGROUNDS))](c)
    c.place(c.u(0.4, 0.6), c.u(0.42, 0.58), scale * c.u(0.72, 1.15), turn * c.u(-1, 1), c.u() < 0.5, c.u(0.8, 1.1))
    draw(c)
    return c.finish(), label, mode
