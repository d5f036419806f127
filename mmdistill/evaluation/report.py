"""One self-contained page about a distilled set: the results, the selection, the images, where they came from."""
import base64
import io
import json
from html import escape
from pathlib import Path
from typing import Any, List, Optional, Sequence, Tuple, Union

import numpy as np
from PIL import Image

from mmdistill.datasets import DatasetMasks, read_manifest
from mmdistill.datasets.layouts import SegLayout
from mmdistill.errors import DistillError
from mmdistill.plan import write_atomic
from mmdistill.selection import selection_table
from .page import PAGE
from .results import Row, format_value

_MAX_SIDE, _MAX_IMAGES = 256, 120


def write_report(work_dir: Union[str, Path],
                 rows: Sequence[Row],
                 masks: Optional[DatasetMasks] = None,
                 *,
                 title: str = 'Distilled set',
                 histograms: Optional[np.ndarray] = None,
                 notes: Sequence[str] = (),
                 commands: Sequence[Tuple[str, str]] = ()) -> Path:
    """Write ``work_dir/report.html``: all pictures inside, no request to anywhere.

    Args:
        work_dir: A finished distillation run: ``distilled/`` and, if it is there, ``selection.png``.
        rows: Of ``results.json`` (:func:`mmdistill.evaluation.summarise`); may be empty.
        masks: The real set, for the source images beside the distilled ones.
        title: Heading.
        histograms: (N, K) pixels of each class in each mask of the real set, for the table of the selection.
        notes: Sentences under the results.
        commands: (What it does, command) pairs.

    Returns:
        Path of the page.

    Raises:
        DistillError: The set is unfinished, an image cannot be read, or the page cannot be written.
    """
    work_dir = Path(work_dir)
    manifest = read_manifest(work_dir / 'distilled')
    images, sections = manifest['images'], []
    if rows:
        sections.append(('Results', _results(rows) + ''.join(f'<p class="note">{escape(n)}</p>' for n in notes)))
    selection = _selection(work_dir / 'selection.png', manifest, histograms)
    if selection:
        sections.append(('What was selected', selection))
    shown = f' The first {_MAX_IMAGES} are shown.' if len(images) > _MAX_IMAGES else ''
    order = 'Real source image, its mask, ' if masks is not None else 'Mask, '
    gallery = f'<p>{order}and the image made for the mask, in the order in which the masks were picked.{shown}</p>'
    sections.append(('The images', gallery + _legend(manifest) + _gallery(work_dir / 'distilled', manifest, masks)))
    sections.append(('Where it came from', _provenance(manifest)))
    if commands:
        sections.append(('Commands', ''.join(
            f'<h3>{escape(what)}</h3><pre>{escape(command)}</pre>' for what, command in commands)))
    page = PAGE.substitute(
        title=escape(title),
        lead=escape(f'{manifest["method"]}: {len(images)} images in place of {manifest["source_size"]:,}, '
                    f'{len(manifest["classes"])} classes'),
        body=''.join(f'<section><h2>{escape(name)}</h2>{content}</section>' for name, content in sections))
    path = work_dir / 'report.html'
    write_atomic(path, page.encode())
    return path


def _data_uri(image: np.ndarray, lossless: bool = True) -> str:
    """A picture (H, W, 3) uint8 RGB, at most :data:`_MAX_SIDE` pixels a side, as a data URI."""
    picture = Image.fromarray(image)
    resample = Image.Resampling.NEAREST if lossless else Image.Resampling.LANCZOS
    picture.thumbnail((_MAX_SIDE, _MAX_SIDE), resample)
    small, buffer = max(picture.size) <= 96, io.BytesIO()
    kind = 'PNG' if lossless or small else 'JPEG'
    picture.save(buffer, kind, **(dict(optimize=True) if kind == 'PNG' else dict(quality=88)))
    return f'data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}'


