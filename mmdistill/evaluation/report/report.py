"""The page: which sections there are, and in which order. Their texts and all markup are in ``templates``."""
import itertools
import shlex
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from jinja2 import Environment, PackageLoader, StrictUndefined

from mmdistill.errors import DistillError
from mmdistill.files import write_atomic
from mmdistill.selection.report import rarest_first, selection_table, table_cells
from .charts import learning_curves, runs_chart, share_charts
from .gallery import gallery
from .projection import projection_panels
from .provenance import comparison, making, origin, using
from .svg import SERIES, Chart
from .tables import (Cell, Table, Text, by_student, class_metrics_tables, classes_tables, results_table, runs_table,
                     set_metrics_table)
from .work_dirs import WorkDir, read_work_dir

Section = Tuple[str, str, Dict[str, Any]]
_MANY, _SIDE_BY_SIDE = 12, 3


def write_report(work_dirs: Sequence[Union[str, Path]], out: Optional[Union[str, Path]] = None, *,
                 title: Optional[str] = None, headings: Sequence[str] = (), remarks: Sequence[Sequence[str]] = (),
                 commands: Sequence[Tuple[str, str]] = (), data_roots: Sequence[Union[str, Path]] = ()) -> Path:
    """Write one HTML page, and give its path: all pictures inside, no script, no request to anywhere.

    Args:
        work_dirs: Finished comparisons or distillation runs, in the page's order.
        out: The page; ``report.html`` in the first work dir by default.
        title: Heading; by default after the first work dir.
        headings: Of the work dirs, where there are several; the folders' names by default.
        remarks: For each work dir, sentences under its results, after their own.
        commands: (What it does, command) pairs in place of those that the first work dir gives for its making.
        data_roots: Folders of real data: the images that a set was made from are shown where they are in one of these.

    Raises:
        DistillError: A work dir is not finished (:func:`~.work_dirs.read_work_dir`), an image cannot be read, or the
            page cannot be written.
    """
    if not work_dirs:
        raise DistillError('a report needs at least one work dir')
    works = [read_work_dir(path, data_roots) for path in work_dirs]
    names = dict.fromkeys(name for work in works for name in work.sets)
    colours = {name: f's{number % SERIES}' for number, name in enumerate(names)}
    folders = [Path(path).resolve().name for path in work_dirs]
    made = [making(work) for work in works]
    command = ['mmdistill', 'report', *map(str, work_dirs), *(f'--data-root={root}' for root in data_roots)]
    made[0] = [*commands] or [*made[0], ('This page', shlex.join(command))]
    headings, remarks = [*headings, *folders[len(headings):]], [*remarks, *[()] * len(works)]
    parts = [dict(heading=heading, work=work, sections=[
        *work_sections(work, colours, said), ('Commands', 'commands', dict(pairs=pairs + using(work)))])
        for work, heading, said, pairs in zip(works, headings, remarks, made)]
    page = templates().get_template('page.html').render(
        title=title or f'Distilled data: {folders[0]}' + ' and others' * (len(works) > 1), parts=parts)
    out = Path(out) if out is not None else Path(work_dirs[0]) / 'report.html'
    write_atomic(out, page.encode())
    return out


def templates() -> Environment:
    """The environment of a page's templates. They escape every text, and number the charts."""
    environment = Environment(loader=PackageLoader(__package__), autoescape=True, undefined=StrictUndefined,
                              trim_blocks=True, lstrip_blocks=True)
    environment.globals['chart_number'] = itertools.count().__next__
    return environment


