"""The parts of the page: figures, tables, and the order of the images."""
import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from mmdistill.evaluation.report.charts import learning_curves, runs_chart, share_charts, share_limits
from mmdistill.evaluation.report.gallery import by_class, rarity
from mmdistill.evaluation.report.projection import project, projection_panels, shown_rows
from mmdistill.evaluation.report.report import templates
from mmdistill.evaluation.report.svg import COLOURS, Chart
from mmdistill.evaluation.report.tables import heat_table, marked, results_table


def _run(name, seed, value, **more):
    return dict(set=name, student='s', seed=seed, metrics=dict(m=value), curve=[[1, 10.0], [2, value]], **more)


def _corners(path):
    return [tuple(map(float, pair)) for pair in re.findall(r'[ML] (-?[\d.]+) (-?[\d.]+)', path.get('d'))]


def _tree(chart, number=0):
    return ElementTree.fromstring(f'<svg>{chart.body(number)}</svg>')


def _lines(svg, colour):
    return [_corners(path) for path in _tree(svg).iter('path')
            if f'fill: none; stroke: {colour}' in path.get('style', '')]


def _bands(svg, colour):
    root = _tree(svg)
    shapes = {path.get('id'): path for path in root.iter('path')}
    return [_corners(shapes[use.get('href')[1:]]) for use in root.iter('use')
            if f'fill: {colour}; fill-opacity' in use.get('style', '')]


def test_a_chart_uses_only_the_colours_of_the_page():
    with (chart := Chart(200, 100, 'a chart')) as axes:
        for index in range(8):
            axes.plot([0, 1], [index, index], color=COLOURS[f's{index}'])
        axes.plot([0, 1], [1, 0], 'o', color=COLOURS['real'])
        axes.set(xlabel='$x$ & <y> #010101', title='</text></svg><script>"1.23456"</script>')
    svg = chart.body(0)
    texts = [element.text for element in _tree(chart).iter('text')]
    assert {f'var(--s{i})' for i in range(8)} <= set(re.findall(r'var\(--s\d\)', svg))
    assert 'var(--real)' in svg and not re.search('style="[^"]*#', svg)
    assert {'$x$ & <y> #010101', '</text></svg><script>"1.23456"</script>'} <= set(texts)
    assert '<script' not in svg and not re.search('http|xmlns|<style|xlink|<g id', svg)
    assert svg == chart.body(0)


def test_two_charts_on_a_page_share_no_id():
    chart = learning_curves([_run('a', 0, 20.0), _run('a', 1, 26.0)], 'm', dict(a='s0'), 's')
    ids = [{element.get('id') for element in _tree(chart, number).iter() if element.get('id')} for number in (1, 2)]
    assert ids[0] and not ids[0] & ids[1]
    for number, own in enumerate(ids, 1):
        assert set(re.findall(r'(?:="#|url\(#)(\w+)', chart.body(number))) <= own


def test_the_band_of_a_curve_is_one_sample_deviation():
    runs = [_run('a', 0, 20.0), _run('a', 1, 26.0), _run('b', 0, 40.0)]
    svg = learning_curves(runs, 'm', dict(a='s0', b='s1'), 's')
    (band, ), (line_a, ), (line_b, ) = _bands(svg, 'var(--s0)'), _lines(svg, 'var(--s0)'), _lines(svg, 'var(--s1)')
    # Heights in points are linear in the metric: a ends at 23, b at 40, both start at 10.
    scale = (line_b[1][1] - line_b[0][1]) / 30
    assert line_a[1][1] - line_a[0][1] == pytest.approx(13 * scale, abs=0.05)
    ends = [y for x, y in band if x == pytest.approx(line_a[1][0], abs=0.02)]
    assert max(ends) - min(ends) == pytest.approx(abs(2 * np.std([20, 26], ddof=1) * scale), abs=0.05)
    assert not _bands(svg, 'var(--s1)')


def test_runs_without_a_value_are_left_out():
    chart = runs_chart([_run('a', 0, None), _run('b', 0, 2.0)], 'm', dict(a='s0', b='s1'), 's')
    assert 'var(--s1)' in chart.body(0) and 'var(--s0)' not in chart.body(0)


def test_axis_of_shares():
    assert share_limits(np.array([0, 1, 50])) == (0.5, 65.0)
    assert share_limits(np.array([[0, 10], [50, 20]])) == (0.0, 52.5)
    assert share_limits(np.array([0, 0])) == (0.0, 1.0)


@pytest.mark.parametrize('values, crosses', [([0.0, 0.01, 0.5], 1), ([0.0, 0.2, 0.5], 0)])
def test_a_zero_share_is_a_cross_on_a_logarithmic_axis(values, crosses):
    chart, = share_charts(['a', 'b', 'c'], dict(s0=values), 'share')
    marks = [use for use in _tree(chart).iter('use') if 'var(--s0)' in use.get('style', '')]
    assert len(marks) == crosses


def test_many_classes_are_shown_in_charts_of_the_same_length():
    charts = share_charts([f'class {i}' for i in range(90)], dict(real=[0.1] * 90, s0=[0.2] * 90), 'share')
    names = [[text.text for text in _tree(chart).iter('text') if text.text.startswith('class')] for chart in charts]
    assert [len(part) for part in names] == [30, 30, 30] and names[1][0] == 'class 30'


