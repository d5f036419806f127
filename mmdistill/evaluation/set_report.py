"""Metrics of the training sets that need no training: ``set_metrics.json``."""
import json
import math
from typing import Any, Callable, Dict, Optional

import numpy as np
from safetensors.numpy import save

from mmdistill.datasets.wrappers import real_parts
from mmdistill.files import write_atomic, write_json
from mmdistill.metrics import class_balance, set_metrics
from .building import build_dataset
from .encoders import encode_dataset
from .comparison_runner import ComparisonRunner

Judge = Callable[[Any], Dict[str, float]]
_PROJECTED = 2000


def measure_sets(runner: ComparisonRunner) -> Optional[Dict[str, Any]]:
    """Measure the first image set of every training set against the real data.

    Writes ``set_metrics.json`` and, for the report's projection, ``features.safetensors`` with the features of all sets
    (for the real set, of at most 2 000 random images).

    Returns:
        dict or None: ``encoder`` (JSON text or None) and ``sets``, by name: ``rows``
        (:func:`mmdistill.metrics.set_metrics`; None without an encoder), ``balance``
        (:func:`mmdistill.metrics.class_balance` of the pixels or images per class) and ``judge``
        (:meth:`mmdistill.tasks.Task.judge`; None without a judge and for unions of sets). With a judge, ``judge_real``
        is its result on the test set, as a reference. None if the config has neither an encoder nor a judge.
    """
    settings, task, real = runner.settings, runner.task, runner.real
    if not settings.encoder and not settings.judge:
        return None
    judge = task.judge(settings.judge) if settings.judge else None
    tensors: Dict[str, Optional[np.ndarray]] = {}
    sets: Dict[str, Dict[str, Any]] = {}
    if real.encoder is not None:
        features, labels = real.features, real.labels
        drawn = np.random.default_rng(0).choice(len(features), min(_PROJECTED, len(features)), replace=False)
        tensors.update({'real': features[drawn], 'labels/real': None if labels is None else labels[drawn]})
    for name, training_set in runner.sets.items():
        print(f'measuring {name}', flush=True)
        dataset = build_dataset(training_set.dataset(0), task.scope, f'training_sets.{name}.dataset')
        balance = class_balance(real.totals, task.class_totals(dataset), runner.classes)
        single = len(real_parts(dataset)) == 1
        sets[name] = dict(rows=None, judge=_judged(judge, dataset) if single else None, balance=balance)
        if real.encoder is not None:
            features, labels = encode_dataset(real.encoder, dataset), task.labels(dataset)
            tensors.update({name: features, f'labels/{name}': labels})
            sets[name]['rows'] = set_metrics(
                real.features, features, real.labels, labels, runner.classes,  # type: ignore[arg-type]
                k=settings.neighbours)
    measured: Dict[str, Any] = dict(encoder=json.dumps(settings.encoder) if settings.encoder else None, sets=sets)
    if judge:
        measured['judge_real'] = _judged(judge, runner.test)
    if tensors:
        found = {name: values for name, values in tensors.items() if values is not None}
        write_atomic(runner.work_dir / 'features.safetensors', save(found))
    write_json(runner.work_dir / 'set_metrics.json', measured)
    return measured


def _judged(judge: Optional[Judge], dataset: Any) -> Optional[Dict[str, Optional[float]]]:
    """The judge's metrics, with None for NaN, which JSON does not have."""
    return judge and {key: None if math.isnan(value) else value for key, value in judge(dataset).items()}


def summary_cells(measured: Dict[str, Any]) -> list:
    """The whole-set metrics as a table with a header, one line per set."""
    first = next(iter(measured['sets'].values()))
    names = [name for name in ('transport', 'coverage', 'density', 'diversity', 'frechet') if first['rows']]
    judged = [next(iter(values['judge'])) for values in measured['sets'].values() if values['judge']][:1]
    lines = [['set', *names, 'class balance (TV)', *(f'judge {metric}' for metric in judged)]]
    for name, values in measured['sets'].items():
        row = values['rows'][0] if values['rows'] else {}
        lines.append([name, *('' if row[key] is None else f'{row[key]:.3g}' for key in names),
                      f'{values["balance"]["total_variation"]:.3f}',
                      *(f'{values["judge"][metric]:.1f}' if values['judge'] else '' for metric in judged)])
    return lines
