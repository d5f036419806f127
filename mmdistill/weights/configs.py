"""Reads the config files of weights, whose content is not trusted."""
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator, Mapping

from ..documents import read_document
from ..errors import DistillError, is_fault_of_machine, one_line, unfit

#: diffusers < 0.30 used one class name for several networks, distinguished by ``norm_type`` (as in diffusers).
_FORMER_NAMES = {('Transformer2DModel', 'ada_norm_zero'): 'DiTTransformer2DModel'}


def read_config(folder: Path, name: str = 'config.json') -> Dict[str, Any]:
    """The JSON object in a config file of a folder; raises a DistillError if it cannot be read."""
    try:
        return read_document(folder / name)
    except (OSError, ValueError) as error:
        reason = 'there is no such file' if isinstance(error, FileNotFoundError) else one_line(error)
        raise unfit(f'no readable {name} in {folder} ({reason}): copy or download the weights again') from None


def class_in(config: Mapping[str, Any]) -> str:
    """Current name of the class in a config of diffusers; ``'None'`` if it has none."""
    name, norm = (one_line(str(config.get(key)), 60) for key in ('_class_name', 'norm_type'))
    return _FORMER_NAMES.get((name, norm), name)


@contextmanager
def config_errors(where: str) -> Iterator[None]:
    """Replace the exceptions of a library that builds something from a config by a DistillError about ``where``."""
    try:
        yield
    except Exception as error:  # diffusers, transformers and safetensors raise many different errors
        if isinstance(error, DistillError) or is_fault_of_machine(error):
            raise
        raise unfit(f'{where}: {one_line(error)}') from None
