"""What a command prints: what a user needs to see. The log file in the work dir has everything.

The environment variable ``MMDISTILL_OUTPUT`` changes that: ``all`` prints whatever MMEngine and the other libraries
print, ``brief`` only warnings, errors and progress bars. A config with ``log_level='DEBUG'`` prints all of its log.
"""
import logging
import os
import sys
from contextlib import contextmanager
from typing import Any, Iterator

from . import bars

OUTPUT = 'MMDISTILL_OUTPUT'
LOG_FILE_ONLY = dict(log_file_only=True)  #: As ``extra`` of a call of a logger: the line is not printed.

_LIBRARIES = ('mmengine', 'mmcv', 'mmdet', 'mmseg', 'mmpretrain')
# Modules whose information is printed all the same: a training's progress, its checkpoints and tables of metrics.
_HEARD = ('mmengine.hooks.logger_hook', 'mmengine.hooks.checkpoint_hook', 'mmengine.hooks.early_stopping_hook',
          'mmseg.evaluation', 'mmpretrain.evaluation')
# Modules whose warnings are of use to developers of those modules.
_UNHEARD = ('mmengine.registry', 'mmengine.fileio', 'mmengine.evaluator', 'mmengine.visualization')
_LOGGERS = ('mmdistill', 'py.warnings')  # Python's, which write to a run's log file, too


class Terminal(logging.Handler):
    """Prints the lines that a user needs, without the bar that is on the terminal."""

    def filter(self, record: logging.LogRecord) -> Any:
        """Whether the record is printed."""
        return _is_needed(record) and super().filter(record)

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record."""
        try:
            bars.clear_line()
            level = f'{record.levelname.lower()}: ' if record.levelno >= logging.WARNING else ''
            print(f'{level}{self.format(record)}', flush=True)
        except Exception:
            self.handleError(record)


def _is_needed(record: logging.LogRecord) -> bool:
    if record.levelno >= logging.ERROR:
        return True
    origin = _origin()
    if record.levelno >= logging.WARNING:
        return not _within(origin, _UNHEARD)
    if getattr(record, 'log_file_only', False) or os.environ.get(OUTPUT) == 'brief':
        return False
    if _within(origin, _HEARD):  # LoggerHook's lines of a test are those of a distillation, which has its own bar
        return 'test' not in record.funcName and not record.getMessage().startswith('Exp name')
    return not _within(origin, _LIBRARIES)


def _origin() -> str:
    """The module that asked for a record, also where it called MMEngine's ``print_log``."""
    frame: Any = sys._getframe()
    while frame is not None:
        name = frame.f_globals.get('__name__', '')
        if not _within(name, ('logging', 'mmengine.logging', __name__)):
            return name
        frame = frame.f_back
    return ''


def _within(module: str, packages: Any) -> bool:
    return any(module == package or module.startswith(f'{package}.') for package in packages)


def shows_all() -> bool:
    """Whether the user asked for everything."""
    return os.environ.get(OUTPUT) == 'all'


@contextmanager
def quiet() -> Iterator[None]:
    """Within the block, warnings of libraries go to the log file of the run, if there is one, and not to the terminal.

    diffusers and transformers read their variables when they are imported; those stay set, for other processes too.
    """
    if shows_all():
        yield
        return
    noisy = [logging.getLogger(name) for name in ('diffusers', 'transformers')]
    levels = [one.level for one in noisy]
    for one in noisy:
        os.environ.setdefault(f'{one.name.upper()}_VERBOSITY', 'error')
        one.setLevel(logging.ERROR)  # of one that has been imported
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [list(one.handlers) for one in loggers]
    loggers[0].addHandler(Terminal())
    loggers[1].addHandler(logging.NullHandler())
    if not sys.warnoptions:  # python -W or PYTHONWARNINGS
        logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        for one, level in zip(noisy, levels):
            one.setLevel(level)
        for one, handlers in zip(loggers, before):
            one.handlers[:] = handlers


def quiet_mmengine() -> None:
    """The same for what MMEngine and the OpenMMLab packages print before a runner has its log: ``print_log`` with no
    logger prints the text at any level."""
    if shows_all():
        return
    from mmengine.logging import MMLogger, logger
    show(MMLogger.get_instance('mmengine'))

    def print_needed(*text: Any) -> None:
        if not _within(_origin(), _LIBRARIES):
            print(*text)

    vars(logger)['print'] = print_needed  # in its module only; if MMEngine no longer calls it, nothing else changes


def show(logger: Any) -> None:
    """Have a logger of MMEngine print what a user needs, and its log file take in what Python's loggers say."""
    for number, handler in enumerate(logger.handlers):
        if isinstance(handler, logging.FileHandler):
            for name in _LOGGERS:
                logging.getLogger(name).addHandler(handler)
        elif type(handler) is logging.StreamHandler and handler.level > logging.DEBUG and not shows_all():
            terminal = Terminal(handler.level)
            terminal.filters[:] = handler.filters
            logger.handlers[number] = terminal
