"""Finds the settings that have changed when a training is resumed."""
import json
from pathlib import Path
from typing import Any, Dict

from mmengine.config import Config

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


def store_settings(cfg: Config) -> None:
    """Write the settings of a training to its work dir, for :func:`changed_settings`."""
    write_atomic(Path(cfg.work_dir) / _NAME, json.dumps(_settings(cfg), indent=1).encode())


def _settings(cfg: Config) -> Dict[str, Any]:
    return json_values({key: value for key, value in cfg.to_dict().items() if key not in _OTHER})
