"""The texts of the configs that ``mmdistill init`` writes."""
import re
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

from mmdistill.datasets.wrapped_configs import part_configs, with_pipeline, without_pipeline
from mmdistill.errors import DistillError
from mmdistill.imagenet import imagenet_ids
from mmdistill.registry import DATASETS
from mmdistill.weights.public import CONTROLNETPP, DIT, FREESTYLENET, SD14, SD15, TAESD
from .data import Data, code

# Hub addresses of ControlNet++, and published segmentors for guidance by dataset class of mmseg.
_CONTROLNET = 'limingcv/reward_controlnet/checkpoints/'
_COCO_CONTROLNET = f'{_CONTROLNET}cocostuff/reward_5k'
_ADE_CONTROLNET = f'{_CONTROLNET}ade20k_reward-model-UperNet-R50/checkpoint-5000/controlnet'
GUIDES = dict(
    ADE20KDataset='segformer_mit-b0_8xb2-160k_ade20k-512x512',
    COCOStuffDataset='pspnet_r50-d8_4xb4-80k_coco-stuff164k-512x512',
    COCOStuff='pspnet_r50-d8_4xb4-80k_coco-stuff164k-512x512')
# The images of a layout UNet have about the area of a square with the first side; their sides are multiples of the
# second number.
_MASK_SIZE = 256, 32


def _config(bases: Sequence[str], weights: Sequence[object], data: Data, *parts: str) -> str:
    """The text of a config: notes about the weights, base configs, the dataset, and ``parts``."""
    named = [f"'mmdistill::_base_/{base}.py'" for base in bases]
    return '\n'.join([
        '# mmdistill distill CONFIG --dry-run checks it, the data and the weights, and estimates the cost.',
        *(f'# Weights: {line}' for line in weights), f'_base_ = [{", ".join(named)}]', '', *_data_lines(data), *parts])


def _data_lines(data: Data, pipeline: Optional[str] = None) -> List[str]:
    """Lines with the dataset. If ``pipeline`` is given, the name of a variable, it replaces the pipeline."""
    cfg = data.cfg if pipeline is None else with_pipeline(without_pipeline(data.cfg), ['@'])
    roots = {part.get('data_root') for _, part in part_configs(cfg)}
    text = 'dataset = ' + code(cfg, before=10).replace("['@']", str(pipeline))
    lines = ['', f'custom_imports = {code(data.imports)}'] if data.imports else []
    if len(roots) == 1 and isinstance(root := roots.pop(), str):
        where = '# The real data. To change the folder: --cfg-options data_root=/path/to/the/data'
        return [*lines, where, f'data_root = {root!r}', text.replace(f'data_root={root!r}', 'data_root=data_root')]
    return [*lines, '# The real data.', text]


def _segmentation(data: Data, model: str) -> List[str]:
    """The lines that are the same for all generators of segmentation."""
    guide = GUIDES.get(data.dataset_class)
    guidance = [
        '    # Guidance by a published segmentor of mmseg, which is downloaded in the first run.',
        "    dict(type='GuidedSynthesisHook',",
        "         segmentor=dict(type='SegmentorGuide', layers=['backbone'],",
        f"                        config='{guide}'),",
        "         objectives=[dict(type='SegmentationConsistency', class_weight='balanced'),",
        "                     dict(type='ClassFeatureMatching', weight=0.1)],",
        "         window=(0.25, 1.0), norm='rms', scale=0.05),"] if guide else [
        '    # Guidance needs a segmentor of these classes: dict(type=\'GuidedSynthesisHook\', segmentor=dict(',
        "    #     type='SegmentorGuide', layers=['backbone'], config='your_config.py', checkpoint='your.pth'),",
        "    #     objectives=[dict(type='SegmentationConsistency')], window=(0.25, 1.0), norm='rms', scale=0.05),"]
    return [
        '', model, '', 'test_dataloader = dict(batch_size=8, num_workers=0, dataset=dataset)',
        "# 'source': the set has the folders of the real data, so mmseg trains on it by data_root alone.",
        f"test_cfg = dict(method='{'D3S2' if guide else 'unguided'}', writer=dict(type='SegWriter', layout='source'))",
        'custom_hooks = [', '    # budget: the share of the masks (0.01) or their number (20).',
        "    dict(type='MaskSelectionHook', selector=dict(type='ClassBalancedGreedy', budget="
        f'{0.01 if guide else 0.05})),', *guidance, "    dict(type='PreviewHook'),", ']']


