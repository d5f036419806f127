"""Converts checkpoints of the original Stable Diffusion code to diffusers folders."""
import shutil
from pathlib import Path
from typing import Any, Dict, Optional, Tuple

from diffusers import UNet2DConditionModel
from torch import Tensor

from ..errors import DistillError
from ..weights.checkpoints import load_weights
from ..weights.configs import config_errors, read_config
from ..weights.hub import config_folder, dtype_of
from ..weights.single_file import converted

#: Config of the UNet of Stable Diffusion 1.x, as far as it differs from diffusers' defaults.
STABLE_DIFFUSION_1 = dict(sample_size=64, cross_attention_dim=768)
_PREFIX = 'model.diffusion_model.'


def convert_unet(checkpoint: str, folder: str, like: Optional[str] = None, dtype: Optional[str] = None) -> Path:
    """Write the UNet of a checkpoint with CompVis' tensor names, such as FreestyleNet's, to a diffusers folder.

    Only tensors are read. The autoencoder and text encoder in the file are not converted, since the base model's
    are used; averaged weights (``model_ema.*``) are not converted either.

    Args:
        checkpoint: File (``.ckpt``, ``.pth``, ``.safetensors``).
        folder: New or empty folder for ``config.json`` and ``diffusion_pytorch_model.safetensors``.
        like: Folder or hub address of weights with the same UNet config; default: Stable Diffusion 1.x.
        dtype: ``'float32'``, ``'bfloat16'`` or ``'float16'``; default: as in the checkpoint.

    Returns:
        The folder.

    Raises:
        DistillError: The checkpoint cannot be read, its UNet is missing or has another config, or the folder is not
            empty.
    """
    target = Path(folder).expanduser()
    if target.is_file() or target.is_dir() and any(target.iterdir()):
        raise DistillError(f'{target} is not empty: give the converted weights a folder of their own')
    config = _config(like, checkpoint)
    found = {name[len(_PREFIX):]: value for name, value in load_weights(checkpoint).items() if name.startswith(_PREFIX)}
    if not found:
        raise DistillError(f'{checkpoint} holds no UNet of the original Stable Diffusion code, whose tensors are named '
                           f'{_PREFIX}*: give a .ckpt file of that code')
    network, tensors = _converted(found, config, checkpoint)
    if dtype is not None:
        tensors = {name: value.to(dtype_of(dtype)) for name, value in tensors.items()}
    network.load_state_dict(tensors, assign=True)
    part = target.with_name(f'{target.name}.part')
    shutil.rmtree(part, ignore_errors=True)
    network.save_pretrained(part)
    if target.is_dir():
        target.rmdir()
    return part.rename(target)


def _config(like: Optional[str], checkpoint: str) -> Dict[str, Any]:
    if like is None:
        return STABLE_DIFFUSION_1
    folder = config_folder(like, checkpoint, ('unet', ))
    place = folder / 'unet' if (folder / 'unet').is_dir() else folder
    try:
        return read_config(place)
    except DistillError:
        raise DistillError(f'no config.json of a UNet in {place}: give a diffusers folder') from None


def _converted(found: Dict[str, Tensor], config: Dict[str, Any], checkpoint: str) -> Tuple[Any, Dict[str, Tensor]]:
    """A UNet on the meta device, and all its tensors; raises a DistillError for missing, unknown or wrong tensors."""
    with config_errors(f'the config for {checkpoint}'):
        try:
            network, tensors = converted(UNet2DConditionModel, config,
                                         {_PREFIX + name: value for name, value in found.items()})
        except KeyError as error:
            raise DistillError(f'{checkpoint} does not match this UNet config: it has no {_PREFIX}{error.args[0]}'
                               ) from None
    wanted = network.state_dict()
    used = set(map(id, tensors.values()))
    problems = [*(f'{name} is missing' for name in wanted if name not in tensors),
                *(f'{name} is unknown' for name in tensors if name not in wanted),
                *(f'{_PREFIX}{name} is unknown' for name, value in found.items() if id(value) not in used),
                *(f'{name} is {tuple(tensors[name].shape)} instead of {tuple(value.shape)}'
                  for name, value in wanted.items() if name in tensors and tensors[name].shape != value.shape)]
    if problems:
        raise DistillError(f'{checkpoint} does not match this UNet config: {len(problems)} tensors do not fit, the '
                           f'first: {problems[0]}')
    return network, tensors
