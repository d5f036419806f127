"""The command line ``mmdistill`` or ``python -m mmdistill``. Mistakes of the user are reported in one line."""
import argparse
import logging
import math
import re
from typing import Callable, Optional, Sequence

from . import commands, stopping, terminal
from .command_config import LAUNCHERS
from .errors import DistillError, SeveralErrors, disk_failed, one_line, out_of_memory, unregistered
from .version import __version__

_CONFIG = 'config file, or package::path for a config of an installed package'


def parser() -> argparse.ArgumentParser:
    """Create the parser of the command line."""
    top = argparse.ArgumentParser('mmdistill', description='Dataset distillation with diffusion models for OpenMMLab.',
                                  epilog='Options of a command: mmdistill COMMAND --help')
    top.add_argument('--version', action='version', version=f'mmdistill {__version__}')
    subparsers = top.add_subparsers(title='commands', metavar='COMMAND', dest='command', required=True)

    def add(function: Callable[[argparse.Namespace], None]) -> argparse.ArgumentParser:
        text = function.__doc__ or ''
        name = function.__name__.replace('_', '-')
        added = subparsers.add_parser(name, help=text.partition('\n')[0], description=text)
        added.set_defaults(run=function)
        return added

    command = add(commands.init)
    command.add_argument('out', metavar='NEW.py', help='the new config')
    command.add_argument('--dataset', required=True, metavar='CONFIG', help='dataset file or training config of mmseg, '
                         'mmpretrain or mmdistill: mmseg::_base_/datasets/ade20k.py, or a path')
    command.add_argument('--generator', choices=commands.GENERATORS, help='sd15-controlnet++, freestylenet: for masks; '
                         'dit-xl2, sd15: for classes; train-your-own: for both. By default one that fits the dataset')
    distill, train, evaluate = runs = [add(commands.distill), add(commands.train), add(commands.evaluate)]
    for command in runs:  # the usual arguments of OpenMMLab's tools
        command.add_argument('config', help=_CONFIG)
        command.add_argument('--work-dir', help='folder for all output; work_dirs/<name of the config> by default')
        _add_cfg_options(command)
        command.add_argument('--launcher', choices=['none', *LAUNCHERS], default='none')
        command.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)
    for command in (distill, train):
        command.add_argument('--resume', action='store_true', help='continue the run in the work dir')
    distill.add_argument('--dry-run', action='store_true',
                         help='check the config, write the plan, print it and its cost, and stop')
    for command in (train, evaluate):
        command.add_argument('--dry-run', action='store_true',
                             help='check config, data and weights, print what would be trained, and stop')
    distill.add_argument('--tflops', type=_rate, metavar='RATE',
                         help='speed of a device in TFLOP/s, to estimate the time')
    evaluate.add_argument('--workers', type=_positive,
                          help='number of students trained at a time; on a CPU by default the number of cores, up to 4')
    command = add(commands.label)
    command.add_argument('config', help=f'{_CONFIG}: a training with labels=dict(teacher=...)')
    command.add_argument('--batch-size', type=_positive, default=64, help='views per batch of the teacher')
    command.add_argument('--workers', type=int, default=2, help='number of processes that load images')
    command.add_argument('--device', help='device of the teacher; a GPU by default, if there is one')
    _add_cfg_options(command)
    command = add(commands.convert)
    command.add_argument('form', choices=['stuffthingmaps', 'json', 'mat'], help='format of the masks')
    command.add_argument('masks', help='folder of the PNG or .mat files, or stuff_*.json')
    command.add_argument('--things', default='', metavar='JSON', help='instances_*.json that belongs to stuff_*.json')
    command.add_argument('--out', required=True, help='folder of the new files')
    command.add_argument('--images', default='', help='folder of images: convert only the masks of these images')
    command.add_argument('--names', default='', metavar='FILE',
                         help='text file with one file stem per line: convert only these masks')
    command.add_argument('--crowds', action='store_true', help='include crowd annotations of things (JSON)')
    command.add_argument('--workers', type=_positive, help='number of processes; by default the number of cores')
    command = add(commands.convert_unet)
    command.add_argument('checkpoint', help='.ckpt, .pth or .safetensors file of the original Stable Diffusion code')
    command.add_argument('folder', help='folder of the converted UNet, new or empty')
    command.add_argument('--like', metavar='WEIGHTS', help='folder or hub address with a UNet of the same config; '
                         'Stable Diffusion 1.x by default')
    command.add_argument('--dtype', choices=['float32', 'bfloat16', 'float16'],
                         help='by default that of the checkpoint')
    command = add(commands.verify)
    command.add_argument('sets', nargs='+', metavar='DIR', help='distilled sets, or work dirs that contain them')
    command = add(commands.export)
    command.add_argument('set', metavar='DIR', help='distilled set, or a work dir that contains it')
    command.add_argument('out', help='new folder')
    command.add_argument('--to', choices=['imagefolder', 'ddranking', 'webdataset'], default='imagefolder')
    command.add_argument('--shard-images', type=_positive, default=1000, help='images in a tar file of webdataset')
    command.add_argument('--results', action='append', default=[], metavar='WORK_DIR',
                         help='work dir of mmdistill evaluate whose table is added to the dataset card')
    command = add(commands.report)
    command.add_argument('work_dirs', nargs='+', metavar='WORK_DIR',
                         help='finished work dirs, in the order in which they are shown')
    command.add_argument('--out', help='the HTML file; report.html in the first work dir by default')
    command.add_argument('--title', help='heading of the page')
    command.add_argument('--data-root', action='append', default=[], metavar='DIR',
                         help='folder of the real data, to show real images beside the distilled ones')
    return top


