"""Looks up published models of mmsegmentation and mmpretrain in their metafiles."""
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Iterator, List, Optional, Tuple, Union

from mmengine.fileio import load

from mmdistill.config import config_path
from mmdistill.errors import DistillError
from mmdistill.settings import nearest


def published_model(config: Union[str, dict], checkpoint: Optional[str], scope: str) -> Tuple[Union[str, dict], str]:
    """Resolve the config and the checkpoint of a model.

    Args:
        config: Path, ``scope::`` name, the ``model`` of a config as a dict, or the name of a model in the metafiles of
            the installed package, such as ``'mask2former_swin-s_8xb2-160k_ade20k-512x512'``.
        checkpoint: Path or URL; None for the published weights of this config.
        scope: ``'mmseg'`` or ``'mmpretrain'``.

    Returns:
        The config as a path or ``scope::`` name (a dict is returned unchanged), and the path or URL of the checkpoint.

    Raises:
        DistillError: There is no such config or model, or it has no published weights.
    """
    if isinstance(config, str):
        config = _config(config, scope)
    if checkpoint is not None:
        return config, checkpoint
    found: List[str] = []
    if isinstance(config, str) and config.startswith(f'{scope}::'):
        place = f'configs/{config.partition("::")[2]}'
        weights = [model.get('Weights') for model in _models(scope, Path(place).stem) if model['Config'] == place]
        found = [urls if isinstance(urls, str) else urls[0] for urls in weights if urls]
    if not found:
        name = config if isinstance(config, str) else 'the given model'
        raise DistillError(f'{scope} publishes no weights for {name}: give checkpoint, a path or a URL')
    return config, found[0]


def _config(config: str, scope: str) -> str:
    """The config, which must exist; for the name of a model, the config in its metafile."""
    if '::' not in config and '/' not in config and not Path(config).is_file():
        model = next((model for model in _models(scope, config) if _is(model, config)), None)
        if model is None:
            names = [model['Name'] for model in _models(scope)]
            raise DistillError(f'{config} is neither a config file nor a model of {scope}{nearest(config, names)}')
        config = f'{scope}::{model["Config"].removeprefix("configs/")}'
    config_path(config)
    return config


def _is(model: dict, name: str) -> bool:
    aliases = model.get('Alias', ())
    return name in (model['Name'], aliases if isinstance(aliases, str) else '', *aliases)


def _models(scope: str, text: str = '') -> Iterator[dict]:
    """Yield the models in an installed package's metafiles that contain ``text``; other files are not parsed."""
    spec = find_spec(scope)
    if spec is None or spec.origin is None:
        raise DistillError(f'{scope} is not installed')
    root = next((folder for folder in (Path(spec.origin).parent / '.mim', Path(spec.origin).parents[1])
                 if (folder / 'model-index.yml').is_file()), None)
    for name in load(root / 'model-index.yml')['Import'] if root else ():
        file = root / name  # type: ignore[operator]
        if file.is_file() and re.search(rf'\b{re.escape(text)}\b' if text else '', file.read_text(encoding='utf-8')):
            content: Any = load(file)
            yield from content.get('Models') or () if isinstance(content, dict) else content
