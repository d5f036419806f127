"""Tables of the results, runs, classes and set metrics."""
import itertools
import math
from dataclasses import dataclass
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple, Union

import numpy as np

from mmdistill.tasks.base import Task
from ..results import by_set_and_student, format_value, mean_of
from .work_dirs import WorkDir

# Key, title, which value is best, decimals (None: three significant digits, for values in the unit of the features).
_METRICS = (('transport', 'Transport ↓', 'lowest', None), ('frechet', 'Fréchet ↓', 'lowest', None),
            ('coverage', 'Coverage ↑', 'highest', 3), ('density', 'Density', None, 3),
            ('diversity', 'Diversity', None, None), ('total_variation', 'TV ↓', 'lowest', 2),
            ('jensen_shannon', 'JS ↓', 'lowest', 2), ('missing', 'Missing', None, 0),
            ('judge', 'Judge {} ↑', 'highest', 1))


@dataclass
class Cell:
    """A cell of a table, or a title."""
    text: str
    colour: Union[None, str, Sequence[int]] = None  # of a square or bar: a variable of the style sheet, or RGB
    best: bool = False  # bold
    heat: Optional[float] = None  # darkness of the background, 0..1
    bar: Optional[float] = None  # length of a bar below the text, 0..1
    code: bool = False  # monospace


Text = Union[str, Cell]
Runs = Sequence[Dict[str, Any]]


@dataclass
class Table:
    """Rows of cells. The first cell is the name of the row; a row with one cell is a heading."""
    header: Sequence[Text]
    lines: Sequence[Sequence[Text]]
    heat: bool = False


def titles(names: Iterable[str], colours: Mapping[str, str]) -> List[Cell]:
    """Header cells with the names and colours of training sets."""
    return [Cell(name, colours[name]) for name in names]


def by_student(runs: Runs) -> Dict[str, List[Dict[str, Any]]]:
    """Runs or rows, grouped by student."""
    return {name: [run for run in runs if run['student'] == name]
            for name in dict.fromkeys(run['student'] for run in runs)}


def marked(values: Iterable[Optional[float]], best: Optional[str] = None, digits: Optional[int] = 1) -> List[Cell]:
    """Numbers as cells. Cells that print as the best value (``'highest'``, ``'lowest'``) are bold unless all are equal.
    """
    values = list(values)
    texts = [number(value, digits) for value in values]
    known = [value for value in values if value is not None and math.isfinite(value)]
    pick = dict(highest=max, lowest=min).get(best or '')
    top = number(pick(known), digits) if pick and len(set(texts) - {number(None)}) > 1 else None
    return [Cell(text, best=text == top) for text in texts]


def number(value: Optional[float], digits: Optional[int] = 1) -> str:
    """Format a number with ``digits`` decimals, or three significant digits for None; a dash for None and NaN."""
    if value is None or not math.isfinite(value):
        return '–'
    if digits is not None:
        return f'{value:,.{digits}f}'
    return f'{value:,.0f}' if abs(value) >= 100 else f'{value:#.3g}'


def heat_table(header: Sequence[Text], lines: Sequence[Sequence[Text]], values: Any, low: Optional[float] = None,
               digits: int = 1, best: Optional[str] = None) -> Table:
    """A heat map table.

    Args:
        header: Titles of the columns.
        lines: First cells of each line.
        values: Numbers (lines, columns); higher values get a darker background.
        low: Value of the lightest background; default: the lowest value.
        digits: Decimals.
        best: ``'highest'`` or ``'lowest'``: the best value of each line is bold.
    """
    values = np.asarray(values, np.float64)
    finite = values[np.isfinite(values)]
    low = low if low is not None else float(finite.min(initial=math.inf))
    span = float(finite.max(initial=low)) - low or 1.0
    cells = [marked(row, best, digits) for row in values]
    for cell, value in zip(itertools.chain(*cells), values.flat):
        cell.heat = max(value - low, 0) / span if math.isfinite(value) else None
    return Table(header, [[*line, *row] for line, row in zip(lines, cells)], heat=True)


