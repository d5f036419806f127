"""Finds the settings that have changed when a training is resumed."""
import json
from pathlib import Path
from typing import Any, Dict, Optional

from mmengine.config import Config
from mmengine.dist import master_only
from mmengine.hooks import Hook

from mmdistill.differences import differing, json_values
from mmdistill.documents import read_document
from mmdistill.files import write_atomic

_NAME = 'settings.json'
# Settings that the command sets, or that only concern output files.
_OTHER = ('work_dir', 'resume', 'load_from', 'launcher', 'visualizer', 'vis_backends', 'log_level')


def changed_settings(cfg: Config) -> str:
    """Text with the settings that differ from those with which the training in the work dir was last started.

    Args:
        cfg: The training config.

    Returns:
        '' if no setting differs, or the work dir has no readable record of the settings.
    """
    try:
        old = read_document(Path(cfg.work_dir) / _NAME)
    except (OSError, ValueError):
        return ''
    return differing(old, _settings(cfg), 'the last start of this training')


class SettingsHook(Hook):
    """Writes the settings of a training to its work dir after the first iteration, for :func:`changed_settings`.

    Args:
        cfg: The training config.
    """

    def __init__(self, cfg: Config) -> None:
        self._new: Optional[Dict[str, Any]] = _settings(cfg)

    @master_only
    def after_train_iter(self, runner: Any, *args: Any, **kwargs: Any) -> None:
        """Write the settings once."""
        if self._new is not None:
            write_atomic(Path(runner.work_dir) / _NAME, json.dumps(self._new, indent=1).encode())
            self._new = None


def _settings(cfg: Config) -> Dict[str, Any]:
    return json_values({key: value for key, value in cfg.to_dict().items() if key not in _OTHER})