def _table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table that scrolls inside itself; cells are HTML, the first of a line names it."""
    head = ''.join(f'<th scope="col">{cell}</th>' for cell in header)
    body = ''.join(f'<tr><th scope="row">{line[0]}</th>' + ''.join(f'<td>{cell}</td>' for cell in line[1:]) + '</tr>'
                   for line in lines)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _results(rows: Sequence[Row]) -> str:
    metrics = list(dict.fromkeys(row['metric'] for row in rows))
    lines = []
    for name in dict.fromkeys(row['set'] for row in rows):
        own = {row['metric']: row for row in rows if row['set'] == name}
        first = next(iter(own.values()))
        cells = [escape(name)]
        for metric in metrics:
            if metric in own:
                width = min(max(own[metric]['mean'], 0), 100)
                cells.append(f'{format_value(own[metric])}<span class="bar"><i style="width:{width:.1f}%"></i></span>')
            else:
                cells.append('')
        lines.append([*cells, str(first['seeds']), f'{first["seconds"]:.0f}'])
    return _table(['Set', *(escape(metric) for metric in metrics), 'Seeds', 'Seconds'], lines)


def _selection(picture: Path, manifest: dict, histograms: Optional[np.ndarray]) -> str:
    html = ''
    if picture.is_file():
        data = base64.b64encode(picture.read_bytes()).decode()
        html += ('<img class="chart" alt="Share of pixels and of images of each class in the full set, a random one '
                 f'and the selected one" src="data:image/png;base64,{data}">')
    if histograms is not None:
        selected = [image['source_index'] for image in manifest['images']]
        table = selection_table(histograms, selected, manifest['classes'])
        lines = [[_swatch(manifest, manifest['classes'].index(row['class'])) + escape(row['class']),
                  f'{row["full_images"]:,.0f}', f'{row["random_images"]:.1f}', f'{row["selected_images"]:.0f}',
                  *(f'{100 * row[f"{key}_pixel_share"]:.2f}' for key in ('full', 'random', 'selected'))]
                 for row in sorted(table, key=lambda row: row['full_pixel_share'])]
        html += _table(['Class', 'Images: full', 'random', 'selected', 'Pixels %: full', 'random', 'selected'], lines)
    return html


def _swatch(manifest: dict, index: int) -> str:
    red, green, blue = manifest['palette'][index]
    return f'<i class="swatch" style="background:rgb({red},{green},{blue})"></i>'


def _legend(manifest: dict) -> str:
    return '<p class="legend">' + ''.join(f'<span>{_swatch(manifest, i)}{escape(name)}</span>'
                                          for i, name in enumerate(manifest['classes'])) + '</p>'


def _gallery(root: Path, manifest: dict, masks: Optional[DatasetMasks]) -> str:
    layout = SegLayout.from_dict(manifest['layout'])
    colours = np.zeros((256, 3), np.uint8)
    colours[:len(manifest['palette'])] = manifest['palette']
    cards: List[str] = []
    for entry in manifest['images'][:_MAX_IMAGES]:
        try:
            image = np.asarray(Image.open(root / entry['image']).convert('RGB'))
            mask = layout.decode(np.asarray(Image.open(root / entry['mask'])))
        except (OSError, SyntaxError) as error:
            raise DistillError(f'cannot read {entry["image"]} and its mask in {root} ({error}): restore them, or '
                               'delete meta/distilled.json and run tools/distill.py … --resume') from None
        pictures = [('mask', colours[mask], True), ('distilled', image, False)]
        if masks is not None:
            pictures.insert(0, ('real', masks.pair(entry['source_index'], image.shape[:2])[0], False))
        html = ''.join(f'<img alt="{name}" title="{name}" src="{_data_uri(pixels, lossless)}">'
                       for name, pixels, lossless in pictures)
        names = ', '.join(manifest['classes'][index] for index in entry['classes'])
        cards.append(f'<figure><div>{html}</div><figcaption><b>{escape(entry["id"])}</b> {escape(names)}</figcaption>'
                     '</figure>')
    small = ' small' if manifest['images'] and max(image.shape[:2]) <= 96 else ''
    return f'<div class="gallery{small}">{"".join(cards)}</div>'


def _provenance(manifest: dict) -> str:
    def value(item: Any) -> str:
        return escape(item if isinstance(item, str) else json.dumps(item))

    def pairs(values: dict) -> str:
        return '<dl>' + ''.join(f'<dt>{escape(str(k))}</dt><dd>{value(v)}</dd>' for k, v in values.items()) + '</dl>'

    main = {key: manifest[key] for key in ('method', 'config_hash', 'seed', 'source_size') if key in manifest}
    main.update(manifest.get('provenance', {}))
    main['layout'] = manifest['layout']['name']
    main.update({f'weights: {key}': item for key, item in manifest.get('weights', {}).items()})
    return pairs(main) + f'<details><summary>Versions</summary>{pairs(manifest.get("libraries", {}))}</details>'
