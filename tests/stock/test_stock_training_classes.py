"""A distilled classification set trains with installed configs of mmpretrain and mmpretrain's train script.

For a set of ImageNet's classes, ``train_dataloader.dataset.data_root`` is the only changed data key; a subset also
sets its classes. The other keys shorten the run and leave out validation (there is no validation data here).
"""
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import mmpretrain
import numpy as np
import pytest

from mmdistill.datasets import ClassWriter, write_manifest
from mmdistill.plan import Plan, Request

MMPRETRAIN = Path(mmpretrain.__file__).parent / '.mim'
SHORT = [
    'train_cfg.max_epochs=1', 'train_dataloader.batch_size=2', 'train_dataloader.num_workers=0',
    'train_dataloader.persistent_workers=False', 'val_cfg=None', 'val_dataloader=None', 'val_evaluator=None',
    'default_hooks.checkpoint=None', 'default_hooks.logger.interval=1'
]
WNIDS = ('n01440764', 'n02102040')


def distil(root):
    """Four random images of two classes."""
    rng, writer = np.random.default_rng(0), ClassWriter(root, size=64)
    requests = tuple(
        Request(f"{wnid}/{n}", n, classes=(label, )) for n in range(2) for label, wnid in enumerate(WNIDS))
    for request in requests:
        writer.write(request.id, rng.integers(0, 256, (48, 48, 3), dtype=np.uint8))
    write_manifest(root, Plan('D4M', 'h', 0, WNIDS, (), 4, requests), writer.layout, {})


@pytest.mark.parametrize('own', [
    (),
    (f'train_dataloader.dataset.classes=[{",".join(WNIDS)}]', 'model.head.num_classes=2'),
    ('train_dataloader.dataset.type=mmdistill.DistilledDataset', )],
                         ids=['ids_of_imagenet', 'subset', 'distilled_dataset'])
def test_trains_under_a_stock_config(tmp_path, own):
    root, work_dir = tmp_path / 'distilled', tmp_path / 'work'
    distil(root)
    run = subprocess.run(
        [sys.executable, MMPRETRAIN / 'tools/train.py', MMPRETRAIN / 'configs/resnet/resnet18_8xb32_in1k.py',
         '--work-dir', work_dir, '--cfg-options', f'train_dataloader.dataset.data_root={root}', *SHORT, *own],
        cwd=tmp_path, env=dict(os.environ, CUDA_VISIBLE_DEVICES=''), capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-3000:]
    lines = [json.loads(line) for path in work_dir.glob('*/vis_data/scalars.json') for line in path.open()]
    losses = [line['loss'] for line in lines if 'loss' in line]
    assert len(losses) == 2 and all(math.isfinite(loss) and loss > 0 for loss in losses)
