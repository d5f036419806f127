"""Loads networks of Stable Diffusion 1.x from single files, with diffusers' conversion."""
import struct
from pathlib import Path
from typing import Any, Dict, Iterable, Tuple

import torch
from torch import Tensor

from ..documents import parse_object
from ..errors import DistillError, unfit
from .checkpoints import load_checkpoint, read_shapes
from .configs import config_errors, read_config
from .layout import LOADABLE

_SAVE = 'load it with diffusers ({}.from_single_file) and save it with save_pretrained'
#: Prefix of a tensor's name → type of a file with such a tensor, and advice.
_OTHERS = (
    ('conditioner.embedders.', 'Stable Diffusion XL, and the generators take 1.x and 2.x'),
    ('cond_stage_model.model.', f'Stable Diffusion 2.x: {_SAVE.format("StableDiffusionPipeline")}'),
    ('joint_blocks.', 'Stable Diffusion 3, and the generators take 1.x and 2.x'),
    ('double_blocks.', 'Flux, and the generators take Stable Diffusion 1.x and 2.x'),
    ('blocks.0.adaLN_modulation.', "an original DiT checkpoint: convert it with diffusers' "
     'scripts/convert_dit_to_diffusers.py, or give facebook/DiT-XL-2-256'),
    ('lora_', 'LoRA weights, not a model: merge them into a model with diffusers (fuse_lora) and save that'),
    ('down_blocks.', 'a single network in the layout of diffusers: put it into a folder with its config.json, as '
     'diffusion_pytorch_model.safetensors or .bin'),
    ('transformer_blocks.', 'a single network in the layout of diffusers: put it into a folder with its config.json, '
     'as diffusion_pytorch_model.safetensors or .bin'),
    *((name, 'a checkpoint of `mmdistill train`: give the folder export beside it') for name in (
        'autoencoder.', 'unet.')),
    ('backbone.', "a network of OpenMMLab, not a generator's"),
)


def check_single(path: Path) -> None:
    """Raise a DistillError if a file cannot be loaded, judging by its suffix and the names of its tensors."""
    if not path.name.endswith(LOADABLE):
        raise DistillError(f'{path} is not a supported file of weights: give one of {", ".join(LOADABLE)}, or a '
                           'diffusers folder')
    if path.suffix == '.safetensors':
        try:
            with open(path, 'rb') as stream:
                size, = struct.unpack('<Q', stream.read(8))
                names = parse_object(stream.read(min(size, path.stat().st_size)))
        except (OSError, ValueError, struct.error):
            raise DistillError(f'{path} is not a complete safetensors file: download it again') from None
    else:
        names = read_shapes(str(path))
    _identify(names, path)


def read_single(path: Path) -> Dict[str, Tensor]:
    """The tensors of a single file, by their original names.

    Raises:
        DistillError: The file cannot be read, or contains another model.
    """
    state = {name: value for name, value in load_checkpoint(str(path))['state_dict'].items()
             if isinstance(value, Tensor)}
    _identify(state, path)
    return state


def _identify(names: Iterable[str], path: Path) -> None:
    """Raise a DistillError if tensor names belong to an unsupported model; the message says which."""
    names = {name.removeprefix('module.') for name in names}
    for start, what in _OTHERS:
        if any(name.startswith(start) for name in names):
            raise DistillError(f'{path} is {what}')


def load_single(known: Any, state: Dict[str, Tensor], folder: Path, dtype: torch.dtype, path: Path) -> Any:
    """Build the frozen network of a single file.

    Args:
        known: ``UNet2DConditionModel``, ``AutoencoderKL``, ``ControlNetModel`` or ``CLIPTextModel``.
        state: Tensors of the file, with the names of Stable Diffusion 1.x.
        folder: Folder with the ``config.json`` of the network; for a ControlNet, of its UNet.
        dtype: Type of the parameters.
        path: The file, for messages.

    Raises:
        DistillError: Tensors are missing or have other shapes.
    """
    where = f'{known.__name__} in {path}'
    with config_errors(where):
        if known.__name__ == 'CLIPTextModel':
            prefix = 'cond_stage_model.transformer.'
            network = known(known.config_class.from_pretrained(folder, local_files_only=True))
            tensors = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
            if not hasattr(network, 'text_model'):  # transformers 5 has no module text_model
                tensors = {name.removeprefix('text_model.'): value for name, value in tensors.items()}
        else:
            config = read_config(folder)
            if known.__name__ == 'ControlNetModel':
                config = _control_config(config, state)
            network, tensors = converted(known, config, state)
        missing = sorted(set(network.state_dict()) - set(tensors))
        if missing:
            raise unfit(f'{where}: {len(missing)} tensors are missing, the first is {missing[0]}')
        network.load_state_dict(tensors, strict=False, assign=network.device.type == 'meta')
    return network.to(dtype).eval().requires_grad_(False)


def converted(known: Any, config: Dict[str, Any], state: Dict[str, Tensor]) -> Tuple[Any, Dict[str, Tensor]]:
    """Build a diffusers network on the meta device, and convert the tensors of a single file to its names.

    Raises:
        KeyError: The file lacks a tensor; the key is its name.
    """
    from diffusers.loaders.single_file_model import SINGLE_FILE_LOADABLE_CLASSES
    with torch.device('meta'):
        network = known.from_config(config)
    conversions: Any = SINGLE_FILE_LOADABLE_CLASSES[known.__name__]
    return network, conversions['checkpoint_mapping_fn'](checkpoint=dict(state), config=dict(network.config))


def _control_config(unet: Dict[str, Any], state: Dict[str, Tensor]) -> Dict[str, Any]:
    """The config of a ControlNet from its UNet's config, with the channels of the control image from the file."""
    from diffusers import ControlNetModel, UNet2DConditionModel
    with torch.device('meta'):
        network: Any = ControlNetModel.from_unet(UNet2DConditionModel.from_config(unet), load_weights_from_unet=False)
    hint: Tensor = next(value for name, value in state.items() if name.endswith('input_hint_block.0.weight'))
    return dict(network.config, conditioning_channels=hint.shape[1])
