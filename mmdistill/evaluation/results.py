"""Cached results of students, and tables of them."""
import statistics
from pathlib import Path
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple, Union

from mmdistill.differences import differing
from mmdistill.documents import read_document
from mmdistill.errors import DistillError
from mmdistill.files import config_hash, write_json

Row = Dict[str, Any]


class ResultCache:
    """Caches results in the folder ``root``, one JSON file per result.

    A file is named by the hash of its key, a JSON mapping of everything that affects the result. Truncated or altered
    files are ignored.
    """

    def __init__(self, root: Union[str, Path]) -> None:
        self.root = Path(root)

    def path(self, key: Mapping[str, Any]) -> Path:
        """The file for the result of a key."""
        return self.root / f'{config_hash(key)}.json'

    def get(self, key: Mapping[str, Any]) -> Optional[Dict[str, Any]]:
        """The cached metrics of a key, or None."""
        try:
            found = read_document(self.path(key))
            return found['metrics'] if found['checksum'] == config_hash(found['metrics']) else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def put(self, key: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
        """Store the metrics of a key, atomically."""
        write_json(self.path(key), dict(key=key, metrics=metrics, checksum=config_hash(metrics)))


def rare_classes(histograms, classes: Sequence[str], share: float = 0.01) -> List[str]:
    """Names of the classes with more than 0 and less than ``share`` (0..1) of the pixels in ``histograms`` (N, K)."""
    pixels = histograms.sum(axis=0)
    return [name for name, count in zip(classes, pixels) if 0 < count < share * pixels.sum()]


def mean_of(values: Iterable[Optional[float]]) -> Optional[float]:
    """Mean of the values that are not None; None if there are none."""
    found = [value for value in values if value is not None]
    return statistics.fmean(found) if found else None


def summarise(runs: Sequence[Mapping[str, Any]]) -> List[Row]:
    """Mean and deviation over the runs (:meth:`.ComparisonRunner.run`), one dict per set, student and metric.

    Its keys are ``set``, ``student``, ``metric``, ``mean``, ``std`` (of the sample, n - 1; 0.0 for one run), ``seeds``
    (number of runs), ``image_sets`` (number of image sets in these runs), ``images`` (images per set) and ``seconds``
    (mean time of one run).
    """
    rows = []
    for name, student in dict.fromkeys((run['set'], run['student']) for run in runs):
        group = [run for run in runs if (run['set'], run['student']) == (name, student)]
        common = dict(image_sets=len({run['image_set'] for run in group}), images=group[0]['images'],
                      seconds=round(statistics.fmean(run['seconds'] for run in group), 2))
        for metric in group[0]['metrics']:
            values = [run['metrics'][metric] for run in group if run['metrics'][metric] is not None]
            if values:
                rows.append(dict(
                    set=name, student=student, metric=metric, mean=round(statistics.fmean(values), 4),
                    std=round(statistics.stdev(values), 4) if len(values) > 1 else 0.0, seeds=len(values), **common))
    return rows


def by_set_and_student(rows: Sequence[Row]) -> Dict[Tuple[str, str], Dict[str, Row]]:
    """Rows grouped by (training set, student), then by metric."""
    lines: Dict[Tuple[str, str], Dict[str, Row]] = {}
    for row in rows:
        lines.setdefault((row['set'], row['student']), {})[row['metric']] = row
    return lines


def weights_notes(names: Iterable[str]) -> List[str]:
    """A note that names the sets whose images have weights in the loss; empty without such sets."""
    listed = ', '.join(dict.fromkeys(names))
    return [f'The loss uses the image weights in the manifests of {listed}.'] if listed else []


def table_cells(rows: Sequence[Row]) -> List[List[str]]:
    """The rows as a table with a header: one line per set and student, one column per metric."""
    metrics = list(dict.fromkeys(row['metric'] for row in rows))
    several = len({row['student'] for row in rows}) > 1
    lines = [['set', *['student'] * several, 'images', *metrics, 'image sets', 'runs', 's per run']]
    for (name, student), by_metric in by_set_and_student(rows).items():
        first = next(iter(by_metric.values()))
        lines.append([name, *[student] * several, f'{first["images"]:,}',
                      *(format_value(by_metric[metric]) if metric in by_metric else '' for metric in metrics),
                      str(first['image_sets']), str(first['seeds']), f'{first["seconds"]:.0f}'])
    return lines


def markdown(lines: Sequence[Sequence[str]]) -> str:
    """A table (header first) in Markdown, with aligned columns."""
    widths = [max(map(len, column)) for column in zip(*lines)]
    lines = [lines[0], ['-' * width for width in widths], *lines[1:]]
    return '\n'.join(f'| {" | ".join(cell.ljust(width) for cell, width in zip(line, widths))} |' for line in lines)


def data_roots(results: Mapping[str, Any]) -> Dict[str, List[Path]]:
    """The data root of each image set, by training set; empty for sets of real images.

    Earlier versions saved only the first one, as a string.
    """
    return {name: [Path(root) for root in ([value] if isinstance(value, str) else value or ())]
            for name, value in results['sets'].items()}


def published_table(work_dir: Union[str, Path], root: Union[str, Path]) -> str:
    """The table of a comparison in Markdown with its notes, for the card of one of its sets.

    Args:
        work_dir: Work dir of ``mmdistill evaluate``.
        root: Data root of the set.

    Raises:
        DistillError: There are no readable results, or the set is not one of those compared.
    """
    where = f'--results {work_dir}'
    if (results := read_results(work_dir)) is None:
        raise DistillError(f'{where}: there is no results.json: give a work dir of mmdistill evaluate')
    try:
        table = markdown(table_cells(results['rows']))
        notes = [str(note) for note in results.get('notes', [])]
        compared = [folder for folders in data_roots(results).values() for folder in folders]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DistillError(f'{where}: its results.json has no readable table ({type(error).__name__}: {error})'
                           ) from None
    if not any(folder.resolve() == Path(root).resolve() for folder in compared):
        names = ', '.join(map(str, compared)) or 'which are all real'
        raise DistillError(f'{where}: {root} is not one of the compared sets, {names}: give the comparison of this '
                           'set; if it was moved, run mmdistill evaluate with its new path')
    return '\n\n'.join([table, *notes])


def format_value(row: Row) -> str:
    """``mean ± std`` with one decimal; only the mean for a single run."""
    return f'{row["mean"]:.1f} ± {row["std"]:.1f}' if row['seeds'] > 1 else f'{row["mean"]:.1f}'


def read_results(work_dir: Union[str, Path], expected: Optional[str] = None,
                 settings: Optional[Mapping[str, Any]] = None) -> Optional[Dict[str, Any]]:
    """Read the ``results.json`` of ``mmdistill evaluate``; None if there is none.

    Args:
        work_dir: The work dir of the comparison.
        expected: Hash of the protocol and the test set that the results must have.
        settings: The settings that were hashed, to tell which of them differ.

    Raises:
        DistillError: The file cannot be read, or has another hash than ``expected``.
    """
    path = Path(work_dir) / 'results.json'
    try:
        results = read_document(path)
        found, _ = results['hash'], results['runs']
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DistillError(f'{path} is not a readable result of mmdistill evaluate ({error}): remove it or choose '
                           'another --work-dir') from None
    if expected is not None and found != expected:
        stored = results.get('settings')
        differences = differing(stored, settings, 'the results') if settings and isinstance(stored, dict) else ''
        raise DistillError(f'{path} is of another protocol, schedule or test set than this config'
                           f'{differences and f" ({differences})"}: choose another --work-dir')
    return results
