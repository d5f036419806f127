"""A small finished distillation run, and a comparison with it."""
import json
import math

import numpy as np
import pytest
from safetensors.numpy import save_file

from mmdistill.datasets import DatasetMasks, SegWriter, write_manifest
from mmdistill.toy.streets import StreetScenes
from mmdistill.toy.street_scenes import CLASSES, PALETTE, street_scene
from mmdistill.evaluation import summarise
from mmdistill.metrics import class_balance, set_metrics
from mmdistill.plan import Plan, Request


@pytest.fixture
def run(tmp_path):
    """A work dir with three pairs, the scenes themselves, written as a distilled set."""
    root = tmp_path / 'run'
    requests = tuple(
        Request(id=f'{i:06d}', seed=i, source_index=i, source=f'streets://train/64/images/{i:06d}.png',
                classes=tuple(int(c) for c in np.unique(street_scene(i, 'train', 64)[1]))) for i in range(3))
    plan = Plan('D3S2', 'hash', 0, CLASSES, PALETTE, 10, requests, dict(selector=dict(type='<S&lector>')))
    writer = SegWriter(root / 'distilled', 'source', StreetScenes(1, pipeline=[], lazy_init=True))
    for request in requests:
        writer.write(request.id, *street_scene(request.source_index, 'train', 64))
    write_manifest(root / 'distilled', plan, writer.layout, dict(weights=dict(unet='weights/unet')))
    return root


@pytest.fixture
def histograms():
    """int64 (10, K): the real set of the run."""
    return DatasetMasks(StreetScenes(10, pipeline=[])).histograms(workers=0)


@pytest.fixture
def comparison(tmp_path, run):
    """A work dir of ``mmdistill evaluate``: two students, two sets, two seeds; no optional file."""
    runs = []
    for student, offset in (('unet', 0), ('s<2>', -10)):
        for name, value in (('distilled', 70), ('random & real', 60)):
            for seed in range(2):
                last = value + offset + 2 * seed
                classes = {one: last + i for i, one in enumerate(CLASSES)}
                runs.append(dict(set=name, student=student, image_set=seed, seed=seed,
                                 metrics=dict(mIoU=last, rare_IoU=last / 2), curve=[[10, last / 2], [20, last]],
                                 classes=dict(classes, sky=None), images=3, seconds=12.5, config_hash='c0ffee'))
    root = tmp_path / 'comparison'
    root.mkdir()
    results = dict(task='segmentation', protocol='tiny', hash='abc', metric='mIoU', classes=list(CLASSES),
                   rows=summarise(runs), runs=runs,
                   sets={'distilled': str(run / 'distilled'), 'random & real': None},
                   notes=['Protocol `tiny`: a note.'], command='mmdistill evaluate tiny.py')
    (root / 'results.json').write_text(json.dumps(results))
    return root


@pytest.fixture
def measured(comparison, histograms):
    """The same with the metrics of the sets, their features and the histograms."""
    rng = np.random.default_rng(0)
    real = rng.normal(size=(40, 8)).astype(np.float32)
    features = {'real': real, 'distilled': real[:3] + 0.5, 'random & real': real[5:8]}
    balance = class_balance(histograms.sum(0), histograms[:3].sum(0), list(CLASSES))
    sets = {name: dict(rows=set_metrics(real, values), balance=balance,
                       judge=dict(mIoU=50.0, **{f'IoU.{one}': 40.0 + i for i, one in enumerate(CLASSES)}))
            for name, values in features.items() if name != 'real'}
    assert all(math.isfinite(own['rows'][0]['transport']) for own in sets.values())
    metrics = dict(encoder='{"type": "LatentEncoder"}', sets=sets, judge_real=dict(mIoU=61.5))
    (comparison / 'set_metrics.json').write_text(json.dumps(metrics))
    save_file(features, comparison / 'features.safetensors')
    np.savez(comparison / 'class_histograms.npz', counts=histograms)
    return comparison
