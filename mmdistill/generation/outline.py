"""A generator without weights: its networks from their config files alone, as shapes and dtypes."""
import inspect
import json
from pathlib import Path
from typing import Any, Dict, Mapping

import torch
from torch import nn

from ..errors import DistillError
from ..settings import setting
from ..weights.hub import dtype_of, local_folder
from .counting import META
from .generators import LatentGenerator
from .prompts import PromptEncoder
from .schedulers import load_scheduler

_FOLDERS = dict(unet=('unet', ), network=('transformer', 'unet'), vae=('vae', ), controlnet=('', 'controlnet'))


def outline(cls: type, settings: Mapping[str, Any]) -> LatentGenerator:
    """The generator that ``cls.from_pretrained(**settings)`` would give, on meta tensors, for counting what it costs.

    No weights are read and nothing is fetched.

    Args:
        cls: A :class:`~mmdistill.generation.generators.LatentGenerator`, whose constructor takes modules by the names
            ``vae``, ``unet``, ``network``, ``controlnet``, ``prompts``, ``scheduler``.
        settings: Of ``from_pretrained``, as in a config, with what the dataset gives (``classes``, ``palette``).

    Raises:
        DistillError: The configs are not there, or a module of another name is asked for.
    """
    if not (inspect.isclass(cls) and issubclass(cls, LatentGenerator)):
        raise DistillError(f'{getattr(cls, "__name__", cls)} is no LatentGenerator')
    settings = {key: value for key, value in settings.items() if key not in ('type', '_scope_', 'compile')}
    folder = config_folder(settings.pop('weights'), 'vae' if 'vae' in cls.parts else '')
    dtype = dtype_of(setting(cls, settings, 'dtype'))
    modules: Dict[str, Any] = {}
    for name, parameter in inspect.signature(cls).parameters.items():
        if parameter.kind is not parameter.POSITIONAL_OR_KEYWORD:
            continue
        if name == 'scheduler':
            modules[name] = load_scheduler(folder, settings.pop('scheduler', None))
        elif name == 'prompts':
            modules[name] = _BlankPrompts(folder, dtype)
        elif name in _FOLDERS:
            source = config_folder(settings.pop(name), '') if name in settings else folder
            modules[name] = network_of(_part(source, name), torch.float32 if name == 'vae' else dtype)
        else:
            raise DistillError(f'{cls.__name__} takes a module {name}, of which no outline is known')
    if guidance_vae := settings.pop('guidance_vae', None):
        settings['guidance_vae'] = network_of(_part(config_folder(guidance_vae, ''), 'vae'), torch.float32)
    return cls(**modules, **settings)


def config_folder(weights: str, part: str = '') -> Path:
    """The folder with the configs of ``weights``: local, or the snapshot in the hub's local cache.

    Args:
        weights: See :func:`~mmdistill.weights.hub.local_folder`.
        part: A sub-folder whose ``config.json`` has to be there.
    """
    folder = local_folder(weights)
    if folder is None:
        from huggingface_hub import try_to_load_from_cache
        name = f'{part}/config.json' if part else 'config.json'
        if not isinstance(found := try_to_load_from_cache(str(weights), name), str):
            raise DistillError(f'the configs of {weights} are not in the local cache of the hub: the first run fetches '
                               'them, or give a folder')
        folder = Path(found).parents[1 if part else 0]
    return folder


def network_of(folder: Path, dtype: torch.dtype) -> nn.Module:
    """The frozen network that a ``config.json`` describes, on meta tensors, by the name of its class."""
    import diffusers

    from . import unets
    config = _read(folder)
    name = str(config.pop('_class_name', None))
    if name == 'Transformer2DModel':  # what DiT was called before diffusers 0.30
        name = 'DiTTransformer2DModel'
    cls: Any = getattr(unets, name, None) or getattr(diffusers, name, None)
    if cls is None or not hasattr(cls, 'from_config'):
        raise DistillError(f'{folder} holds a {name}, which is no network of diffusers')
    known = inspect.signature(cls).parameters  # saved configs have others, too, from other versions
    with META:
        network = cls.from_config({key: value for key, value in config.items() if key in known})
    return nn.Module.to(network, META, dtype).eval().requires_grad_(False)  # diffusers' own `to` warns of casts


def _part(folder: Path, name: str) -> Path:
    """The folder of a part of the weights; the folder itself where it holds that part alone."""
    places = [folder / part for part in _FOLDERS[name]] + [folder]
    return next((place for place in places if (place / 'config.json').is_file()), places[0])


def _read(folder: Path) -> Dict[str, Any]:
    try:
        return json.loads((folder / 'config.json').read_text())
    except (OSError, ValueError):
        raise DistillError(f'no readable config.json in {folder}') from None


class _BlankPrompts(PromptEncoder):
    """A text encoder of ``folder``, whose embeddings are shapes alone: it is asked once for each image, which is
    little of the cost, but its weights take memory. The tokenizer is the real one where it is there."""

    def __init__(self, folder: Path, dtype: torch.dtype) -> None:
        from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer
        config = CLIPTextConfig(**_read(folder / 'text_encoder'))
        with META:
            text_encoder = CLIPTextModel(config)
        self.text_encoder: Any = text_encoder.to(META, dtype).eval().requires_grad_(False)
        self.limit = config.max_position_embeddings
        try:
            self.tokenizer = CLIPTokenizer.from_pretrained(folder / 'tokenizer', local_files_only=True)
        except Exception:  # transformers raises half a dozen classes for files that are missing
            self.tokenizer = None

    def fits(self, text: str) -> bool:
        return True

    def __call__(self, text: str) -> torch.Tensor:
        return torch.empty(1, self.limit, self.text_encoder.config.hidden_size, device=META)
