"""Mistakes in config files, each in one line."""
import traceback
from pathlib import Path
from typing import Optional, Tuple

from .errors import DistillError


def config_error(file: Path, error: Exception) -> DistillError:
    """One line for an exception of ``Config.fromfile``: the file, the line, the reason.

    A mistake in a file that the config inherits is reported in that file.

    Args:
        file: The config that was read.
        error: What reading it raised.

    Returns:
        DistillError: To be raised in its place.
    """
    where, line = _place(file, error)
    reason = ' '.join(str(error.args[0] if isinstance(error, KeyError) and error.args else error).split())
    if isinstance(error, RecursionError):
        where, line, reason = str(file), None, 'its _base_ configs inherit each other in a circle'
    elif isinstance(error, SyntaxError):
        line, reason = error.lineno, error.msg
    elif isinstance(error, FileNotFoundError) and error.filename:
        where, reason = str(file), f'no file {error.filename}, which it or one of its _base_ configs names'
    elif isinstance(error, ImportError) and isinstance(error.__cause__, ImportError):
        reason = f'custom_imports: {error.__cause__}'  # without MMEngine's list of folders
    elif line is not None or ' ' not in reason:
        reason = f'{type(error).__name__}: {reason}'
    return DistillError(f'cannot read the config {where}{"" if line is None else f", line {line}"}: {reason}')


def _place(file: Path, error: Exception) -> Tuple[str, Optional[int]]:
    """The file that was being read, and its line where the exception left it, if it was executed."""
    where, line = str(file), None
    for frame, number in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_name in ('_file2dict', '_parse_lazy_import'):  # MMEngine's: they read one file each
            where, line = str(frame.f_locals.get('filename', where)), None
        elif frame.f_code.co_filename == where:
            line = number
    return where, line
