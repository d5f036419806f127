"""The terminal output of the commands. The log file in the work dir contains everything.

The environment variable ``MMDISTILL_OUTPUT`` changes the output: ``all`` prints everything that MMEngine and the other
libraries print, ``brief`` prints only warnings, errors and progress bars. With ``log_level='DEBUG'`` in the config, the
entire log is printed.
"""
import logging
import os
import sys
from contextlib import contextmanager
from typing import Any, Iterator

from . import bars

OUTPUT = 'MMDISTILL_OUTPUT'
LOG_FILE_ONLY = dict(log_file_only=True)  #: Argument ``extra`` of log calls whose line is not printed.

_LIBRARIES = ('mmengine', 'mmcv', 'mmdet', 'mmseg', 'mmpretrain')
# Modules of OpenMMLab whose messages are printed: progress of a training, checkpoints, tables of metrics.
_PRINTED_MODULES = ('mmengine.hooks.logger_hook', 'mmengine.hooks.checkpoint_hook',
                    'mmengine.hooks.early_stopping_hook', 'mmseg.evaluation', 'mmpretrain.evaluation')
# Modules whose warnings go to the log file only.
_LOGGED_MODULES = ('mmengine.registry', 'mmengine.fileio', 'mmengine.evaluator', 'mmengine.visualization')
_LOGGERS = ('mmdistill', 'py.warnings')  # loggers of Python that also write to the log file


class Terminal(logging.Handler):
    """Log handler that prints the lines that a user needs; it clears the progress bar first."""

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
        return not _within(origin, _LOGGED_MODULES)
    if getattr(record, 'log_file_only', False) or os.environ.get(OUTPUT) == 'brief':
        return False
    if _within(origin, _PRINTED_MODULES):  # for LoggerHook, a distillation is a test; its bar is shown instead
        return 'test' not in record.funcName and not record.getMessage().startswith('Exp name')
    return not _within(origin, _LIBRARIES)


def _origin() -> str:
    """The module that wrote a log record, directly or through MMEngine's ``print_log``."""
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
    """Whether ``MMDISTILL_OUTPUT`` is ``all``."""
    return os.environ.get(OUTPUT) == 'all'


@contextmanager
def quiet() -> Iterator[None]:
    """Context in which warnings of libraries go to the log file of the run, if there is one, and not to the terminal.

    It also sets the environment variables that diffusers and transformers read when they are imported. They remain set
    for child processes.
    """
    if shows_all():
        yield
        return
    noisy = [logging.getLogger(name) for name in ('diffusers', 'transformers')]
    levels = [logger.level for logger in noisy]
    for logger in noisy:
        os.environ.setdefault(f'{logger.name.upper()}_VERBOSITY', 'error')
        logger.setLevel(logging.ERROR)  # for libraries that are already imported
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [list(logger.handlers) for logger in loggers]
    if not any(isinstance(handler, Terminal) for handler in loggers[0].handlers):  # of a process that was forked
        loggers[0].addHandler(Terminal())
    loggers[1].addHandler(logging.NullHandler())
    if not sys.warnoptions:  # python -W or PYTHONWARNINGS
        logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        for logger, level in zip(noisy, levels):
            logger.setLevel(level)
        for logger, handlers in zip(loggers, before):
            logger.handlers[:] = handlers


def quiet_mmengine() -> None:
    """Hide what MMEngine and the OpenMMLab packages print before the runner has a logger.

    Without a logger, ``print_log`` prints messages of any level.
    """
    if shows_all():
        return
    from mmengine.logging import MMLogger, logger
    show(MMLogger.get_instance('mmengine'))

    def print_needed(*text: Any) -> None:
        if not _within(_origin(), _LIBRARIES):
            print(*text)

    vars(logger)['print'] = print_needed  # replaces ``print`` in this module of MMEngine only


def show(logger: Any) -> None:
    """Let a logger of MMEngine print only what a user needs, and write Python's loggers to its log file too."""
    for number, handler in enumerate(logger.handlers):
        if isinstance(handler, logging.FileHandler):
            for name in _LOGGERS:
                logging.getLogger(name).addHandler(handler)
        elif type(handler) is logging.StreamHandler and handler.level > logging.DEBUG and not shows_all():
            terminal = Terminal(handler.level)
            terminal.filters[:] = handler.filters
            logger.handlers[number] = terminal