def _controlnet(data: Data, training: Path) -> str:
    coco = data.dataset_class.startswith('COCOStuff')
    weights = _COCO_CONTROLNET if coco else _ADE_CONTROLNET
    colours, palette = '', []
    if coco:
        colours = "palette='coco_panoptic', "
    elif data.dataset_class != 'ADE20KDataset':
        palette, colours = _ade_colours(data), 'palette=palette, '
    model = '\n'.join([
        *palette, 'model = dict(generator=dict(', f"    controlnet='{weights}',",
        f'    {colours}image_size=512, micro_batch=8))  # micro_batch: images per batch'])
    return _config(['distill_runtime', 'generators/sd15-controlnetpp'], [SD15, CONTROLNETPP, TAESD], data,
                   *_segmentation(data, model))


def _ade_colours(data: Data) -> List[str]:
    """Lines with a palette that has the colours of ADE20K for the classes of another dataset."""
    data.number()
    known = DATASETS.get('mmseg.ADE20KDataset').METAINFO  # type: ignore[union-attr]
    by_name = {name.strip(): colour for name, colour in zip(known['classes'], known['palette'])}
    lines = ['# The ControlNet was trained with the colours of ADE20K. Black means unlabelled: replace it by the',
             '# colour of a class that looks similar (mmseg.datasets.ADE20KDataset.METAINFO).', 'palette = [']
    for name in data.classes or ():
        same = next((one for one in by_name if one == name.strip().lower()),
                    next((one for one in by_name if set(one.split()) & set(re.findall('[a-z]+', name.lower()))), None))
        lines.append(f'    {list(by_name[same]) if same else [0, 0, 0]},  # {name}'
                     f'{"" if same == name else ": " + (same or "no class of this name")}')
    return [*lines, ']']


def _freestyle(data: Data, training: Path) -> str:
    coco = data.dataset_class.startswith('COCOStuff')
    table = 'coco_stuff' if coco else 'ade20k' if data.dataset_class == 'ADE20KDataset' else None
    names = f'names={table!r}'
    file = f'freestyle-sd-v1-4-{"coco" if coco else "ade20k"}'
    model = '\n'.join([
        f'# First: mmdistill convert-unet {file}.ckpt work_dirs/{file}',
        '# names: the class names in the prompt. None: those of the dataset; a dict replaces some of them.',
        f"model = dict(generator=dict(unet='work_dirs/{file}', {names}, image_size=512, micro_batch=8))"])
    unet = FREESTYLENET._replace(address=f'{file}.ckpt, linked from {FREESTYLENET.address}')
    return _config(['distill_runtime', 'generators/freestylenet'], [unet, SD14, TAESD], data,
                   *_segmentation(data, model))


def _layout_unet(data: Data, training: Path) -> str:
    data.number()
    model = '\n'.join([
        f'# First: mmdistill train {training}', "model = dict(type='Distiller', generator=dict(",
        f"    type='LayoutUNetGenerator', weights='work_dirs/{training.stem}/export',",
        '    # image_size: height and width of the training.',
        f"    scheduler='DPMSolverMultistepScheduler', image_size={data.image_size(*_MASK_SIZE)}, num_steps=20, "
        'cfg_scale=1.5, micro_batch=8))'])
    return _config(['distill_runtime'], [f'those that {training.name} trains', TAESD], data,
                   *_segmentation(data, model))


def _dit(data: Data, training: Path) -> str:
    ids = imagenet_ids(data.classes) if data.classes else None
    if data.classes and ids is None and len(data.classes) != 1000:
        raise DistillError(f'--generator dit-xl2: DiT generates the classes of ImageNet, and {data.classes[0]} is not '
                           'the WordNet id of one: set metainfo.classes to the ids (n01440764), or use --generator '
                           'sd15, which generates any class by its name')
    shown = '' if data.classes and len(data.classes) == 1000 else f'class_ids={code(ids, 4, 40)}, '
    model = [
        '', *(['# class_ids: ImageNet\'s id of each class (0..999), in the order of the dataset.'] if shown else []),
        '# micro_batch: images per batch.', f'model = dict(generator=dict({shown}micro_batch=10))',
        'test_dataloader = dict(batch_size=10, num_workers=2, dataset=dataset)',
        '# Images per class: --cfg-options custom_hooks.ClassPlanHook.ipc=50 (10 by default)']
    return _config(['methods/dmgd', 'generators/dit-xl2'], [DIT], data, *model)


