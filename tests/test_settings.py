"""Settings against annotations: valid values, and the message for invalid ones."""
import inspect
from pathlib import Path
from typing import Any, Dict, Iterable, List, Literal, Mapping, Optional, Sequence, Tuple, Union

import numpy as np
import pytest

from mmdistill.errors import DistillError
from mmdistill.generation.generators import Size
from mmdistill.selection.base import Budget
from mmdistill.settings import (NonNegative, NonNegativeInt, Positive, PositiveInt, Share, check_settings, check_value,
                                validated)

WINDOW = Union[Tuple[Share, Share], Sequence[Tuple[Share, Share]]]
FITS = [
    (3, int), (np.int64(3), int), (3, float), (0.5, float), (np.float32(0.5), float), (True, bool), ('a', str),
    (None, Optional[int]), (3, Optional[int]), (1, PositiveInt), (0, NonNegativeInt), (0, NonNegative), (1, Share),
    (0.1, Positive), (None, Optional[Positive]), ('a', Literal['a', 'b']), (None, Literal[None, 'b']),
    (1, Literal[1, 2]), ([1, 2], List[int]), ((1, 2), Sequence[int]), ([1, 2], Tuple[int, int]), ([], List[int]),
    (np.zeros(3), Sequence[float]), (range(3), Iterable[int]), ([1, 2, 3], Tuple[int, ...]), ({}, dict),
    ({'a': 1}, Dict[str, int]), ({'a': 1}, Mapping[str, Any]), ([0, 1], WINDOW), ([[0, 0.5], [0.5, 1]], WINDOW),
    ('a', Union[str, Path]), (object(), Any), ('a', Path), (3, 'a name'),
]
DOES_NOT_FIT = [
    ('3', int, "has to be a whole number"), (True, int, 'has to be a whole number'), (3.0, int, 'a whole number'),
    ('a', float, 'has to be a number'), (float('nan'), float, 'has to be a number'), (1, bool, 'True or False'),
    (1, str, 'has to be a string'), ('a', Optional[int], 'has to be a whole number or None'),
    (0, PositiveInt, 'is out of range: it has to be at least 1'), (1.5, PositiveInt, 'has to be a whole number'),
    (0, Positive, 'is out of range: it has to be above 0'), (-0.1, NonNegative, 'it has to be at least 0'),
    (1.1, Share, r'it has to be in \[0, 1\]'), (0, Optional[Positive], 'it has to be above 0'),
    ('c', Literal['a', 'b'], "is unknown: set it to 'a' or 'b'"), (True, Literal[1, 2], 'is unknown: set it to 1 or 2'),
    ('12', List[int], 'has to be a list'), (3, Sequence[int], 'has to be a list'), ({}, List[int], 'has to be a list'),
    ([1, 'a'], List[int], "has an item 'a' that has to be a whole number"), ([1], Tuple[int, int], 'has to be 2'),
    ([0, 2], WINDOW, r'has an item 2 that is out of range'), ([], dict, 'has to be a dict'),
    (3, Mapping[str, Any], 'has to be a dict'),
    (1.5, Union[PositiveInt, Share], r'has to be in \[0, 1\], or a whole number'),
    (0, Union[PositiveInt, str, None], 'has to be at least 1, or a string$'),
    (0, Budget, r'is out of range: it has to be at least 1, or in \(0, 1\)$'),
    ((0, 64), Size, 'has an item 0 that is out of range: it has to be at least 1$'),
]


@pytest.mark.parametrize('value, hint', FITS)
def test_a_value_that_fits(value, hint):
    check_value('x', value, hint)


@pytest.mark.parametrize('value, hint, say', DOES_NOT_FIT)
def test_a_value_that_does_not_fit(value, hint, say):
    with pytest.raises(DistillError, match=rf"^x=.*{say}"):
        check_value('x', value, hint)


def test_a_long_value_is_cut():
    with pytest.raises(DistillError) as error:
        check_value('x', 'a' * 1000, int)
    assert len(str(error.value)) < 120


class Base:

    def __init__(self, size: PositiveInt, rate: Share = 0.5):
        self.size, self.rate = size, rate


class Derived(Base):

    @validated
    def __init__(self, name: str, steps: PositiveInt = 4, **kwargs):
        super().__init__(**kwargs)
        self.name, self.steps = name, steps


@pytest.mark.parametrize('settings, say', [
    (dict(name='a', size=1, stps=1), r'^part\.stps: unknown setting of Derived; did you mean steps\?$'),
    (dict(name='a', size=1, rate=2), r'^part\.rate=2 is out of range'),
    (dict(name='a', size=0), r'^part\.size=0 is out of range'),
    (dict(size=1), r'^part: Derived needs name: add it$'),
])
def test_settings_of_a_class_reach_its_bases(settings, say):
    check_settings(Derived, dict(type='Derived', name='a', size=1, rate=1), 'part')
    check_settings(Derived, dict(type='Derived', size=1), 'part', provided=['name'])
    with pytest.raises(DistillError, match=say):
        check_settings(Derived, dict(settings, type='Derived'), 'part')


def test_a_constructor_checks_itself():
    assert Derived('a', size=3).steps == 4
    with pytest.raises(DistillError, match=r'^Derived: steps=0 is out of range: it has to be at least 1$'):
        Derived('a', 0, size=3)
    assert 'steps' in inspect.signature(Derived).parameters
