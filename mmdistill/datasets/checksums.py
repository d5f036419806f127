"""SHA-256 checksums of the files of a distilled set, recorded when they are written."""
import json
import os
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Set, Tuple, Union

from mmdistill.documents import inside, parse_json, read_file
from mmdistill.errors import DistillError
from mmdistill.files import file_digest

Digests = Dict[str, str]  # type of file ('image', 'mask', 'latents') → its SHA-256


class Journal:
    """Checksums of the finished images of a run, in ``{work_dir}/checksums.<rank>.jsonl``.

    A line is appended for each image once its files are on disk. A resumed run regenerates all images that have no line
    or whose files match none of their lines.

    Args:
        work_dir: The work dir of the run.
        root: The data root of the distilled set.
        files: Function from a request id to {type of file: path relative to the root} of the existing files.
        rank: Rank of this process.
    """

    def __init__(self, work_dir: Union[str, Path], root: Union[str, Path], files: Any, rank: int = 0) -> None:
        self.work_dir, self.root, self.files = Path(work_dir), Path(root), files
        self.path = self.work_dir / f'checksums.{rank}.jsonl'
        self._known: Dict[str, List[Digests]] = {}
        self._compared: Set[str] = set()  # requests whose files match their checksums
        self._begun = False

    def __len__(self) -> int:
        """Number of images with a line."""
        return len(self._known)

    def read(self) -> None:
        """Read the lines of all ranks; truncated lines and unreadable files are skipped."""
        self._known, self._compared = {}, set()
        for path in sorted(self.work_dir.glob('checksums.*.jsonl')):
            try:
                lines = read_file(path).splitlines()
            except (OSError, ValueError):
                continue
            for line in lines:
                try:
                    name, digests = parse_json(line)
                    self._known.setdefault(name, []).append(dict(digests))
                except (ValueError, TypeError):
                    continue

    def add(self, name: str) -> None:
        """Append the checksums of a request's files.

        Raises:
            DistillError: The file of checksums cannot be written.
        """
        digests = self.digests(name)
        line = json.dumps([name, digests]).encode() + b'\n'
        try:
            with open(self.path, 'ab', opener=_without_links) as stream:
                if stream.tell() and not self._begun:  # the last line of a killed run may have no end
                    stream.write(b'\n')
                self._begun = True
                stream.write(line)
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise DistillError(f'cannot write {self.path}: {error.strerror}; free some disk space and run the '
                               'command again') from None
        self._known.setdefault(name, []).append(digests)
        self._compared.add(name)

    def holds(self, name: str) -> bool:
        """Whether the files of a request match recorded checksums; a match is cached until the next :meth:`read`."""
        known = self._known.get(name, [])
        if name not in self._compared and known and self.digests(name) in known:
            self._compared.add(name)
        return name in self._compared

    def digests(self, name: str) -> Digests:
        """Checksums of the existing files of a request, by type of file."""
        return {kind: file_digest(self.root / path) for kind, path in self.files(name).items()}


def _without_links(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, 'O_NOFOLLOW', 0), 0o666)  # a symbolic link could point anywhere


def damaged_files(root: Union[str, Path], images: Iterable[Mapping[str, Any]]) -> Iterator[Tuple[str, str]]:
    """Yield (path relative to the root, problem) for each missing or damaged file of a manifest's ``images``.

    Without checksums in the manifest, files only have to exist and be non-empty.
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
                    yield image[kind], 'was changed: its checksum differs'
            except (OSError, DistillError) as error:
                yield image[kind], str(error).removeprefix(f'{image[kind]} ')


def foreign_files(root: Union[str, Path], folders: Iterable[str], listed: Set[str]) -> Iterator[str]:
    """Yield the files in these folders that the manifest does not list, as paths relative to the root.

    Folders that are links out of the root are not read.
    """
    places = [Path(root, folder) for folder in sorted(set(folders))]
    for place in (place for place in places if place.resolve().is_relative_to(Path(root).resolve())):
        for path in sorted(place.rglob('*')):
            if not path.is_dir() and (name := path.relative_to(root).as_posix()) not in listed:
                yield name
