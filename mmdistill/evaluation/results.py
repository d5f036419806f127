"""Results of students, kept cell by cell, and the table made of them."""
import json
import math
import statistics
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Sequence, Union

from mmdistill.plan import config_hash, write_json

Row = Dict[str, Any]


class Cells:
    """Measurements on disk, one JSON file each, so that none is made twice.

    A cell's name is a hash of its key: everything that decides the outcome. A file that was cut short counts as none.

    Args:
        root: The folder; made with the first cell.
    """

    def __init__(self, root: Union[str, Path]) -> None:
        self.root = Path(root)

    def path(self, key: Mapping[str, Any]) -> Path:
        """The file of a cell."""
        return self.root / f'{config_hash(key)}.json'

    def get(self, key: Mapping[str, Any]) -> Optional[Dict[str, float]]:
        """The metrics of a cell, or None where it has not been measured."""
        try:
            return json.loads(self.path(key).read_text())['metrics']
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def put(self, key: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
        """Keep the metrics of a cell, atomically."""
        write_json(self.path(key), dict(key=key, metrics=metrics))

    def measure(self, key: Mapping[str, Any], measure: Callable[[], Dict[str, float]]) -> Dict[str, float]:
        """The metrics of a cell, measured if they are not there."""
        metrics = self.get(key)
        if metrics is None:
            self.put(key, metrics := measure())
        return metrics


def rare_classes(histograms, classes: Sequence[str], share: float = 0.01) -> List[str]:
    """The classes with some, but under ``share``, of a set's labelled pixels, in the order of the ids.

    Args:
        histograms: (N, K) pixels of each class in each mask of the real set.
        classes: K names.
        share: 0..1.
    """
    pixels = histograms.sum(axis=0)
    return [name for name, count in zip(classes, pixels) if 0 < count < share * pixels.sum()]


def mean_iou(metrics: Mapping[str, float], classes: Iterable[str]) -> float:
    """Mean over ``classes`` of ``IoU.{class}``, without those that are NaN; NaN if none is left."""
    values = [metrics[f'IoU.{name}'] for name in classes]
    values = [value for value in values if not math.isnan(value)]
    return statistics.fmean(values) if values else math.nan


def summarise(cells: Mapping[str, Sequence[Mapping[str, float]]], metrics: Sequence[str]) -> List[Row]:
    """Rows of ``results.json``: each set's mean over its seeds.

    Args:
        cells: For each set its metrics, one mapping a seed, ``seconds`` among them.
        metrics: Those to report.

    Returns:
        One dict a set and metric: ``set``, ``metric``, ``mean``, ``std`` (of the sample, n - 1; 0.0 for one seed),
        ``seeds``, how many, and ``seconds``, the mean time of one student.
    """
    rows = []
    for name, runs in cells.items():
        seconds = round(statistics.fmean(run['seconds'] for run in runs), 2)
        for metric in metrics:
            values = [run[metric] for run in runs]
            std = statistics.stdev(values) if len(values) > 1 else 0.0
            rows.append({'set': name, 'metric': metric, 'mean': round(statistics.fmean(values), 4),
                         'std': round(std, 4), 'seeds': len(values), 'seconds': seconds})
    return rows


def format_results(rows: Sequence[Row]) -> str:
    """The rows as aligned plain text: a line a set, a column a metric."""
    metrics = list(dict.fromkeys(row['metric'] for row in rows))
    lines = [('set', *metrics, 'seeds', 's a student')]
    for name in dict.fromkeys(row['set'] for row in rows):
        own = {row['metric']: row for row in rows if row['set'] == name}
        first = next(iter(own.values()))
        lines.append((name, *(format_value(own[metric]) if metric in own else '' for metric in metrics),
                      str(first['seeds']), f'{first["seconds"]:.0f}'))
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return '\n'.join(line[0].ljust(widths[0]) + ''.join('  ' + cell.rjust(width)
                                                      for cell, width in zip(line[1:], widths[1:])) for line in lines)


def format_value(row: Row) -> str:
    """``mean ± std`` in points; the mean alone for one seed."""
    return f'{row["mean"]:.1f} ± {row["std"]:.1f}' if row['seeds'] > 1 else f'{row["mean"]:.1f}'
