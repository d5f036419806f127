"""The runner of the commands."""
from typing import Any, Optional, Union

from mmengine.logging import MMLogger
from mmengine.runner import Runner as _Runner

from mmdistill import terminal
from .attempts import errors_at


class Runner(_Runner):
    """MMEngine's runner, which writes environment, config and hooks to the log file but not to the terminal.

    An exception while a part of the config is built becomes a :class:`~mmdistill.errors.DistillError` with its key.
    """

    def build_logger(self, log_level: Union[int, str] = 'INFO', log_file: Optional[str] = None, **settings: Any
                     ) -> MMLogger:
        """Build MMEngine's logger, with :class:`~mmdistill.terminal.Terminal` as its console handler."""
        logger = super().build_logger(log_level, log_file, **settings)
        terminal.show(logger)
        return logger

    def build_visualizer(self, visualizer: Any = None) -> Any:
        """Build the visualizer."""
        with errors_at('visualizer'):
            return super().build_visualizer(visualizer)

    def build_model(self, model: Any) -> Any:
        """Build the model."""
        with errors_at('model'):
            return super().build_model(model)

    def build_optim_wrapper(self, optim_wrapper: Any) -> Any:
        """Build the optimizer and its wrapper."""
        with errors_at('optim_wrapper'):
            return super().build_optim_wrapper(optim_wrapper)

    def build_param_scheduler(self, scheduler: Any) -> Any:
        """Build the schedulers."""
        with errors_at('param_scheduler'):
            return super().build_param_scheduler(scheduler)

    def build_log_processor(self, log_processor: Any) -> Any:
        """Build the log processor."""
        with errors_at('log_processor'):
            return super().build_log_processor(log_processor)

    def build_evaluator(self, evaluator: Any) -> Any:
        """Build the evaluator of a validation."""
        with errors_at('val_evaluator' if evaluator is self._val_evaluator else 'test_evaluator'):
            return super().build_evaluator(evaluator)
