"""Which files of a set are whole: SHA-256 of each, noted when it is written."""
import json
import os
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Set, Tuple, Union

from mmdistill.documents import inside, read_file
from mmdistill.errors import DistillError
from mmdistill.files import file_digest

Digests = Dict[str, str]  # kind of file ('image', 'mask', 'latents') to its SHA-256


class Journal:
    """A line in ``{work_dir}/checksums.<rank>.jsonl`` for each image that is finished, once its files are on disk.

    An image without a line, or whose files have other digests than any of its lines, is not done: a run makes it again.

    Args:
        work_dir: Of the run.
        root: Of its set.
        files: Request id → kind → path below the root, of the files that are there.
        rank: Of this process.
    """

    def __init__(self, work_dir: Union[str, Path], root: Union[str, Path], files: Any, rank: int = 0) -> None:
        self.work_dir, self.root, self.files = Path(work_dir), Path(root), files
        self.path = self.work_dir / f'checksums.{rank}.jsonl'
        self._known: Dict[str, List[Digests]] = {}
        self._whole: Set[str] = set()  # requests whose files were compared
        self._begun = False

    def __len__(self) -> int:
        """Number of images with a line."""
        return len(self._known)

    def read(self) -> None:
        """Take in the lines of all ranks; one that was cut short counts as none, as does a file that cannot be read."""
        self._known, self._whole = {}, set()
        for path in sorted(self.work_dir.glob('checksums.*.jsonl')):
            try:
                lines = read_file(path).splitlines()
            except (OSError, ValueError):
                continue
            for line in lines:
                try:
                    name, digests = json.loads(line)
                    self._known.setdefault(name, []).append(dict(digests))
                except (ValueError, TypeError):
                    continue

    def add(self, name: str) -> None:
        """Note the files of a request as they are."""
        digests = self.digests(name)
        line = json.dumps([name, digests]).encode() + b'\n'
        try:
            with open(self.path, 'ab', opener=_own_file) as stream:
                if stream.tell() and not self._begun:  # the last line of a killed run may have no end
                    stream.write(b'\n')
                self._begun = True
                stream.write(line)
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise DistillError(f'cannot write {self.path}: {error.strerror}; free the disk, and start it '
                               'again') from None
        self._known.setdefault(name, []).append(digests)
        self._whole.add(name)

    def holds(self, name: str) -> bool:
        """Whether the files of a request are those that were noted; each is compared once after :meth:`read`."""
        known = self._known.get(name, [])
        if name not in self._whole and known and self.digests(name) in known:
            self._whole.add(name)
        return name in self._whole

    def digests(self, name: str) -> Digests:
        """Of the files of a request, which are there."""
        return {kind: file_digest(self.root / path) for kind, path in self.files(name).items()}


def _own_file(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, 'O_NOFOLLOW', 0), 0o666)  # a link could lead anywhere


def damaged_files(root: Union[str, Path], images: Iterable[Mapping[str, Any]]) -> Iterator[Tuple[str, str]]:
    """(Path below the root, what is wrong) of the files that the ``images`` of a manifest list and that are not whole.

    Files of a manifest without digests are there and not empty.
    """
    for image in images:
        digests = image.get('sha256', {})
        for kind in ('image', 'mask', 'latents'):
            if kind not in image:
                continue
            try:
                path = inside(root, image[kind])
                if not path.is_file():
                    yield image[kind], 'is missing'
                elif not path.stat().st_size:
                    yield image[kind], 'is empty'
                elif kind in digests and file_digest(path) != digests[kind]:
                    yield image[kind], 'was changed: its checksum is another'
            except (OSError, DistillError) as error:
                yield image[kind], str(error)


def foreign_files(root: Union[str, Path], folders: Iterable[str], listed: Set[str]) -> Iterator[str]:
    """Files in the folders of a set that its manifest does not list, as paths below the root."""
    for folder in sorted(set(folders)):
        for path in sorted(Path(root, folder).rglob('*')):
            if not path.is_dir() and (name := path.relative_to(root).as_posix()) not in listed:
                yield name