def results_table(rows: Runs, colours: Mapping[str, str]) -> Table:
    """Mean ± standard deviation, one line per training set, grouped by student; the best mean is bold.

    Bars show each mean relative to the highest mean of any student.
    """
    ends: Dict[str, float] = {}
    for row in rows:
        ends[row['metric']] = max(row['mean'], ends.get(row['metric'], row['mean']))
    students = by_student(rows)
    lines: List[List[Text]] = []
    for student, part in students.items():
        lines += [[student]] if len(students) > 1 else []
        sets = by_set_and_student(part)
        columns = [marked((row[metric]['mean'] if metric in row else None for row in sets.values()), 'highest')
                   for metric in ends]
        for (name, _), measured, *cells in zip(sets, sets.values(), *columns):
            for cell, (metric, end) in zip(cells, ends.items()):
                if metric in measured:
                    cell.text, cell.colour = format_value(measured[metric]), colours[name]
                    cell.bar = max(measured[metric]['mean'] / end, 0) if end > 0 else 0
            row = next(iter(measured.values()))
            lines.append([Cell(name, colours[name]), f'{row["images"]:,}', *cells, str(row['image_sets']),
                          str(row['seeds']), f'{row["seconds"]:,.0f}'])
    return Table(['Set', 'Images', *ends, 'Image sets', 'Runs', 's per run'], lines)


def runs_table(runs: Runs, colours: Mapping[str, str]) -> Table:
    """One line per run."""
    metrics = list(runs[0]['metrics'])
    lines = [[Cell(run['set'], colours[run['set']]), run['student'], str(run['image_set']), str(run['seed']),
              *(number(run['metrics'].get(metric)) for metric in metrics), f'{run["seconds"]:,.0f}',
              Cell(run['config_hash'], code=True)] for run in runs]
    return Table(['Set', 'Student', 'Image set', 'Seed', *metrics, 'Seconds', 'Config hash'], lines)


def classes_tables(work: WorkDir, colours: Mapping[str, str]) -> List[Tuple[str, Table]]:
    """Results per class, as (student, table) pairs; the rarest class comes first if the real shares are known."""
    shares = work.real_shares or {}
    names = sorted(work.classes, key=shares.__getitem__) if shares else work.classes
    begins = [[name, *([_percent(shares[name])] if shares else [])] for name in names]
    tables = []
    for student, runs in by_student(work.runs).items():
        sets = list(dict.fromkeys(run['set'] for run in runs))
        values = [[mean_of(run['classes'].get(name) for run in runs if run['set'] == set_name) for set_name in sets]
                  for name in names]
        header: List[Text] = ['Class', *([f'Real {work.task.counted} %'] if shares else []), *titles(sets, colours)]
        tables.append((student, heat_table(header, begins, values, low=0, best='highest')))
    return tables


def set_metrics_table(metrics: Mapping[str, Any], colours: Mapping[str, str], task: Task) -> Table:
    """Metrics of the whole sets; the last line has the metrics of the real data, if known."""
    sets = {name: _by_class(one, task)[None] for name, one in metrics['sets'].items()}
    real = dict(diversity=next(iter(sets.values()), {}).get('real_diversity'),
                judge=(metrics.get('judge_real') or {}).get(task.metric))
    columns: List[List[Text]] = [['Set', *titles(sets, colours), Cell('real data', 'real')]]
    for key, title, best, digits in _METRICS:
        if any(key in values for values in sets.values()):
            cells = marked((values.get(key) for values in sets.values()), best, digits)
            columns.append([title.format(task.metric), *cells,
                            '' if real.get(key) is None else number(real[key], digits)])
    header, *lines = zip(*columns)
    return Table(header, lines if any(lines[-1][1:]) else lines[:-1])


def class_metrics_tables(metrics: Mapping[str, Any], colours: Mapping[str, str], classes: Sequence[str],
                         task: Task) -> List[Tuple[str, Table]]:
    """(title, table) pairs of the metrics per class that were measured."""
    sets = {name: _by_class(one, task) for name, one in metrics['sets'].items()}
    tables = []
    for key, title, best, digits in _METRICS:
        values = {name: [by_class.get(one, {}).get(key) for one in classes] for name, by_class in sets.items()
                  if any(key in by_class.get(one, {}) for one in classes)}
        if values:
            tables.append((title.format(task.class_metric), heat_table(
                ['Class', *titles(values, colours)], [[one] for one in classes], np.transpose([*values.values()]),
                digits=2 if digits is None else digits, best=best)))
    return tables


def _by_class(measured: Mapping[str, Any], task: Task) -> Dict[Optional[str], Dict[str, Any]]:
    """The metrics of a set (:data:`_METRICS`) by class; the key None is for the whole set."""
    values: Dict[Optional[str], Dict[str, Any]] = {row['class']: dict(row) for row in measured['rows'] or ()}
    balance = measured['balance']
    values.setdefault(None, {}).update(balance, missing=len(balance.get('missing', ())))
    for key, value in (measured.get('judge') or {}).items():
        name = None if key == task.metric else key.removeprefix(f'{task.class_metric}.')
        values.setdefault(name, {})['judge'] = value
    return values


def _percent(share: float) -> str:
    return '<0.01' if 0 < share < 5e-5 else f'{100 * share:.2f}'
