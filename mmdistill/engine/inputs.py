"""What a run's images are made of, so that a resumed run does not mix them with those of other inputs."""
import json
import os
import os.path as osp
from pathlib import Path
from typing import Any, Dict, Sequence

from mmengine.dist import barrier, is_main_process

from mmdistill.documents import read_file
from mmdistill.errors import DistillError
from mmdistill.files import file_digest, write_json
from mmdistill.tasks.clusters import SUPPORTS
from mmdistill.tasks.statistics import LOSSES, STATISTICS
from .planning import PROTOTYPES

FILE = 'inputs.json'
_MEASURED = {STATISTICS: 'class statistics', LOSSES: 'class losses', SUPPORTS: 'support points',
             PROTOTYPES: 'prototypes'}
_NAMES = dict(data='real images or masks (a path, a size or a time of change)', generator="generator's weights",
              guidance="guide's weights", cleaning="segmentor's weights for label cleaning",
              **{name: f'{what} ({name})' for name, what in _MEASURED.items()})


class Inputs:
    """Fingerprints in ``{work_dir}/inputs.json``, by name: of the data, the generator, the networks of guidance and
    cleaning, and the files that were measured on the data.

    Args:
        work_dir: Of the run.
        resume: Whether the run goes on: its data have to be those that it was planned from.
        begun: Whether it has images: then its other inputs have to be the same, too.
    """

    def __init__(self, work_dir: Any, resume: bool, begun: bool) -> None:
        self.path = Path(work_dir, FILE)
        self.found: Dict[str, Any] = {}
        known = self._read(begun) if resume else {}
        self._known = {name: value for name, value in known.items() if begun or name == 'data'}

    def add(self, name: str, value: Any, files: Sequence[str] = ()) -> None:
        """Take in an input; a DistillError where the run began with another one, with those of its local ``files`` that
        were changed since."""
        value = json.loads(json.dumps(value))
        if self._known.get(name, value) != value:
            raise DistillError(f'the {_NAMES[name]} are others than when the run in {self.path.parent} began'
                               f'{self._changed(files)}: restore them, or begin another run in another --work-dir')
        self.found[name] = value

    def _changed(self, files: Sequence[str]) -> str:
        """Which files are newer than what is known of them."""
        begun, found = self.path.stat().st_mtime, [(file, os.stat(file)) for file in files if osp.isfile(file)]
        changed = [file for file, stat in found if stat.st_mtime > begun] or [
            file for file, stat in found if stat.st_ctime > begun]  # put there with an older time
        more = f' and {len(changed) - 1} more' if len(changed) > 1 else ''
        return f' (changed since: {changed[0]}{more})' if changed else ''

    def add_measured(self) -> None:
        """Take in the files in the work dir that were measured on the data."""
        for name in _MEASURED:
            if (file := self.path.with_name(name)).is_file():
                self.add(name, file_digest(file))

    def save(self) -> None:
        """Write the file, on the main process, when every process has read it."""
        barrier()
        if is_main_process():
            write_json(self.path, {**self._known, **self.found})
        barrier()

    def describe(self) -> Dict[str, Any]:
        """For the manifest: what does not depend on where and when the files of the data were stored."""
        return {name: value for name, value in self.found.items() if name not in ('data', 'generator')}

    def _read(self, begun: bool) -> Dict[str, Any]:
        try:
            found = json.loads(read_file(self.path))
            if not isinstance(found, dict) or begun and 'data' not in found:
                raise ValueError('it has no fingerprint of the data')
            return found
        except (OSError, RecursionError, ValueError) as error:
            if isinstance(error, FileNotFoundError) and not begun:  # of a run that was killed after its plan
                return {}
            raise DistillError(f'{self.path} is not readable ({error}): restore it, or begin another run in another '
                               '--work-dir') from None
