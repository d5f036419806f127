"""The report page: its sections and their order. All texts and markup are in ``templates``."""
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
from .provenance import comparison, origin, reproduction_commands, training_configs
from .svg import SERIES, Chart
from .tables import (Cell, Table, Text, by_student, class_metrics_tables, classes_tables, results_table, runs_table,
                     set_metrics_table)
from .work_dirs import WorkDir, read_work_dir

Section = Tuple[str, str, Dict[str, Any]]
_MANY, _SIDE_BY_SIDE = 12, 3


def write_report(work_dirs: Sequence[Union[str, Path]], out: Optional[Union[str, Path]] = None, *,
                 title: Optional[str] = None, headings: Sequence[str] = (), remarks: Sequence[Sequence[str]] = (),
                 commands: Sequence[Tuple[str, str]] = (), data_roots: Sequence[Union[str, Path]] = ()) -> Path:
    """Write an HTML page with embedded pictures, without scripts or network requests, and return its path.

    Args:
        work_dirs: Finished comparisons or distillation runs, in the order of the page.
        out: File of the page; default: ``report.html`` in the first work dir.
        title: Title of the page; default: from the name of the first work dir.
        headings: Headings of the work dirs, if there are several; default: the folders' names.
        remarks: For each work dir, sentences to print below its results.
        commands: (Title, command) pairs that replace the first work dir's commands.
        data_roots: Folders of real data; source images of a distilled set are only shown from these folders.

    Raises:
        DistillError: A work dir is not finished (:func:`~.work_dirs.read_work_dir`), a data root does not exist, an
            image cannot be read, or the page cannot be written.
    """
    if not work_dirs:
        raise DistillError('a report needs at least one work dir')
    for root in data_roots:
        check_folder(root)
    works = [read_work_dir(path, data_roots) for path in work_dirs]
    names = dict.fromkeys(name for work in works for name in work.sets)
    colours = {name: f's{number % SERIES}' for number, name in enumerate(names)}
    folders = [Path(path).resolve().name for path in work_dirs]
    found = [reproduction_commands(work) for work in works]
    command = ['mmdistill', 'report', *map(str, work_dirs), *(f'--data-root={root}' for root in data_roots)]
    found[0] = [*commands] or [*found[0], ('This page', shlex.join(command))]
    headings, remarks = [*headings, *folders[len(headings):]], [*remarks, *[()] * len(works)]
    parts = [dict(heading=heading, work=work, sections=[
        *work_sections(work, colours, sentences),
        ('Commands', 'commands', dict(pairs=pairs + training_configs(work)))])
        for work, heading, sentences, pairs in zip(works, headings, remarks, found)]
    page = templates().get_template('page.html').render(
        title=title or f'Distilled data: {folders[0]}' + ' and others' * (len(works) > 1), parts=parts)
    out = Path(out) if out is not None else Path(work_dirs[0]) / 'report.html'
    write_atomic(out, page.encode())
    return out


def check_folder(root: Union[str, Path]) -> None:
    """Raise a DistillError if a folder of real data does not exist."""
    if not Path(root).is_dir():
        raise DistillError(f'--data-root {root}: there is no such folder: give folders of real images')


def templates() -> Environment:
    """The Jinja environment of a page: all texts are escaped, and charts are numbered."""
    environment = Environment(loader=PackageLoader(__package__), autoescape=True, undefined=StrictUndefined,
                              trim_blocks=True, lstrip_blocks=True)
    environment.globals['chart_number'] = itertools.count().__next__
    return environment


def work_sections(work: WorkDir, colours: Mapping[str, str], remarks: Sequence[str] = ()) -> List[Section]:
    """Sections (heading, name of the template, values) for what a work dir contains, without the commands."""
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
    """Sections about the students' results."""
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
    """Charts and a table of class shares in the full, a random and the selected set; empty without histograms."""
    manifest, counts = work.distilled[names[0]].manifest, work.histograms
    every = work.distilled[names[0]].sources
    sources = list(dict.fromkeys(source for source in every if source is not None))  # images may share a mask
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
        real, distilled = measured['balance']['real'], measured['balance']['distilled']
        order = sorted(real, key=real.__getitem__)
        shares = {look: [values[label] for label in order]
                  for look, values in (('real', real), (colours[name], distilled))}
        charts += [(Cell(name, colours[name]), chart)
                   for chart in share_charts(order, shares, f'% of the {work.task.counted}')]
    return charts