def test_few_points_are_projected_by_their_principal_components():
    rng = np.random.default_rng(0)
    features = dict(real=rng.normal(size=(50, 6)) * [9, 5, 1, 1, 1, 1], own=rng.normal(size=(7, 6)))
    flat, how = project(features)
    assert 'principal components' in how and flat['own'].shape == (7, 2)
    together = np.concatenate([features['real'], features['own']])
    _, values, _ = np.linalg.svd(together - together.mean(0), full_matrices=False)
    found = np.concatenate([flat['real'], flat['own']])
    np.testing.assert_allclose((found**2).sum(0), values[:2]**2)
    assert project(dict(real=np.arange(5.0)[:, None]))[0]['real'].shape == (5, 2)


def test_many_points_keep_their_groups_and_large_sets_are_subsampled():
    rng = np.random.default_rng(0)
    places = rng.integers(0, 2, 150)
    features = dict(real=rng.normal(size=(150, 60)) + 20 * places[:, None], own=np.full((4, 60), 20.0))
    flat, how = project(features)
    assert 't-SNE' in how
    middles = [flat['real'][places == i].mean(0) for i in range(2)]
    distances = [np.linalg.norm(flat['own'] - middle, axis=1).mean() for middle in middles]
    assert distances[1] < distances[0]
    np.testing.assert_array_equal(project(features)[0]['own'], flat['own'])
    assert len(project(dict(real=np.zeros((100, 1)), own=rng.normal(size=(2500, 1))))[0]['own']) == 1000


def test_the_shown_part_of_a_large_set_has_every_class():
    rows = shown_rows(2000)
    assert len(np.unique(rows)) == 1000
    assert np.bincount(rows % 10).min() > 70
    np.testing.assert_array_equal(shown_rows(5), range(5))


def test_panels_name_the_classes_and_leave_out_sets_without_features():
    rng = np.random.default_rng(0)
    features = {'real': rng.normal(size=(20, 3)), 'own': rng.normal(size=(2, 3)), 'labels/real': np.arange(20) % 2}
    panels, _ = projection_panels(features, dict(other='s0', own='s1'), ['cat', 'dog', 'none'])
    (name, svg), = panels
    assert name == 'own' and [e.text for e in _tree(svg).iter('text')] == ['cat', 'dog']


def test_images_stand_under_their_rarest_class():
    manifest = dict(classes=['sky', 'car', 'sign'],
                    images=[dict(classes=[0, 1]), dict(classes=[0, 1, 2]), dict(classes=[0]), dict(classes=[])])
    rank = rarity(manifest)
    assert rank == {2: 0, 1: 1, 0: 2}
    assert by_class(manifest, rank) == {2: [1], 1: [0], 0: [2]}
    shares = dict(sky=0.2, car=0.5, sign=0.3)
    assert by_class(manifest, rarity(manifest, shares)) == {0: [0, 1, 2]}


def test_the_best_of_each_student_is_bold():
    rows = [dict(set=name, student=student, metric='m', mean=mean, std=1.0, seeds=2, image_sets=2, images=3,
                 seconds=1.0)
            for student, name, mean in (('s', 'a', 50.0), ('s', 'b', 40.0), ('t', 'a', 10.0), ('t', 'b', 10.0))]
    table = results_table(rows, dict(a='s0', b='s1'))
    cells = [line[2] for line in table.lines if len(line) > 1]
    assert [len(line) for line in table.lines] == [1, 6, 6, 1, 6, 6]
    assert [cell.text for cell in cells if cell.best] == ['50.0 ± 1.0']
    assert [cell.bar for cell in cells] == [1.0, 0.8, 0.2, 0.2]


def test_the_best_printed_value_is_bold_unless_all_are_equal():
    assert [cell.best for cell in marked([3.01, 3.04, None, 2.0], 'highest')] == [True, True, False, False]
    assert [cell.best for cell in marked([3.01, 3.04, 2.0], 'lowest', 2)] == [False, False, True]
    assert not any(cell.best for cell in marked([3.01, 3.04, math.nan], 'highest') + marked([1, 2]))
    assert [cell.text for cell in marked([1234.5, 0.012345, None], digits=None)] == ['1,234', '0.0123', '–']


def test_a_heat_table_is_darkest_at_the_highest_value():
    table = heat_table(['', 'a', 'b'], [['x'], ['y']], [[0.0, 100.0], [math.nan, 50.0]], best='lowest')
    cells = [cell for line in table.lines for cell in line[1:]]
    assert [(cell.text, cell.heat, cell.best) for cell in cells] == [
        ('0.0', 0.0, True), ('100.0', 1.0, False), ('–', None, False), ('50.0', 0.5, False)]


def test_notes_and_colours_are_escaped():
    macros = templates().get_template('macros.html').module
    assert macros.notes(['a `b<c` d']).strip() == '<p class="note">a <code>b&lt;c</code> d</p>'
    assert macros.notes(['`a` ` b']).strip() == '<p class="note"><code>a</code> ` b</p>'
    assert 'rgb(1,0,3)' in macros.swatch([1, 'url(x)', 3])
