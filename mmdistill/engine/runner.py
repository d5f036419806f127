"""The runner of the commands."""
from collections import OrderedDict
from contextlib import contextmanager
from typing import Any, Iterator, Optional, Union

from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import DefaultScope
from mmengine.runner import Runner as _Runner
from mmengine.visualization import Visualizer

from mmdistill import terminal
from .attempts import errors_at


@contextmanager
def restored_globals() -> Iterator[None]:
    """Restores MMEngine's global loggers, message hubs, visualizers and scopes on exit.

    MMEngine uses the latest instance of each, so a nested runner would replace those of the outer runner.
    """
    managers: Any = (MMLogger, MessageHub, Visualizer, DefaultScope)
    before = [OrderedDict(manager._instance_dict) for manager in managers]
    try:
        yield
    finally:
        for name in MMLogger._instance_dict.keys() - before[0].keys():
            for handler in MMLogger._instance_dict[name].handlers:
                handler.close()
        for manager, instances in zip(managers, before):
            manager._instance_dict.clear()
            manager._instance_dict.update(instances)


class Runner(_Runner):
    """MMEngine's runner, which writes environment, config and hooks to the log file but not to the terminal.

    An exception while a part of the config is built becomes a :class:`~mmdistill.errors.DistillError` with its key. The
    config is copied to the work dir after the first iteration, so that a run that is refused leaves no copy.

    Attributes:
        begun: Whether the first iteration has ended, or the first batch of a test has been read.
    """
    begun = False

    def dump_config(self) -> None:
        """Copy the config to the work dir; nothing is copied when the runner is built."""
        if self.begun:
            super().dump_config()

    def call_hook(self, fn_name: str, **kwargs: Any) -> None:
        """Call a method of all hooks."""
        if not self.begun and fn_name in ('after_train_iter', 'before_test_iter'):
            self.begun = True
            self.dump_config()
        super().call_hook(fn_name, **kwargs)

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
