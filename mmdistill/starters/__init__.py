"""Configs to begin with: ``mmdistill init`` writes one for a dataset and a generator."""
from pathlib import Path
from typing import Optional

from mmdistill.errors import DistillError
from mmdistill.files import write_atomic
from .data import Data, read_data
from .texts import GENERATORS, GUIDES, training_text

__all__ = ['GENERATORS', 'write_config']


def write_config(out: str, path: str, generator: Optional[str] = None) -> str:
    """Write a commented config that distils the dataset of the config ``path``; what to do next, in lines.

    Args:
        out: The new config, a ``.py`` file.
        path: See :func:`read_data`.
        generator: One of :data:`GENERATORS`; by default ControlNet++ for ADE20K and COCO-Stuff, one to be trained for
            other masks, Stable Diffusion 1.5 for classes.

    Raises:
        DistillError: A file is there already, the dataset cannot be distilled, or the generator is not for it.
    """
    file = Path(out)
    if file.suffix != '.py':
        raise DistillError(f'{out}: a config is a Python file: give a name that ends in .py')
    data = read_data(path)
    generator = generator or _default(data)
    _check(generator, data)
    training = file.with_name(f'{file.stem}_generator.py')
    texts = {file: GENERATORS[generator][data.task](data, training)}
    if generator == 'train-your-own':
        texts[training] = training_text(data, training)
    if there := [str(one) for one in texts if one.exists()]:
        raise DistillError(f'{there[0]} exists: remove it, or choose another name')
    command = f'mmdistill init {out}\n#   --dataset {path} --generator {generator}'
    for one, text in texts.items():
        with_head = f'# Written by: {command}\n{text}'
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(one, '\n'.join(map(str.rstrip, with_head.splitlines())).encode() + b'\n')
    weights = [line[2:] for line in texts[file].splitlines() if line.startswith('# Weights: ')]
    commands = [f'mmdistill distill {out} --dry-run', f'mmdistill distill {out}']
    if training in texts:
        commands.insert(0, f'mmdistill train {training}')
    return '\n'.join([*(f'Written: {one}' for one in texts), *weights, 'Next:', *(f'  {one}' for one in commands)])


def _default(data: Data) -> str:
    """The generator for a dataset where the user names none."""
    if data.task == 'classification':
        return 'sd15'
    return 'sd15-controlnet++' if data.dataset_class in GUIDES else 'train-your-own'


def _check(generator: str, data: Data) -> None:
    if data.task not in GENERATORS[generator]:
        fitting = ', '.join(name for name, tasks in GENERATORS.items() if data.task in tasks)
        raise DistillError(f'--generator {generator}: it is not for {data.task}, the task of {data.dataset_class}: '
                           f'take {fitting}')
