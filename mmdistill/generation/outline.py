"""Generators without weights: networks on the meta device, built from their config files."""
import inspect
import logging
from pathlib import Path
from typing import Any, Dict, Mapping

import torch
from torch import nn

from ..errors import DistillError
from ..settings import setting
from ..weights.configs import class_in, config_errors, read_config
from ..weights.hub import dtype_of, known_configs
from .counting import META
from .generators import LatentGenerator
from .prompts import PromptEncoder
from .schedulers import load_scheduler

# Possible sub-folders of the constructor's modules; a module may also be in the folder itself.
_FOLDERS = dict(unet=('unet', ), network=('transformer', 'unet'), vae=('vae', ), controlnet=('controlnet', ))


class NoOutline(DistillError):
    """The networks cannot be built without their weights. The settings may still be correct."""


def outline(cls: type, settings: Mapping[str, Any]) -> LatentGenerator:
    """The generator ``cls.from_pretrained(**settings)`` on the meta device, for cost estimates.

    No weights are read, and nothing is downloaded.

    Args:
        cls: A subclass of :class:`~mmdistill.generation.generators.LatentGenerator`, whose constructor takes modules by
            the names ``vae``, ``unet``, ``network``, ``controlnet``, ``prompts``, ``scheduler``.
        settings: Settings of ``from_pretrained`` as in a config, and those from the dataset (``classes``, ``palette``).

    Raises:
        NoOutline: Configs are missing, or the constructor takes a module of another name.
        DistillError: The settings do not fit the weights.

    Example:
        >>> from mmdistill.generation import ClassConditionalGenerator
        >>> generator = outline(ClassConditionalGenerator, dict(weights='mmdistill://objects'))
        >>> generator.image_size, next(generator.vae.parameters()).device.type
        ((64, 64), 'meta')
    """
    if not (inspect.isclass(cls) and issubclass(cls, LatentGenerator)):
        raise NoOutline(f'{getattr(cls, "__name__", cls)} is not a LatentGenerator')
    settings = {key: value for key, value in settings.items() if key not in ('type', '_scope_', 'compile')}
    try:
        modules = _modules(cls, settings)
    except DistillError as error:
        raise NoOutline(str(error)) from None
    logger = logging.getLogger('mmdistill')
    level = logger.level
    logger.setLevel(logging.ERROR)  # the generator logs its warnings when it is loaded
    try:
        return cls(**modules, **settings)
    finally:
        logger.setLevel(level)


def _modules(cls: type, settings: Dict[str, Any]) -> Dict[str, Any]:
    """The modules of the constructor by name. Their settings are removed from ``settings``."""
    config = settings.pop('config', None)
    folder = known_configs(settings.pop('weights'), config)
    dtype, modules = dtype_of(setting(cls, settings, 'dtype')), dict[str, Any]()
    for name, parameter in inspect.signature(cls).parameters.items():
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
            value = settings.pop(name, None)  # a scheduler, or other weights for this module
            modules[name] = load_scheduler(folder, value) if name == 'scheduler' else _module(
                name, known_configs(value, config or str(folder)) if value else folder, dtype)
    if guidance_vae := settings.pop('guidance_vae', None):
        modules['guidance_vae'] = _module('vae', known_configs(guidance_vae, config or str(folder)), dtype)
    return modules


def _module(name: str, folder: Path, dtype: torch.dtype) -> Any:
    """Build the module ``name`` of the constructor on the meta device."""
    if name == 'prompts':
        return _BlankPrompts(folder, dtype)
    if name not in _FOLDERS:
        raise DistillError(f'the generator takes a module {name}, which cannot be built without weights')
    places = [*(folder / part for part in _FOLDERS[name]), folder]
    place = next((place for place in places if (place / 'config.json').is_file()), places[0])
    return network_of(place, torch.float32 if name == 'vae' else dtype)


def network_of(folder: Path, dtype: torch.dtype) -> nn.Module:
    """The frozen network of a ``config.json`` on the meta device, by the name of its class."""
    import diffusers

    from . import unets
    config = read_config(folder)
    name = class_in(config)
    cls: Any = getattr(unets, name, None) or getattr(diffusers, name, None)
    if cls is None or not hasattr(cls, 'from_config'):
        raise DistillError(f'{folder} holds {name}, which is not a network of diffusers')
    known = inspect.signature(cls).parameters  # saved configs may have arguments of other versions
    with META, config_errors(f'{name} in {folder}'):
        network = cls.from_config({key: value for key, value in config.items() if key in known})
    return nn.Module.to(network, META, dtype).eval().requires_grad_(False)  # diffusers' own `to` warns of casts


class _BlankPrompts(PromptEncoder):
    """The text encoder of ``folder`` on the meta device.

    Its computation is negligible (once per image), but its weights take memory. The tokenizer is real if it exists.
    """

    def __init__(self, folder: Path, dtype: torch.dtype) -> None:
        from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer
        with META, config_errors(f'{folder}/text_encoder'):
            config = CLIPTextConfig(**read_config(folder / 'text_encoder'))
            text_encoder = CLIPTextModel(config)
        nn.Module.to(text_encoder, META, dtype)
        self.text_encoder: Any = text_encoder.eval().requires_grad_(False)
        self.limit = config.max_position_embeddings
        try:
            self.tokenizer = CLIPTokenizer.from_pretrained(folder / 'tokenizer', local_files_only=True)
        except Exception:  # transformers raises many different errors for missing files
            self.tokenizer = None

    def fits(self, text: str) -> bool:
        return True

    def length(self, text: str) -> int:
        return 1

    def __call__(self, text: str) -> torch.Tensor:
        return torch.empty(1, self.limit, self.text_encoder.config.hidden_size, device=META)
