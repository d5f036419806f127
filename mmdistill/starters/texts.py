"""The texts of the configs that ``mmdistill init`` writes."""
import re
from pathlib import Path
from typing import List, Optional, Sequence

from mmdistill.errors import DistillError
from mmdistill.imagenet import imagenet_ids
from mmdistill.registry import DATASETS
from mmdistill.weights.public import CONTROLNETPP, DIT, FREESTYLENET, SD14, SD15, TAESD
from .data import Data, code, data_lines
from .trainings import guide_file, mask_sizes

# Hub addresses of ControlNet++, and published segmentors for guidance by dataset class of mmseg.
_CONTROLNET = 'limingcv/reward_controlnet/checkpoints/'
_COCO_CONTROLNET = f'{_CONTROLNET}cocostuff/reward_5k'
_ADE_CONTROLNET = f'{_CONTROLNET}ade20k_reward-model-UperNet-R50/checkpoint-5000/controlnet'
GUIDES = dict(
    ADE20KDataset='segformer_mit-b0_8xb2-160k_ade20k-512x512',
    COCOStuffDataset='pspnet_r50-d8_4xb4-80k_coco-stuff164k-512x512',
    COCOStuff='pspnet_r50-d8_4xb4-80k_coco-stuff164k-512x512')


def _config(bases: Sequence[str], weights: Sequence[object], data: Data, *parts: str) -> str:
    """The text of a config: notes about the weights, base configs, the dataset, and ``parts``."""
    named = [f"'mmdistill::_base_/{base}.py'" for base in bases]
    return '\n'.join([
        '# mmdistill distill CONFIG --dry-run checks it, the data and the weights, and estimates the cost.',
        *(f'# Weights: {line}' for line in weights), f'_base_ = [{", ".join(named)}]', '', *data_lines(data), *parts])


def _segmentation(data: Data, model: str, own_guide: Optional[Path] = None) -> List[str]:
    """The lines that are the same for all generators of segmentation; ``own_guide`` trains the segmentor."""
    guide = GUIDES.get(data.dataset_class)
    if own_guide:
        guidance = _guidance(
            f'the segmentor that {own_guide.name} trains. Without it: test_cfg.method=unguided, and no such hook',
            [f'size={mask_sizes(data)[1]},', f"config='{own_guide}',",
             f"checkpoint='work_dirs/{own_guide.stem}/export/model.safetensors'"],
            "window=(0.8, 1.0), norm='rms', scale=0.02")
    elif guide:
        guidance = _guidance('a published segmentor of mmseg, which is downloaded in the first run',
                             [f"config='{guide}'"], "window=(0.25, 1.0), norm='rms', scale=0.05")
    else:
        guidance = [
            '    # Guidance needs a segmentor of these classes: dict(type=\'GuidedSynthesisHook\', segmentor=dict(',
            "    #     type='SegmentorGuide', layers=['backbone'], config='your_config.py', checkpoint='your.pth'),",
            "    #     objectives=[dict(type='SegmentationConsistency')], window=(0.25, 1.0), norm='rms', scale=0.05),"]
    guided = own_guide or guide
    return [
        '', model, '', 'test_dataloader = dict(batch_size=8, num_workers=0, dataset=dataset)',
        "# 'source': the set has the folders of the real data, so mmseg trains on it by data_root alone.",
        f"test_cfg = dict(method='{'D3S2' if guided else 'unguided'}', writer=dict(type='SegWriter', layout='source'))",
        'custom_hooks = [', '    # budget: the share of the masks (0.01) or their number (20).',
        "    dict(type='MaskSelectionHook', selector=dict(type='ClassBalancedGreedy', budget="
        f'{0.01 if guide else 0.05})),', *guidance, "    dict(type='PreviewHook'),", ']']


def _guidance(origin: str, segmentor: Sequence[str], settings: str) -> List[str]:
    """The lines of the guidance by a segmentor with these settings."""
    return [
        f'    # Guidance by {origin}.', "    dict(type='GuidedSynthesisHook',",
        "         segmentor=dict(type='SegmentorGuide', layers=['backbone'],",
        *(f'                        {line}' for line in [*segmentor[:-1], f'{segmentor[-1]}),']),
        "         objectives=[dict(type='SegmentationConsistency', class_weight='balanced'),",
        "                     dict(type='ClassFeatureMatching', weight=0.1)],",
        f'         {settings}),']


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
        f"    scheduler='DPMSolverMultistepScheduler', image_size={mask_sizes(data)[0]}, num_steps=50, "
        'cfg_scale=1.5, micro_batch=4))'])
    guide = guide_file(training)
    return _config(['distill_runtime'], [f'those that {training.name} and {guide.name} train', TAESD], data,
                   *_segmentation(data, model, guide))


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


#: The generators of ``mmdistill init``: name → task → function that writes the text of the config.
GENERATORS = {
    'sd15-controlnet++': dict(segmentation=_controlnet),
    'freestylenet': dict(segmentation=_freestyle),
    'dit-xl2': dict(classification=_dit),
    'sd15': dict(classification=_stable_diffusion),
    'train-your-own': dict(segmentation=_layout_unet, classification=_class_unet)}
