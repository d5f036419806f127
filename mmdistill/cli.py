"""The command ``mmdistill``, also ``python -m mmdistill``: its arguments, and one line for a user's mistake."""
import argparse
import errno
import logging
import math
import re
from typing import Callable, Optional, Sequence

from . import commands, stopping, terminal
from .errors import DistillError
from .version import __version__

_DISK = [getattr(errno, name, None) for name in ('ENOSPC', 'EDQUOT', 'EROFS', 'EIO', 'EFBIG')]
_CONFIG = 'config file, or package::path for one that an installed package brings'


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser('mmdistill', description='Dataset distillation with diffusion models for OpenMMLab.',
                                  epilog='Options of a command: mmdistill COMMAND --help')
    top.add_argument('--version', action='version', version=f'mmdistill {__version__}')
    subparsers = top.add_subparsers(title='commands', metavar='COMMAND', dest='command', required=True)

    def add(command: Callable[[argparse.Namespace], None]) -> argparse.ArgumentParser:
        text = command.__doc__ or ''
        name = command.__name__.replace('_', '-')
        added = subparsers.add_parser(name, help=text.partition('\n')[0], description=text)
        added.set_defaults(run=command)
        return added

    one = add(commands.init)
    one.add_argument('out', metavar='NEW.py', help='the new config')
    one.add_argument('--dataset', required=True, metavar='CONFIG', help='dataset file or training config of mmseg, '
                     'mmpretrain or mmdistill: mmseg::_base_/datasets/ade20k.py, or a path')
    one.add_argument('--generator', choices=commands.GENERATORS, help='sd15-controlnet++, freestylenet: for masks; '
                     'dit-xl2, sd15: for classes; train-your-own: for both. By default one that fits the dataset')
    distill, train, evaluate = runs = [add(commands.distill), add(commands.train), add(commands.evaluate)]
    for one in runs:  # the usual arguments of OpenMMLab's tools
        one.add_argument('config', help=_CONFIG)
        one.add_argument('--work-dir', help='where everything goes; work_dirs/<name of the config> by default')
        _add_cfg_options(one)
        one.add_argument('--launcher', choices=['none', *commands.LAUNCHERS], default='none')
        one.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)
    for one in (distill, train):
        one.add_argument('--resume', action='store_true', help='continue the run in the work dir')
    distill.add_argument('--dry-run', action='store_true',
                         help='check the config, write the plan, report it and what it will cost, and stop')
    distill.add_argument('--tflops', type=_rate, metavar='RATE',
                         help='TFLOP/s of a device: the estimate then says hours; a run measures it, too')
    evaluate.add_argument('--workers', type=_positive,
                          help='students trained at a time; on a CPU the number of cores, up to 4')
    one = add(commands.label)
    one.add_argument('config', help=f'{_CONFIG}: a training with labels=dict(teacher=...)')
    one.add_argument('--batch-size', type=_positive, default=64, help='views that the teacher sees at once')
    one.add_argument('--workers', type=int, default=2, help='processes that load images')
    one.add_argument('--device', help='of the teacher; a GPU if there is one')
    _add_cfg_options(one)
    one = add(commands.convert)
    one.add_argument('form', choices=['stuffthingmaps', 'json', 'mat'], help='form of the masks')
    one.add_argument('masks', help='folder of the PNG or .mat files, or stuff_*.json')
    one.add_argument('--things', default='', metavar='JSON', help='instances_*.json, which goes with stuff_*.json')
    one.add_argument('--out', required=True, help='folder of the new files')
    one.add_argument('--images', default='', help='a folder of images: convert the masks of these only')
    one.add_argument('--names', default='', metavar='FILE', help='a file with a stem on each line: convert these only')
    one.add_argument('--crowds', action='store_true', help='draw crowds of things, too (JSON)')
    one.add_argument('--workers', type=_positive, help='processes; the number of cores by default')
    one = add(commands.convert_unet)
    one.add_argument('checkpoint', help='.ckpt, .pth or .safetensors file of the original Stable Diffusion code')
    one.add_argument('folder', help='folder of the converted UNet, new or empty')
    one.add_argument('--like', metavar='WEIGHTS', help='folder or hub address with a UNet of the same config; Stable '
                     'Diffusion 1.x by default')
    one.add_argument('--dtype', choices=['float32', 'bfloat16', 'float16'], help="the checkpoint's by default")
    one = add(commands.verify)
    one.add_argument('sets', nargs='+', metavar='DIR', help='distilled sets, or the work dirs that hold them')
    one = add(commands.export)
    one.add_argument('set', metavar='DIR', help='distilled set, or the work dir that holds it')
    one.add_argument('out', help='new folder')
    one.add_argument('--to', choices=['imagefolder', 'ddranking', 'webdataset'], default='imagefolder')
    one.add_argument('--shard-images', type=_positive, default=1000, help='images in a tar file of webdataset')
    one.add_argument('--results', action='append', default=[], metavar='WORK_DIR',
                     help='work dir of mmdistill evaluate, whose table the card shows')
    one = add(commands.report)
    one.add_argument('work_dirs', nargs='+', metavar='WORK_DIR', help='finished work dirs, in the order of the page')
    one.add_argument('--out', help='the page; report.html in the first work dir by default')
    one.add_argument('--title', help='heading of the page')
    one.add_argument('--data-root', action='append', default=[], metavar='DIR',
                     help='folder of the real data, whose images are then shown beside the distilled ones')
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
    """Call a function; a user's mistake, or a fault of the machine, becomes one line on stderr and exit status 1.

    So does a signal (:mod:`mmdistill.stopping`), with the status that shells give it.
    """
    logging.raiseExceptions = False  # a log that cannot be written is no reason for tracebacks
    with stopping.begin() as process:
        try:
            with terminal.quiet():
                function(*args)
        except BrokenPipeError:  # as in `mmdistill verify DIR | head`
            process.leave(1)
        except Exception as error:
            message = _line(error)
            if message is not None:
                process.fail(f'error: {message}')
            if process.world == 1:
                raise
            process.crash(error)


def _line(error: Exception) -> Optional[str]:
    """What to say of an exception; None for a defect of ours."""
    text = ' '.join(str(error).split())
    if isinstance(error, DistillError):
        # MMEngine's registries put the class that they were building in front of the message.
        return re.sub(r'^(class `\w+` in \S+: )+', '', text)
    if isinstance(error, KeyError):
        unknown = re.search(r'[\w.]+ is not in the [\w:]+ registry', text)
        return unknown and f'{unknown.group()}: check its spelling, default_scope and custom_imports'
    if isinstance(error, OSError) and error.errno in _DISK:
        where = f' {error.filename}' if error.filename else ''
        return f'cannot write{where}: {error.strerror}; free the disk. {stopping.current.what_is_kept()}'
    if isinstance(error, MemoryError) or type(error).__name__ == 'OutOfMemoryError':  # torch's, which is not imported
        return f'out of memory ({text[:200]}): make fewer images at a time, or smaller ones'
    if isinstance(error, RuntimeError) and 'DataLoader worker' in text:
        return (f'a process that reads data died, killed or out of memory ({text[:200]}): run it again, with fewer '
                'workers')
    if isinstance(error, RuntimeError) and 'PytorchStreamWriter failed' in text:
        return f'cannot write a checkpoint, the disk is full perhaps: free it. {stopping.current.what_is_kept()}'
    return None


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Run the command line ``argv``, by default the process's own."""
    args = parser().parse_args(argv)
    run(args.run, args)