def _add_cfg_options(command: argparse.ArgumentParser) -> None:
    command.add_argument('--cfg-options', nargs='+', action='extend', type=_option, default=[], metavar='KEY=VALUE',
                         help='settings of the config to change: a.b=c')


def _option(text: str) -> str:
    if not text.partition('=')[0].strip() or '=' not in text:
        raise argparse.ArgumentTypeError(f'{text!r} is not KEY=VALUE')
    return text


def _rate(text: str) -> float:
    try:
        if 0 < (rate := float(text)) < math.inf:
            return rate
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f'{text!r} is not a number above 0')


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text!r} is not a number of at least 1')
    return int(text)


def run(function: Callable[..., None], *args) -> None:
    """Call a function. Mistakes of the user and faults of the machine are printed in one line each, with exit status 1.

    Signals are printed in one line too, with the usual exit status of shells (:mod:`mmdistill.stopping`).
    """
    logging.raiseExceptions = False  # no traceback if the log cannot be written
    with stopping.begin() as process:
        try:
            with terminal.quiet():
                function(*args)
        except BrokenPipeError:  # as in `mmdistill verify DIR | head`
            process.leave(1)
        except Exception as error:
            several = error.errors if isinstance(error, SeveralErrors) else []
            message = '\nerror: '.join(_line(one) or '' for one in several) or _line(error)
            if message is not None:
                process.fail(f'error: {message}')
            if process.world == 1:
                raise
            process.crash(error)


def _line(error: Exception) -> Optional[str]:
    """The line to print for an exception; None for unexpected exceptions, which get a traceback."""
    text = one_line(error)
    if isinstance(error, DistillError):
        # MMEngine's registries put the name of the class before the message, and DataLoader a worker's traceback.
        return re.sub(r'^(Caught .* Original Traceback .*\bmmdistill\.errors\.\w+: )?(class `\w+` in \S+: )*', '',
                      one_line(error, None))
    if isinstance(error, KeyError):
        return unregistered(error)
    if disk_failed(error):
        where = f' {error.filename}' if error.filename else ''
        return f'cannot write{where}: {error.strerror}; free the disk. {stopping.current.kept_files_message()}'
    if out_of_memory(error):
        return f'out of memory ({text}): generate fewer images at a time, or smaller ones'
    if isinstance(error, RuntimeError) and 'DataLoader worker' in text:
        return (f'a process that reads data was killed or ran out of memory ({text}): run the command '
                'again, with fewer workers')
    if isinstance(error, RuntimeError) and 'PytorchStreamWriter failed' in text:
        return ('cannot write a checkpoint, perhaps the disk is full: free it. '
                f'{stopping.current.kept_files_message()}')
    return None


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Run the command line ``argv``; default: the arguments of the process."""
    args = parser().parse_args(argv)
    run(args.run, args)
