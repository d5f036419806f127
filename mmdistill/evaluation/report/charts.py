"""Charts of the results and of the class frequencies."""
from typing import Any, List, Mapping, Sequence, Tuple

import numpy as np

from mmdistill.selection.report import shorten
from .svg import COLOURS, MARKERS, Chart

Run = Mapping[str, Any]
_WIDTH, _PANEL_CLASSES = 380, 40


def set_look(colour: str) -> Tuple[str, str]:
    """Colour (hex) and matplotlib marker of a training set, from the name of its colour (``s0`` to ``s7``)."""
    return COLOURS[colour], MARKERS[int(colour[1:])]


def runs_chart(runs: Sequence[Run], metric: str, colours: Mapping[str, str], student: str) -> Chart:
    """Every run of a student as a dot, with mean ± standard deviation, one line per training set."""
    names = list(dict.fromkeys(run['set'] for run in runs))
    with (chart := Chart(_WIDTH, 56 + 30 * len(names), f'{metric} of each run of {student}')) as axes:
        for line, name in enumerate(names):
            values = np.array([run['metrics'][metric] for run in runs if run['set'] == name], float)
            values = values[~np.isnan(values)]  # None became NaN
            if not len(values):
                continue
            colour, marker = set_look(colours[name])
            axes.plot(values, np.full(len(values), line), 'o', color=colour, markersize=5, alpha=0.45, clip_on=False)
            if len(values) > 1:
                axes.errorbar(values.mean(), line, xerr=values.std(ddof=1), color=colour, linewidth=2, capsize=4)
            axes.plot(values.mean(), line, marker, color=colour, markersize=9, clip_on=False)
        axes.set(xlabel=metric)
        _lines(axes, names)
        axes.margins(x=0.08)
        axes.spines['left'].set_visible(False)
    return chart


def learning_curves(runs: Sequence[Run], metric: str, colours: Mapping[str, str], student: str) -> Chart:
    """Mean ± standard deviation of a student's runs during training, one curve per training set."""
    with (chart := Chart(_WIDTH, 250, f'{metric} of {student} during training')) as axes:
        for name in dict.fromkeys(run['set'] for run in runs):
            curves = [dict(run['curve']) for run in runs if run['set'] == name]
            steps = sorted(set.intersection(*map(set, curves)))
            if not steps:
                continue
            values = np.array([[curve[step] for step in steps] for curve in curves], float)  # NaN for None
            mean, (colour, marker) = values.mean(axis=0), set_look(colours[name])
            axes.plot(steps, mean, color=colour, linewidth=2, marker=marker, markersize=5, clip_on=False)
            if len(values) > 1:
                spread = values.std(axis=0, ddof=1)
                axes.fill_between(steps, mean - spread, mean + spread, color=colour, alpha=0.16, linewidth=0)
        axes.set(xlabel='training step', ylabel=metric)
        axes.xaxis.set_major_formatter('{x:,.0f}')
        axes.xaxis.get_major_locator().set_params(integer=True, nbins=6)
        axes.grid(axis='y')
    return chart


def share_charts(names: Sequence[str], shares: Mapping[str, Sequence[float]], label: str) -> List[Chart]:
    """Bar charts of class shares, one group of bars per class, first class at the top.

    Args:
        names: Names of the K classes.
        shares: K shares in 0..1 for each name of a colour.
        label: Label of the axis.

    Returns:
        Charts of about the same length with the same axis; many classes are split among several charts.
    """
    from matplotlib.ticker import LogLocator
    values = 100 * np.array(list(shares.values()), float)
    floor, top = share_limits(values)
    height, charts = 0.84 / len(shares), []
    for part in np.array_split(np.arange(len(names)), -(-len(names) // _PANEL_CLASSES)):
        with (chart := Chart(_WIDTH, 52 + (8 * len(shares) + 7) * len(part), f'{label} of each class')) as axes:
            for number, (name, widths) in enumerate(zip(shares, values[:, part])):
                places = np.arange(len(part)) + (number - (len(shares) - 1) / 2) * height
                axes.barh(places, np.maximum(widths, floor) - floor, height * 0.9, left=floor, color=COLOURS[name])
                absent = places[widths == 0]
                if floor and len(absent):  # a cross instead of a bar
                    axes.plot(np.full(len(absent), floor * 1.15), absent, 'x', color=COLOURS[name], markersize=4,
                              clip_on=False)
            axes.set(xlabel=label, xscale='log' if floor else 'linear', xlim=(floor, top))
            if floor:
                axes.xaxis.set_major_locator(LogLocator(subs=(1, ) if top > 1000 * floor else (1, 2, 5)))
                axes.xaxis.set_major_formatter('{x:g}')
                axes.minorticks_off()
            _lines(axes, [names[index] for index in part])
        charts.append(chart)
    return charts


def share_limits(values: np.ndarray) -> Tuple[float, float]:
    """Limits of an axis for values in percent. For a wide range, the lower limit is above 0: a logarithmic axis."""
    positive = values[values > 0]
    if not len(positive):
        return 0.0, 1.0
    low, high = float(positive.min()), float(positive.max())
    return (low / 2, 1.3 * high) if high > 20 * low else (0.0, 1.05 * high)


def _lines(axes: Any, names: Sequence[str]) -> None:
    """One line per name, from the top."""
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_yticks(range(len(names)), [shorten(name) for name in names])
    axes.tick_params(axis='y', length=0)
    axes.grid(axis='x')
