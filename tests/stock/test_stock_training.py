"""A distilled set trains with installed configs of mmseg and mmseg's train script.

``train_dataloader.dataset.data_root`` is the only data key changed; the other keys shorten the run to one iteration,
leave out validation (there is no validation data here) and the download of pretrained backbones.
"""
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import mmseg
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS

from mmdistill.datasets.layouts import LAYOUTS
from mmdistill.datasets.writers import SegWriter

MMSEG = Path(mmseg.__file__).parent / '.mim'
SHORT = [
    'train_cfg.max_iters=1', 'train_dataloader.num_workers=0', 'train_dataloader.persistent_workers=False',
    'val_cfg=None', 'val_dataloader=None', 'val_evaluator=None', 'default_hooks.checkpoint=None',
    'default_hooks.logger.interval=1'
]
NO_DOWNLOAD = {'mask2former': 'model.backbone.init_cfg=None', 'pspnet': 'model.pretrained=None'}
# Heads that pool to one pixel need two images for their batch norm.
CASES = [
    ('ade20k', 'mask2former/mask2former_swin-s_8xb2-160k_ade20k-512x512.py', 1),
    ('coco_stuff164k', 'bisenetv1/bisenetv1_r18-d32_4xb4-160k_coco-stuff164k-512x512.py', 2),
    ('coco_stuff10k', 'pspnet/pspnet_r50-d8_4xb4-20k_coco-stuff10k-512x512.py', 2),
]
# mmseg has no Mask2Former for COCO-Stuff; it also reads the config of mmdistill.
STUDENT = Path(__file__).parents[2] / 'configs/students/mask2former_swin-s_4xb2-80k_coco-stuff164k-512x512.py'


def distil(root, name, num_ids=None):
    """Two random images of 512 pixels in a layout, with masks of blocks; the masks by stem.

    The masks show all ids of the layout, or ``num_ids`` of them: the first, the last and 'ignored' are always there.
    """
    rng = np.random.default_rng(0)
    writer, masks = SegWriter(root, name), {}
    last = writer.layout.num_classes - 1
    ids = np.array([*np.linspace(0, last, (num_ids or last + 2) - 1).astype(int), 255], np.uint8)
    for stem in ('000000', '000001'):
        blocks = rng.permutation(np.resize(ids, 16 * 16)).reshape(16, 16)
        masks[stem] = blocks.repeat(32, 0).repeat(32, 1)
        writer.write(stem, rng.integers(0, 256, (512, 512, 3), dtype=np.uint8), masks[stem])
    return masks


def ids_of_stock_dataset(config, root):
    """Stem → mask, as the dataset of the config and its LoadAnnotations give it to the augmentations."""
    init_default_scope('mmseg')
    cfg = config.train_dataloader.dataset
    assert [step['type'] for step in cfg.pipeline[:2]] == ['LoadImageFromFile', 'LoadAnnotations']
    dataset = DATASETS.build(dict(cfg, data_root=str(root), pipeline=cfg.pipeline[:2]))
    return {Path(sample['img_path']).stem: sample['gt_seg_map'] for sample in dataset}


@pytest.mark.parametrize('name, config', [case[:2] for case in CASES] + [('coco_stuff164k', STUDENT)],
                         ids=[case[0] for case in CASES] + ['student'])
def test_mmseg_reads_the_written_ids(tmp_path, name, config):
    masks = distil(tmp_path, name)
    config = Config.fromfile(MMSEG / 'configs' / config)
    assert config.model.decode_head.num_classes == LAYOUTS[name].num_classes
    seen = ids_of_stock_dataset(config, tmp_path)
    assert seen.keys() == masks.keys()
    for stem, mask in masks.items():
        assert set(np.unique(mask)) == {*range(LAYOUTS[name].num_classes), 255}
        np.testing.assert_array_equal(seen[stem], mask)


@pytest.mark.parametrize('name, config, batch_size', CASES, ids=[case[0] for case in CASES])
def test_trains_under_a_stock_config(tmp_path, name, config, batch_size):
    root, work_dir = tmp_path / 'distilled', tmp_path / 'work'
    distil(root, name, num_ids=9)  # the cost of Mask2Former's loss grows with the classes of an image
    options = [
        f'train_dataloader.dataset.data_root={root}', *SHORT, f'train_dataloader.batch_size={batch_size}',
        *(option for family, option in NO_DOWNLOAD.items() if config.startswith(family))
    ]
    run = subprocess.run(
        [sys.executable, MMSEG / 'tools/train.py', MMSEG / 'configs' / config, '--work-dir', work_dir,
         '--cfg-options', *options],
        cwd=tmp_path, env=dict(os.environ, CUDA_VISIBLE_DEVICES=''), capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-3000:]
    lines = [json.loads(line) for path in work_dir.glob('*/vis_data/scalars.json') for line in path.open()]
    losses = [line['loss'] for line in lines if 'loss' in line]
    assert len(losses) == 1
    assert math.isfinite(losses[0]) and losses[0] > 0
