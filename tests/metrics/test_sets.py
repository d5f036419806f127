import json

import numpy as np
import pytest

from mmdistill.errors import DistillError
from mmdistill.metrics import (coverage_density, diversity, frechet_distance, set_metrics, transport_distance)


@pytest.fixture
def sets(features):
    """Two classes, 0 and 1, of 30 and 20 real and 4 and 6 distilled samples."""
    return dict(real=features(50), distilled=features(10, seed=1), real_labels=[0] * 30 + [1] * 20,
                distilled_labels=[0] * 4 + [1] * 6, classes=('cat', 'dog'))


def test_rows_are_the_metrics_of_each_part(sets):
    rows = set_metrics(**sets, k=3)
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows
    assert [row['class'] for row in rows] == [None, 'cat', 'dog']
    x, y = sets['real'], sets['distilled']
    for row, r, d in zip(rows, (x, x[:30], x[30:]), (y, y[:4], y[4:])):
        assert (row['real_samples'], row['distilled_samples']) == (len(r), len(d))
        assert row['transport'] == pytest.approx(transport_distance(r, d).distance)
        assert row['transport_method'] == 'exact'
        assert row['frechet'] == pytest.approx(frechet_distance(r, d))
        assert (row['diversity'], row['real_diversity']) == pytest.approx((diversity(d), diversity(r)))
        assert {key: row[key] for key in ('coverage', 'density')} == pytest.approx(coverage_density(r, d, 3))
    assert [(row['real_share'], row['distilled_share']) for row in rows[1:]] == [(0.6, 0.4), (0.4, 0.6)]
    assert rows[0]['total_variation'] == pytest.approx(0.2) and 0 < rows[0]['jensen_shannon'] < 1


def test_without_labels_there_is_the_whole_set_alone(sets):
    rows = set_metrics(sets['real'], sets['distilled'])
    assert len(rows) == 1 and rows[0]['class'] is None and 'jensen_shannon' not in rows[0]


def test_one_image_a_class_has_no_diversity(sets):
    sets.update(distilled=sets['distilled'][:2], distilled_labels=[0, 1])
    rows = set_metrics(**sets)
    assert [row['diversity'] for row in rows[1:]] == [None, None] == [row['frechet'] for row in rows[1:]]
    assert rows[0]['diversity'] > 0


@pytest.mark.parametrize('change, message', [
    (dict(distilled_labels=[0] * 10), "class 'dog': the distilled set has 0 samples"),
    (dict(real_labels=[1] * 50), "class 'cat': the real set has 0 samples"),
    (dict(real_labels=[0] * 46 + [1] * 4), "class 'dog': k 5 needs more than 5 real samples, there are 4"),
    (dict(distilled_labels=[0] * 9 + [2]), 'the distilled labels contain 2, which is not one of the 2 classes'),
    (dict(distilled_labels=[0] * 9), 'the distilled labels have to be 10 whole numbers'),
    (dict(distilled_labels=[0.5] * 10), 'the distilled labels have to be 10 whole numbers'),
    (dict(distilled_labels=None), 'give the labels of both sets'),
    (dict(classes=('cat', 'cat')), 'same name'),
    (dict(k=60), 'k 60 needs more than 60 real samples'),
    (dict(real=np.full((50, 6), np.inf)), 'real features: sample 0 has a value that is not finite'),
])
def test_refused_in_one_line(sets, change, message):
    with pytest.raises(DistillError, match=message) as error:
        set_metrics(**{**sets, **change})
    assert '\n' not in str(error.value)