def _stable_diffusion(data: Data, training: Path) -> str:
    return _config(
        ['methods/d4m_sd15'], [SD15], data, '',
        "# strength: how far an image may differ from its prototype, 0..1. micro_batch: images per batch.",
        'model = dict(generator=dict(strength=0.7, micro_batch=16))',
        '# The prompts are the class names of the dataset: they must be words, not ids such as n01440764.',
        'test_dataloader = dict(batch_size=16, num_workers=2, dataset=dataset)',
        '# Images per class: --cfg-options custom_hooks.PrototypeHook.ipc=50 (10 by default)')


def _class_unet(data: Data, training: Path) -> str:
    data.number()
    model = [
        '', f'# First: mmdistill train {training}', "model = dict(type='Distiller', generator=dict(",
        f"    type='ClassConditionalGenerator', weights='work_dirs/{training.stem}/export',",
        "    scheduler=dict(type='DDPMScheduler', variance_type='fixed_small', timestep_spacing='linspace'),",
        '    image_size=128, num_steps=50, cfg_scale=4.0, strength=0.7, micro_batch=20))',
        'test_dataloader = dict(batch_size=20, num_workers=2, dataset=dataset)',
        '# Images per class: --cfg-options custom_hooks.PrototypeHook.ipc=50 (10 by default)']
    return _config(['methods/d4m'], [f'those that {training.name} trains', TAESD], data, *model)


def training_text(data: Data, training: Path) -> str:
    """The text of the config that trains a generator for the dataset."""
    masks, number = data.task == 'segmentation', data.number()
    scope = 'mmseg' if masks else 'mmpretrain'
    _, first = next(part_configs(data.cfg))
    size: List[Dict[str, Any]]
    ends: List[Dict[str, Any]]
    loads = [dict(step, _scope_=scope) for step in first.get('pipeline') or [] if 'Load' in str(step['type'])]
    loads = loads or [dict(type='LoadImageFromFile', _scope_=scope)]
    if masks:
        if len(loads) < 2:
            loads.append(dict(type='LoadAnnotations', _scope_=scope))
        size = [dict(type='Resize', scale=data.image_size(*_MASK_SIZE)[::-1], keep_ratio=False)]
        ends = [dict(type='RandomFlip', prob=0.5), dict(type='PackSegInputs')]
        model = (f'unet=dict(num_classes={number}, layout_factor=8, layout_channels=96, '
                 'block_out_channels=(64, 96, 128))')
    else:
        size = [dict(type='ResizeEdge', scale=128, edge='short', backend='pillow'),
                dict(type='CenterCrop', crop_size=128)]
        ends = [dict(type='RandomFlip', prob=0.5, direction='horizontal'), dict(type='PackInputs')]
        model = (f'unet=dict(num_classes={number}, sample_size=16, block_out_channels=(128, 256, 384), '
                 'layers_per_block=2, attention_levels=2)')
    pipeline = [*loads, *(dict(step, _scope_=scope) for step in [*size, *ends])]
    network = 'LayoutDiffusion' if masks else 'ClassDiffusion'
    return '\n'.join([
        '# This trains the generator for the other config: some hours on a GPU.', f'# Weights: {TAESD}',
        "_base_ = 'mmdistill::_base_/schedules/generator.py'", '', f'pipeline = {code(pipeline, before=11)}',
        *_data_lines(data, 'pipeline'), '',
        f"model = dict(type='{network}', cache_latents=True, vae='madebyollin/taesd',", f'             {model})',
        'train_dataloader = dict(batch_size=16, num_workers=2, persistent_workers=True, dataset=dataset)',
        '# During the training, samples for the first batch of this dataset are drawn.',
        f"val_dataloader = dict(batch_size=16, sampler=dict(type='DefaultSampler', shuffle={not masks}), "
        'dataset=dataset)',
        'max_iters = 20000', 'param_scheduler = [_base_.warmup, dict(_base_.cosine, end=max_iters)]',
        'train_cfg = dict(max_iters=max_iters, val_interval=2000)'])


#: The generators of ``mmdistill init``: name → task → function that writes the text of the config.
GENERATORS = {
    'sd15-controlnet++': dict(segmentation=_controlnet),
    'freestylenet': dict(segmentation=_freestyle),
    'dit-xl2': dict(classification=_dit),
    'sd15': dict(classification=_stable_diffusion),
    'train-your-own': dict(segmentation=_layout_unet, classification=_class_unet)}
