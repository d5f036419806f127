"""The texts of the configs that train a generator and a guiding segmentor for a dataset."""
from pathlib import Path
from typing import Any, Dict, List, Tuple

from mmdistill.datasets.wrapped_configs import part_configs
from mmdistill.weights.public import TAESD
from .data import Data, code, data_lines

def mask_sizes(data: Data) -> Tuple[Tuple[int, int], Tuple[int, int]]:
    """Height and width of the images that a layout UNet generates, and of those that the guiding segmentor reads.

    Smaller images lose small objects in the autoencoder; see docs/results/camvid.md.
    """
    height, width = data.image_size(512, 64)
    return (height, width), (height // 2, width // 2)


def guide_file(training: Path) -> Path:
    """The config that trains the guiding segmentor, next to the ``training`` of the generator."""
    return training.with_name(f'{training.stem.removesuffix("_generator")}_guide.py')


def _loading(data: Data) -> List[Dict[str, Any]]:
    """The transforms that read an image of the dataset and, for segmentation, its mask."""
    _, first = next(part_configs(data.cfg))
    scope = 'mmseg' if data.task == 'segmentation' else 'mmpretrain'
    loads = [step for step in first.get('pipeline') or [] if 'Load' in str(step['type'])]
    loads = loads or [dict(type='LoadImageFromFile')]
    if data.task == 'segmentation' and len(loads) < 2:
        loads.append(dict(type='LoadAnnotations'))
    return [dict(step, _scope_=scope) for step in loads]


def training_text(data: Data) -> str:
    """The text of the config that trains a generator for the dataset."""
    masks, number = data.task == 'segmentation', data.number()
    size: List[Dict[str, Any]]
    ends: List[Dict[str, Any]]
    if masks:
        size = [dict(type='Resize', scale=mask_sizes(data)[0][::-1], keep_ratio=False)]
        ends = [dict(type='RandomFlip', prob=0.5), dict(type='PackSegInputs')]
        model = (f'unet=dict(num_classes={number}, layout_factor=8, layout_channels=96, '
                 'block_out_channels=(64, 96, 128, 192))')
    else:
        size = [dict(type='ResizeEdge', scale=128, edge='short', backend='pillow'),
                dict(type='CenterCrop', crop_size=128)]
        ends = [dict(type='RandomFlip', prob=0.5, direction='horizontal'), dict(type='PackInputs')]
        model = (f'unet=dict(num_classes={number}, sample_size=16, block_out_channels=(128, 256, 384), '
                 'layers_per_block=2, attention_levels=2)')
    scope = 'mmseg' if masks else 'mmpretrain'
    pipeline = [*_loading(data), *(dict(step, _scope_=scope) for step in [*size, *ends])]
    network, batch = ('LayoutDiffusion', 8) if masks else ('ClassDiffusion', 16)
    return '\n'.join([
        '# This trains the generator. On a CPU, use a batch size of 4 and max_iters = 8000. If the CPU has bfloat16,',
        "# optim_wrapper = dict(type='BFloat16OptimWrapper') makes it twice as fast.",
        f'# Weights: {TAESD}; from a folder: --cfg-options model.vae=/path/to/taesd',
        "_base_ = 'mmdistill::_base_/schedules/generator.py'", '',
        f'pipeline = {code(pipeline, before=11)}', *data_lines(data, 'pipeline'), '',
        f"model = dict(type='{network}', cache_latents=True, vae='madebyollin/taesd',", f'             {model})',
        f'train_dataloader = dict(batch_size={batch}, num_workers=2, persistent_workers=True, dataset=dataset)',
        '# During the training, samples for the first batch of this dataset are drawn.',
        f"val_dataloader = dict(batch_size={batch}, sampler=dict(type='DefaultSampler', shuffle={not masks}), "
        'dataset=dataset)',
        '# Change the length here, since the learning rates depend on it, too.',
        'max_iters = 20000', 'param_scheduler = [_base_.warmup, dict(_base_.cosine, end=max_iters)]',
        'train_cfg = dict(max_iters=max_iters, val_interval=2000)'])


def guide_text(data: Data) -> str:
    """The text of the config that trains the guiding segmentor for the dataset."""
    height, width = mask_sizes(data)[1]
    steps: List[Dict[str, Any]] = [
        dict(type='Resize', scale=(width, height), keep_ratio=False), dict(type='RandomFlip', prob=0.5),
        dict(type='PhotoMetricDistortion'), dict(type='PackSegInputs')]
    pipeline = [*_loading(data), *(dict(step, _scope_='mmseg') for step in steps)]
    return '\n'.join([
        '# This trains the segmentor that guides the generator, from scratch. If you have a model of mmseg for these',
        '# classes that starts from ImageNet weights, give its config and checkpoint to SegmentorGuide instead.',
        "_base_ = ['mmdistill::_base_/students/mmseg.py', 'mmdistill::_base_/models/unet-m.py']", '',
        f'pipeline = {code(pipeline, before=11)}', *data_lines(data, 'pipeline'), '',
        f'size = {height, width}  # height and width',
        'model = dict(data_preprocessor=dict(size=size, test_cfg=dict(size=size)),',
        f'             decode_head=dict(num_classes={data.number()}))',
        'train_dataloader = dict(batch_size=8, dataset=dataset)',
        '# The pixel accuracy on batches of the training is in the log; for mIoU, give it validation images.',
        'val_dataloader = val_cfg = val_evaluator = None', 'test_dataloader = test_cfg = test_evaluator = None',
        'max_iters = 2000', 'param_scheduler = [_base_.warmup, dict(_base_.poly, end=max_iters)]',
        'train_cfg = dict(max_iters=max_iters)',
        '# ClassWeightsHook gives rare classes a larger weight in the loss.',
        "custom_hooks = [dict(type='mmdistill.ClassWeightsHook'), dict(type='mmdistill.ExportHook')]"])
