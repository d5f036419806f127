"""The progress bar of ``mmdistill train``."""
import logging
from typing import Any

from mmengine.hooks import Hook

from mmdistill.bars import ProgressBar
from mmdistill.terminal import Terminal

_LOSS = 'train/loss'


class TrainingBarHook(Hook):
    """Shows the finished iterations, the loss and the remaining time in one line of the terminal, which is redrawn.

    The lines that MMEngine logs every few iterations are then only in the log file.
    """

    def before_train(self, runner: Any) -> None:
        for handler in runner.logger.handlers:
            if isinstance(handler, Terminal):
                handler.addFilter(_is_no_iteration)
        self._bar = ProgressBar(runner.max_iters, 'iterations', done=runner.iter)

    def after_train_iter(self, runner: Any, *args: Any, **kwargs: Any) -> None:
        if _LOSS in runner.message_hub.log_scalars:
            self._bar.what = f'iterations, loss {runner.message_hub.get_scalar(_LOSS).current():.4g}'
        self._bar.update()

    def after_train(self, runner: Any) -> None:
        self._bar.close()  # also after a training that stopped early


def _is_no_iteration(record: logging.LogRecord) -> bool:
    return record.module != 'logger_hook' or record.funcName not in ('after_train_iter', 'after_val_iter')
