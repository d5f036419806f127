"""The page: which sections there are, and in which order."""
import shlex
from html import escape
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Sequence, Tuple, Union

import numpy as np

from mmdistill.errors import DistillError
from mmdistill.files import write_atomic
from mmdistill.selection import selection_table
from .charts import learning_curves, runs_chart, share_bars, share_limits, students_of
from .gallery import gallery
from .markup import chunks, details, legend, notes, panels, series_colour, swatch, table
from .page import PAGE
from .projection import projection_panels
from .provenance import commands_html, making, provenance, using
from .svg import FAINT, REAL, series
from .tables import classes_tables, name_cell, results_table, runs_table, set_metrics_tables
from .work_dirs import DistilledSet, WorkDir, read_work_dir

Section = Tuple[str, str]
_PANEL_CLASSES, _MANY = 40, 12


def write_report(work_dirs: Sequence[Union[str, Path]],
                 out: Optional[Union[str, Path]] = None,
                 *,
                 title: Optional[str] = None,
                 headings: Sequence[str] = (),
                 remarks: Sequence[Sequence[str]] = (),
                 commands: Sequence[Tuple[str, str]] = ()) -> Path:
    """Write one HTML page: all pictures inside, no script, no request to anywhere.

    Args:
        work_dirs: Finished work of ``tools/evaluate.py`` or ``tools/distill.py``, in the page's order.
        out: The page; ``report.html`` in the first work dir by default.
        title: Heading; by default after the first work dir.
        headings: Of the work dirs, where there are several; the folders' names by default.
        remarks: For each work dir, sentences under its results, after their own.
        commands: (What it does, command) pairs in place of those that the first work dir gives for its making.

    Returns:
        Path of the page.

    Raises:
        DistillError: A work dir is not finished (:func:`~.work_dirs.read_work_dir`), an image cannot be read, or the
            page cannot be written.
    """
    if not work_dirs:
        raise DistillError('a report needs at least one work dir')
    works = [read_work_dir(path) for path in work_dirs]
    names = list(dict.fromkeys(name for work in works for name in work.sets))
    colours = {name: number for number, name in enumerate(names)}
    out = Path(out) if out is not None else Path(work_dirs[0]) / 'report.html'
    body, links = '', []
    for number, (path, work) in enumerate(zip(work_dirs, works)):
        sections = work_sections(work, colours, remarks[number] if number < len(remarks) else ())
        pairs = list(commands) if number == 0 else []
        if not pairs:
            pairs = making(work)
            pairs += [('This page', shlex.join(['python', 'tools/report.py', *map(str, work_dirs)]))] * (number == 0)
        sections.append(('Commands', commands_html([*pairs, *using(work)])))
        if len(works) > 1:
            heading = headings[number] if number < len(headings) else _name(path)
            body += (f'<header class="comparison" id="w{number}"><h2 class="title">{escape(heading)}</h2>'
                     f'<p class="lead">{escape(lead(work))}</p></header>')
            links.append((f'w{number}', heading))
        for place, (heading, content) in enumerate(sections):
            anchor = f'w{number}s{place}'
            body += f'<section id="{anchor}"><h2>{escape(heading)}</h2>{content}</section>'
            if len(works) == 1:
                links.append((anchor, heading))
    contents = '<p class="contents">' + ''.join(f'<a href="#{anchor}">{escape(text)}</a>' for anchor, text in links)
    write_atomic(out, PAGE.substitute(
        title=escape(title or f'Distilled data: {_name(work_dirs[0])}' + ' and others' * (len(works) > 1)),
        lead=escape(lead(works[0]) if len(works) == 1 else f'{len(works)} parts'), contents=contents + '</p>',
        body=body).encode())
    return out


def lead(work: WorkDir) -> str:
    """What the work is, in a line."""
    if not work.results:
        manifest = work.distilled['distilled'].manifest
        return (f'{manifest["method"]}: {len(manifest["images"])} images in place of {manifest["source_size"]:,}, '
                f'{len(manifest["classes"])} classes')
    runs = work.results['runs']
    students = len({run['student'] for run in runs})
    return (f'{len(work.sets)} training sets, {students} student{"s" * (students > 1)}, {len(runs)} runs under the '
            f'protocol {work.results["protocol"]}, {len(work.classes)} classes')


def work_sections(work: WorkDir, colours: Mapping[str, int], remarks: Sequence[str] = ()) -> List[Section]:
    """(Heading, HTML) of everything that a work dir has something for, but the commands."""
    sections: List[Section] = []
    if work.results:
        sections.append(('Results', _results(work, colours, remarks)))
        if any(len(run['curve']) > 1 for run in work.results['runs']):
            sections.append(('Learning curves', _curves(work, colours)))
        sections.append(('Each class', '<p>Mean over the runs; the best of a line is bold.</p>'
                         + classes_tables(work, colours)))
    for names, own in work.selections().items():
        content = _selection(work, names, own, colours)
        if content:
            several = len(work.selections()) > 1
            sections.append(('What was selected' + f': {", ".join(names)}' * several, content))
    if work.metrics:
        if not work.distilled or work.histograms is None:
            sections.append(('Class frequencies', _balance(work, colours)))
        sections.append(('Metrics of the sets', _metrics(work, colours)))
    if work.features:
        sections.append(('Features', _projection(work, colours)))
    for names, own in work.selections().items():
        heading = 'The images' + f': {", ".join(names)}' * (len(work.distilled) > 1)
        sections.append((heading, gallery({name: work.distilled[name] for name in names}, _known_shares(work, own))))
    sections.append(('Where it came from', provenance(work) + notes(work.notes)))
    return sections


