"""``mmdistill init``: writes a first config for a dataset and a generator."""
from pathlib import Path
from typing import Optional

from mmdistill.errors import DistillError
from mmdistill.files import write_atomic
from .data import Data, read_data
from .texts import GENERATORS, GUIDES
from .trainings import guide_file, guide_text, training_text

__all__ = ['GENERATORS', 'write_config']


def write_config(out: str, path: str, generator: Optional[str] = None) -> str:
    """Write a commented config that distils a dataset.

    Args:
        out: Path of the new config, a ``.py`` file.
        path: Config of the dataset, see :func:`read_data`.
        generator: One of :data:`GENERATORS`. Default: ControlNet++ for ADE20K and COCO-Stuff, a generator to be trained
            for other masks, Stable Diffusion 1.5 for classification.

    Returns:
        Lines of text: the written files, the weights that they need, and the next commands.

    Raises:
        DistillError: A file exists already, the dataset cannot be distilled, or the generator does not fit its task.
    """
    file = Path(out)
    if file.suffix != '.py':
        raise DistillError(f'{out}: a config is a Python file: use a name that ends in .py')
    data = read_data(path)
    generator = generator or _default(data)
    _check(generator, data)
    training = file.with_name(f'{file.stem}_generator.py')
    texts = {file: GENERATORS[generator][data.task](data, training)}
    if generator == 'train-your-own':
        texts[training] = training_text(data)
        if data.task == 'segmentation':
            texts[guide_file(training)] = guide_text(data)
    if existing := [str(target) for target in texts if target.exists()]:
        raise DistillError(f'{existing[0]} exists: remove it, or choose another name')
    origin = f'mmdistill init {out}\n#   --dataset {path} --generator {generator}'
    for target, text in texts.items():
        with_head = f'# Written by: {origin}\n{text}'
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(target, '\n'.join(map(str.rstrip, with_head.splitlines())).encode() + b'\n')
    weights = [line[2:] for line in texts[file].splitlines() if line.startswith('# Weights: ')]
    commands = [f'mmdistill distill {out} --dry-run', f'mmdistill distill {out}']
    commands = [*(f'mmdistill train {name}' for name in texts if name != file), *commands]
    return '\n'.join([*(f'Written: {target}' for target in texts), *weights, 'Next:',
                      *(f'  {command}' for command in commands)])


def _default(data: Data) -> str:
    """The default generator for a dataset."""
    if data.task == 'classification':
        return 'sd15'
    return 'sd15-controlnet++' if data.dataset_class in GUIDES else 'train-your-own'


def _check(generator: str, data: Data) -> None:
    if data.task not in GENERATORS[generator]:
        fitting = ', '.join(name for name, tasks in GENERATORS.items() if data.task in tasks)
        raise DistillError(f'--generator {generator}: it is not for {data.task}, the task of {data.dataset_class}: '
                           f'use {fitting}')
