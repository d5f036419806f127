"""The runner of the commands."""
from typing import Any, Optional, Union

from mmengine.logging import MMLogger
from mmengine.runner import Runner as _Runner

from mmdistill import terminal


class Runner(_Runner):
    """MMEngine's runner, which writes environment, config and hooks to the log file but not to the terminal."""

    def build_logger(self, log_level: Union[int, str] = 'INFO', log_file: Optional[str] = None, **settings: Any
                     ) -> MMLogger:
        """Build MMEngine's logger, with :class:`~mmdistill.terminal.Terminal` as its console handler."""
        logger = super().build_logger(log_level, log_file, **settings)
        terminal.show(logger)
        return logger