def _results(work: WorkDir, colours: Mapping[str, int], remarks: Sequence[str]) -> str:
    results = work.results
    html = results_table(results['rows'], colours) + notes([*results['notes'], *remarks])
    if any(row['seeds'] > 1 for row in results['rows']):
        charts = [_student(name) + runs_chart(runs, results['metric'], colours, name)
                  for name, runs in students_of(results['runs']).items()]
        html += '<h3>Spread of the runs</h3>' + panels(charts) + notes(
            ['Pale: one run. Full: mean and standard deviation.'])
    return html + details('Every run', runs_table(results['runs'], colours))


def _curves(work: WorkDir, colours: Mapping[str, int]) -> str:
    runs, metric = work.results['runs'], work.results['metric']
    charts = [_student(name) + learning_curves(own, metric, colours, name) for name, own in students_of(runs).items()]
    return (_sets_legend(work, colours) + panels(charts)
            + notes(['Mean over the runs; the band is one standard deviation of the sample to each side.']))


def _student(name: str) -> str:
    return f'<h3>{escape(name)}</h3>' if name != 'default' else ''


def _sets_legend(work: WorkDir, colours: Mapping[str, int]) -> str:
    return legend([(series_colour(colours[name]), name) for name in work.sets])


def _known_shares(work: WorkDir, own: DistilledSet) -> Optional[Dict[str, float]]:
    shares = work.real_shares
    return shares if shares and set(own.manifest['classes']) <= shares.keys() else None


def _selection(work: WorkDir, names: Sequence[str], own: DistilledSet, colours: Mapping[str, int]) -> str:
    """Bars and a table of the classes in the full, a random and the selected set; nothing without histograms."""
    manifest, counts = own.manifest, work.histograms
    fits = counts is not None and counts.shape == (manifest['source_size'], len(manifest['classes']))
    if not fits or None in own.sources:
        return ''
    rows = sorted(selection_table(counts, own.sources, manifest['classes']), key=lambda row: row['full_pixel_share'])
    keys = ('full', 'random', 'selected')
    charts = []
    for measure, label in (('pixel_share', '% of the pixels'), ('image_share', '% of the images')):
        limits = share_limits([[100 * row[f'{key}_{measure}'] for key in keys] for row in rows])
        for part in chunks(rows, _PANEL_CLASSES):
            bars = [dict(values=[100 * row[f'{key}_{measure}'] for row in part], colour=colour)
                    for key, colour in zip(keys, (REAL, FAINT, series(colours[names[0]])))]
            charts.append(share_bars([row['class'] for row in part], bars, label, limits))
    lines = [[swatch('rgb({},{},{})'.format(*manifest['palette'][manifest['classes'].index(row['class'])]))
              + escape(row['class']), f'{row["full_images"]:,.0f}', f'{row["random_images"]:.1f}',
              f'{row["selected_images"]:,.0f}', *(f'{100 * row[f"{key}_pixel_share"]:.2f}' for key in keys)]
             for row in rows]
    header = ['Class', 'Images: full', 'random', 'selected', 'Pixels %: full', 'random', 'selected']
    return (f'<p>{len(own.sources)} of {len(counts):,} masks, beside the mean of 20 random draws of as many. '
            'The rarest class is first; a cross: none.</p>'
            + legend([('var(--real)', 'full set'), ('var(--faint)', 'random'),
                      (series_colour(colours[names[0]]), f'selected ({", ".join(names)})')])
            + panels(charts) + details('As numbers', table(header, lines)))


def _balance(work: WorkDir, colours: Mapping[str, int]) -> str:
    """Shares of the classes in the real set and in each training set."""
    charts = []
    for name, own in work.metrics['sets'].items():
        if name not in colours:
            continue
        order = sorted(own['balance']['real'], key=own['balance']['real'].get)
        limits = share_limits([[100 * own['balance'][side][one] for side in ('real', 'distilled')] for one in order])
        for part in chunks(order, _PANEL_CLASSES):
            bars = [dict(values=[100 * own['balance'][side][one] for one in part], colour=colour)
                    for side, colour in (('real', REAL), ('distilled', series(colours[name])))]
            charts.append(f'<h3>{name_cell(name, colours)}</h3>' + share_bars(part, bars, 'share in %', limits))
    html = legend([('var(--real)', 'real data')]) + panels(charts)
    return html if len(charts) <= _MANY else details(f'{len(charts)} charts', html)


def _metrics(work: WorkDir, colours: Mapping[str, int]) -> str:
    text = [
        'The first image set against the real training set. Transport, Fréchet: distances of the features, by optimal '
        'transport and between two Gaussians. Coverage: share of the real samples that have one of the set in their '
        'neighbourhood. Density: in how many real neighbourhoods a sample of the set lies, about 1 where it is as the '
        'real ones. Diversity: mean distance within the set.',
        'TV, JS: total variation and Jensen-Shannon distance of the shares of the classes to the real ones, 0 (equal) '
        'to 1. Missing: classes that only the real set has.']
    if any(own.get('judge') for own in work.metrics['sets'].values()):
        text.append('Judge: agreement of a trained network with the masks of the set; in the line of the real data, '
                    'with those of the test set.')
    return set_metrics_tables(work.metrics, colours, work.classes) + notes(text)


def _projection(work: WorkDir, colours: Mapping[str, int]) -> str:
    parts, how = projection_panels(work.features, colours, work.classes)
    return (f'<p>{escape(how)}</p>' + legend([('var(--real)', 'real data')])
            + panels([f'<h3>{name_cell(name, colours)}</h3>{svg}' for name, svg in parts]))


def _name(path: Union[str, Path]) -> str:
    return Path(path).resolve().name
