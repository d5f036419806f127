"""Table and plot of the classes in a selection, compared with the full set and random selections."""
import io
from typing import Any, Dict, List, Sequence

import numpy as np
from sklearn.utils import check_random_state

from ..errors import DistillError
from ..files import write_atomic
from .base import check_histograms

Row = Dict[str, Any]
_SETS = (('full', 'full set', '#9aa0a6'), ('random', 'random', '#e8a33d'), ('selected', 'selected', '#2368c4'))
_MEASURES = ('images', 'image_share', 'pixel_share')
_PANEL_CLASSES = 45


def selection_table(histograms, selected: Sequence[int], classes: Sequence[str], random_state=0, repeats: int = 20
                    ) -> List[Row]:
    """Statistics of each class in the full set, in random selections and in the selected masks.

    Args:
        histograms: (N, K), class histograms of all masks.
        selected: Indices of the selected masks.
        classes: K names.
        random_state: Seed of the random selections.
        repeats: Number of random selections, each as large as ``selected``.

    Returns:
        One dict per class, in the order of the ids: ``class`` (its name) and, with the prefixes ``full_``, ``random_``
        (mean of the random selections) and ``selected_``: ``images``, the number of masks with the class;
        ``image_share``, their share of the masks; ``pixel_share``, its share of the labelled pixels. Shares are 0..1.

    Raises:
        DistillError: Names and histograms do not match, nothing is selected, or an index is out of range.
    """
    counts = check_histograms(histograms)
    indices = np.asarray(selected)
    if len(classes) != counts.shape[1]:
        raise DistillError(f'{len(classes)} class names for histograms of {counts.shape[1]} classes')
    usable = np.flatnonzero(counts.any(axis=1))
    if not 1 <= len(indices) <= len(usable):
        raise DistillError(f'{len(indices)} masks are selected: a report needs 1..{len(usable)}')
    if indices.min() < 0 or indices.max() >= len(counts):
        raise DistillError(f'a selected index is out of range: the set has masks 0..{len(counts) - 1}')
    rng = check_random_state(random_state)
    draws = [_summary(counts[rng.choice(usable, len(indices), replace=False)]) for _ in range(repeats)]
    summaries = dict(full=_summary(counts), random=np.mean(draws, axis=0), selected=_summary(counts[indices]))
    rows: List[Row] = [{'class': str(name)} for name in classes]
    for key, summary in summaries.items():
        for measure, values in zip(_MEASURES, summary):
            for row, value in zip(rows, values):
                row[f'{key}_{measure}'] = float(value)
    return rows


def table_cells(rows: Sequence[Row], unit: str = 'pixels') -> List[List[str]]:
    """The rows as a table with a header."""
    return [['class', 'images: full', 'random', 'selected', f'{unit} %: full', 'random', 'selected']] + [
        [row['class'], f'{row["full_images"]:,.0f}', f'{row["random_images"]:,.1f}', f'{row["selected_images"]:,.0f}',
         *(f'{100 * row[key + "_pixel_share"]:.3f}' for key, _, _ in _SETS)] for row in rows]


def format_table(rows: Sequence[Row]) -> str:
    """The rows as aligned plain text, sorted by the class's share of the pixels."""
    lines = table_cells(rarest_first(rows))
    widths = [max(map(len, column)) for column in zip(*lines)]
    return '\n'.join('  '.join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]) for line in lines)


def plot_selection(rows: Sequence[Row], path) -> None:
    """Write a PNG with bar charts (log scale) of each class's share of pixels and images, rarest class first.

    A cross marks a class that a set does not contain.

    Raises:
        DistillError: ``path`` cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter

    rows = rarest_first(rows)
    panels = -(-len(rows) // _PANEL_CLASSES)
    size = -(-len(rows) // panels)
    parts = [rows[i:i + size] for i in range(0, len(rows), size)]
    names = max(len(row['class']) for row in rows)
    height = 2 * panels * (2.0 + 0.055 * min(names, 24)) + 0.4
    figure = Figure((max(7.0, 2.0 + 0.36 * size), height), layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.subplots(2 * panels, 1, squeeze=False)[:, 0]
    for measure, label, group in (('pixel_share', '% of pixels', axes[:panels]),
                                  ('image_share', '% of images', axes[panels:])):
        values = {key: 100 * np.array([row[f'{key}_{measure}'] for row in rows]) for key, _, _ in _SETS}
        positive = np.concatenate([v[v > 0] for v in values.values()])
        floor, top = positive.min() / 2, min(positive.max() * 1.6, 110)
        ticks = (1, ) if top > 100 * floor else (1, 2, 5)
        for i, (axis, part) in enumerate(zip(group, parts)):
            _bars(axis, {key: v[i * size:i * size + len(part)] for key, v in values.items()}, floor)
            axis.set(yscale='log', ylim=(floor, top), xlim=(-0.6, size - 0.4), ylabel=label)
            axis.set_xticks(range(len(part)), [shorten(row['class']) for row in part], rotation=45, ha='right',
                            rotation_mode='anchor', fontsize=8)
            axis.yaxis.set_major_locator(LogLocator(subs=ticks))
            axis.yaxis.set_major_formatter('{x:g}')
            axis.yaxis.set_minor_formatter(NullFormatter())
            axis.grid(axis='y', alpha=0.3)
            axis.set_axisbelow(True)
            axis.spines[['top', 'right']].set_visible(False)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc='outside upper center', ncols=len(_SETS), frameon=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=110, format='png')
    write_atomic(path, buffer.getvalue())


def shorten(name: str, length: int = 24) -> str:
    """A name cut to ``length`` characters, for axes and messages."""
    return name if len(name) <= length else name[:length - 1] + '…'


def _summary(counts: np.ndarray) -> np.ndarray:
    """The three :data:`_MEASURES` of each class, float64 (3, K)."""
    images, pixels = (counts > 0).sum(axis=0), counts.sum(axis=0)
    return np.stack((images, images / len(counts), pixels / pixels.sum()))


def rarest_first(rows: Sequence[Row]) -> List[Row]:
    """The rows, sorted by the class's share of the pixels in the full set."""
    return sorted(rows, key=lambda row: row['full_pixel_share'])


def _bars(axis, values, floor: float) -> None:
    width = 0.8 / len(_SETS)
    for k, (key, label, colour) in enumerate(_SETS):
        x = np.arange(len(values[key])) + (k - (len(_SETS) - 1) / 2) * width
        axis.bar(x, values[key], width, color=colour, label=label)
        absent = values[key] == 0
        axis.plot(x[absent], np.full(absent.sum(), floor * 1.25), 'x', color=colour, markersize=4)
