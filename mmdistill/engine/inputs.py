"""Fingerprints of the inputs of a run, so that a resumed run does not mix images from different inputs."""
import json
import os
import os.path as osp
from pathlib import Path
from typing import Any, Dict, Sequence

from mmengine.dist import barrier, is_main_process

from mmdistill.documents import read_document
from mmdistill.errors import DistillError
from mmdistill.files import file_digest, write_json
from mmdistill.tasks.clusters import SUPPORTS
from mmdistill.tasks.statistics import LOSSES, STATISTICS
from .planning import PROTOTYPES

FILE = 'inputs.json'
_MEASURED = {STATISTICS: 'class statistics', LOSSES: 'class losses', SUPPORTS: 'support points',
             PROTOTYPES: 'prototypes'}
_NAMES = dict(data='real images or masks (a path, size or modification time)',
              generator="generator's weights or their configs", guidance="guide's weights",
              cleaning="segmentor's weights for label cleaning",
              **{name: f'{what} ({name})' for name, what in _MEASURED.items()})


class Inputs:
    """Fingerprints of the data, the generator, the networks of guidance and cleaning, and the statistics of the data.

    The fingerprints are stored by name in ``{work_dir}/inputs.json``.

    Args:
        work_dir: Work dir of the run.
        resume: Whether the run is resumed. Its data must then be unchanged.
        begun: Whether the run has images. All other inputs must then be unchanged as well.
    """

    def __init__(self, work_dir: Any, resume: bool, begun: bool) -> None:
        self.path = Path(work_dir, FILE)
        self.found: Dict[str, Any] = {}
        known = self._read(begun) if resume else {}
        self._known = {name: value for name, value in known.items() if begun or name == 'data'}

    def add(self, name: str, value: Any, files: Sequence[str] = ()) -> None:
        """Add an input.

        Raises:
            DistillError: The run began with another input. The message names local ``files`` that were changed since.
        """
        value = json.loads(json.dumps(value))
        if self._known.get(name, value) != value:
            raise DistillError(f'the {_NAMES[name]} changed since the run in {self.path.parent} began'
                               f'{self._changed(files)}: restore them, or begin another run in another --work-dir')
        self.found[name] = value

    def _changed(self, files: Sequence[str]) -> str:
        """Text that names the files that were changed after the fingerprints were written; '' if there are none."""
        begun, found = self.path.stat().st_mtime, [(file, os.stat(file)) for file in files if osp.isfile(file)]
        changed = [file for file, stat in found if stat.st_mtime > begun] or [
            file for file, stat in found if stat.st_ctime > begun]  # detects copies with an older modification time
        more = f' and {len(changed) - 1} more' if len(changed) > 1 else ''
        return f' (changed: {changed[0]}{more})' if changed else ''

    def add_measured(self) -> None:
        """Add the files of statistics in the work dir that were computed from the data."""
        for name in _MEASURED:
            if (file := self.path.with_name(name)).is_file():
                self.add(name, file_digest(file))

    def save(self) -> None:
        """Write the file in the main process, after all processes have read it."""
        barrier()
        if is_main_process():
            write_json(self.path, {**self._known, **self.found})
        barrier()

    def describe(self) -> Dict[str, Any]:
        """Fingerprints for the manifest, without those that depend on the paths or modification times of data files."""
        return {name: value for name, value in self.found.items() if name not in ('data', 'generator')}

    def _read(self, begun: bool) -> Dict[str, Any]:
        try:
            found = read_document(self.path)
            if begun and 'data' not in found:
                raise ValueError('it has no fingerprint of the data')
            return found
        except (OSError, ValueError) as error:
            if isinstance(error, FileNotFoundError) and not begun:  # the run was killed right after planning
                return {}
            raise DistillError(f'{self.path} is not readable ({error}): restore it, or begin another run in another '
                               '--work-dir') from None