def work_sections(work: WorkDir, colours: Mapping[str, str], remarks: Sequence[str] = ()) -> List[Section]:
    """(Heading, name of its template, values) of everything that a work dir has something for, but the commands."""
    sections = _comparison(work, colours, remarks) if work.results else []
    selections = work.selections()
    for names in selections:
        values = _selection(work, names, colours[names[0]])
        if values:
            sections.append(('What was selected' + f': {", ".join(names)}' * (len(selections) > 1), 'selection',
                             values))
    if work.metrics:
        if not work.distilled or work.histograms is None:
            sections.append(('Class frequencies', 'frequencies', dict(charts=_frequencies(work, colours), many=_MANY)))
        sections.append(('Metrics of the sets', 'metrics', dict(
            table=set_metrics_table(work.metrics, colours, work.task),
            by_class=class_metrics_tables(work.metrics, colours, work.classes, work.task),
            judged=any(one.get('judge') for one in work.metrics['sets'].values()))))
    if work.features:
        panels, how = projection_panels(work.features, colours, work.classes)
        sections.append(('Features', 'features', dict(
            how=how, charts=[(Cell(name, colours[name]), chart) for name, chart in panels])))
    for names in selections:
        heading = 'The images' + f': {", ".join(names)}' * (len(work.distilled) > 1)
        sections.append((heading, 'gallery', gallery(work, names)))
    sections.append(('Where it came from', 'origin', dict(
        comparison=comparison(work), sets={name: origin(one) for name, one in work.distilled.items()},
        notes=work.notes)))
    return sections


def _comparison(work: WorkDir, colours: Mapping[str, str], remarks: Sequence[str]) -> List[Section]:
    """What the students reached."""
    results, students = work.results, by_student(work.runs)
    spread, curves = ([(name, chart(runs, results['metric'], colours, name)) for name, runs in students.items()]
                      for chart in (runs_chart, learning_curves))
    several = any(row['seeds'] > 1 for row in results['rows'])
    sections: List[Section] = [('Results', 'results', dict(
        table=results_table(results['rows'], colours), notes=[*results['notes'], *remarks],
        spread=spread if several else [], runs=runs_table(work.runs, colours)))]
    if any(len(run['curve']) > 1 for run in work.runs):
        legend = [(colours[name], name) for name in work.sets]
        sections.append(('Learning curves', 'curves', dict(legend=legend, charts=curves)))
    return [*sections, ('Each class', 'classes', dict(
        tables=classes_tables(work, colours), side_by_side=len(work.sets) <= _SIDE_BY_SIDE))]


def _selection(work: WorkDir, names: Sequence[str], colour: str) -> Dict[str, Any]:
    """Bars and a table of the classes in the full, a random and the selected set; nothing without histograms."""
    manifest, counts = work.distilled[names[0]].manifest, work.histograms
    every = work.distilled[names[0]].sources
    sources = list(dict.fromkeys(source for source in every if source is not None))  # several may be of one mask
    if counts is None or len(counts) != manifest['source_size'] or None in every:
        return {}
    rows = rarest_first(selection_table(counts, sources, work.classes))
    looks, unit = dict(full='real', random='faint', selected=colour), work.task.counted
    charts: List[Tuple[None, Chart]] = []
    for label, measure in (f'% of the {unit}', 'pixel_share'), ('% of the images', 'image_share'):
        shares = {look: [row[f'{key}_{measure}'] for row in rows] for key, look in looks.items()}
        charts += [(None, chart) for chart in share_charts([row['class'] for row in rows], shares, label)]
    palette = dict(zip(manifest['classes'], manifest['palette']))
    header, *cells = table_cells(rows, unit)
    lines: List[List[Text]] = [[Cell(name, palette.get(name)), *line] for name, *line in cells]
    legend = [('real', 'full set'), ('faint', 'random'), (colour, f'selected ({", ".join(names)})')]
    return dict(selected=len(sources), total=len(counts), legend=legend, charts=charts,
                table=Table([text.capitalize() for text in header], lines))


def _frequencies(work: WorkDir, colours: Mapping[str, str]) -> List[Tuple[Cell, Chart]]:
    """Shares of the classes in the real set and in each training set."""
    charts = []
    for name, measured in work.metrics['sets'].items():
        real, own = measured['balance']['real'], measured['balance']['distilled']
        order = sorted(real, key=real.__getitem__)
        shares = {look: [values[one] for one in order] for look, values in (('real', real), (colours[name], own))}
        charts += [(Cell(name, colours[name]), chart)
                   for chart in share_charts(order, shares, f'% of the {work.task.counted}')]
    return charts
