"""The metrics of a comparison's training sets themselves, without training: ``set_metrics.json``."""
import json
import math
from pathlib import Path
from typing import Any, Dict, Optional

import numpy as np
import torch
from safetensors.torch import save

from mmdistill.datasets import DatasetMasks
from mmdistill.metrics import class_balance, set_metrics
from mmdistill.files import write_atomic, write_json
from mmdistill.registry import MODELS
from .encoders import encode_dataset
from .judge import judge_agreement
from .matrix import Matrix
from .training_sets import build_dataset, labels_of

_PROJECTED = 2000


def measure_sets(matrix: Matrix) -> Optional[Dict[str, Any]]:
    """Measure the first image set of every training set against the real data.

    The features of both go into ``features.safetensors`` (of the real set 2 000 at most, drawn at random), for the
    report's projection.

    Args:
        matrix: The comparison. Its config's ``encoder`` gives the features (see
            :mod:`mmdistill.evaluation.encoders`), its ``judge`` (a ``SegmentorGuide``) the agreement with masks, and
            ``neighbours`` the k of coverage and density.

    Returns:
        dict: ``encoder`` (text or None) and ``sets``: for each its ``rows`` (:func:`mmdistill.metrics.set_metrics`;
        None without an encoder), ``balance`` (:func:`mmdistill.metrics.class_balance`, of pixels or of images) and
        ``judge`` (:func:`judge_agreement` of the set, or None). With a judge, ``judge_real`` is its agreement on the
        test set: the bar. None where the config asks for neither encoder nor judge.
    """
    cfg, real = matrix.cfg, matrix.real
    if not cfg.get('encoder') and not cfg.get('judge'):
        return None
    judge = MODELS.build(dict(cfg.judge, _scope_='mmdistill')) if cfg.get('judge') else None
    if judge is not None and torch.cuda.is_available():
        judge = judge.cuda()
    tensors, sets = {}, {}
    if real.encoder is not None:
        count = min(_PROJECTED, len(real.features))
        drawn = np.random.default_rng(0).choice(len(real.features), count, replace=False)
        tensors['real'] = torch.from_numpy(real.features[drawn])
        if real.labels is not None:
            tensors['labels/real'] = torch.from_numpy(real.labels[drawn])
    for name, training_set in matrix.sets.items():
        print(f'measuring {name}', flush=True)
        dataset = build_dataset(training_set.dataset(0), real.scope)
        masks = DatasetMasks(dataset) if real.scope == 'mmseg' else None
        labels = None if masks else labels_of(dataset)
        counts = masks.histograms() if masks else np.eye(len(matrix.classes), dtype=np.int64)[labels]
        own = dict(rows=None, judge=None,
                   balance=class_balance(real.histograms.sum(0), counts.sum(0), list(matrix.classes)))
        if real.encoder is not None:
            features = encode_dataset(real.encoder, dataset, progress=False)
            own['rows'] = set_metrics(real.features, features, real.labels, labels,
                                      None if labels is None else list(matrix.classes), k=cfg.get('neighbours', 5))
            tensors[name] = torch.from_numpy(features)
            if labels is not None:
                tensors[f'labels/{name}'] = torch.from_numpy(labels)
        if judge is not None and masks:
            own['judge'] = _agreement(judge, masks)
        sets[name] = own
    measured = dict(encoder=json.dumps(cfg.encoder.to_dict()) if cfg.get('encoder') else None, sets=sets)
    if judge is not None:
        measured['judge_real'] = _agreement(judge, DatasetMasks(matrix.test))
    if tensors:
        write_atomic(Path(matrix.work_dir) / 'features.safetensors', save(tensors))
    write_json(Path(matrix.work_dir) / 'set_metrics.json', measured)
    return measured


def _agreement(judge, masks: DatasetMasks) -> Dict[str, Optional[float]]:
    """:func:`judge_agreement` with None for NaN, which JSON has no word for."""
    return {key: None if math.isnan(value) else value for key, value in judge_agreement(judge, masks).items()}


def summary_cells(measured: Dict[str, Any]) -> list:
    """The whole-set metrics as a table, its header first: a line a set."""
    first = next(iter(measured['sets'].values()))
    names = [name for name in ('transport', 'coverage', 'density', 'diversity', 'frechet') if first['rows']]
    lines = [['set', *names, 'class balance (TV)', *(['judge mIoU'] if first['judge'] else [])]]
    for name, own in measured['sets'].items():
        row = own['rows'][0] if own['rows'] else {}
        lines.append([name, *('' if row[key] is None else f'{row[key]:.3g}' for key in names),
                      f'{own["balance"]["total_variation"]:.3f}',
                      *([f'{own["judge"]["mIoU"]:.1f}'] if own['judge'] else [])])
    return lines
