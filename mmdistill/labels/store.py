"""Soft labels of views on disk: the top-k probabilities in half precision, and the remaining mass.

A store is a folder with ``labels.bin``, one record per view, epoch after epoch; ``tails.npy``; and ``labels.json``, the
header, which is written last. A store without header is unfinished. ``progress.npz`` allows the writer to resume, and
to add epochs to a finished store.
"""
import io
import json
import os
import zipfile
import zlib
from hashlib import sha256
from pathlib import Path
from typing import Any, Dict, List, Optional, Union

import numpy as np
from scipy.special import softmax

from mmdistill.documents import parse_object, read_document
from mmdistill.errors import DistillError
from mmdistill.files import file_digest, write_atomic, write_json

_FORMAT, HEADER, _RECORDS, _TAILS, _PROGRESS = 2, 'labels.json', 'labels.bin', 'tails.npy', 'progress.npz'
# Header entry → text in the message if it differs.
_OF = dict(set='for another set of images', augmentation='for other views: seed, transforms or CutMix differ',
           temperature='for another temperature', classes='for other classes, or another order of the classes')


def record_type(num_classes: int, top_k: Optional[int]) -> np.dtype:
    """Type of the record of a view: ids and probabilities of the top k and the remaining mass, or all logits (None)."""
    if top_k is None:
        return np.dtype([('logits', np.float16, (num_classes, ))])
    k = min(top_k, num_classes)
    index = np.uint8 if num_classes <= 256 else np.uint16 if num_classes <= 65536 else np.uint32
    return np.dtype([('index', index, (k, )), ('mass', np.float16, (k + 1, ))])


class LabelStore:
    r"""Reads the store in the folder ``path``.

    With top-k labels (FKD, arXiv 2112.01528), the remaining mass is distributed over the other classes. FKD does this
    evenly. Here, it follows the *tail* of the top class: the softmax of the mean logits over all views in the store
    with the same top class. This takes one (K, K) table per store.

    Attributes:
        header: ``num_classes``, ``top_k`` (None: full logits), ``temperature``, ``images``, ``epochs``, ``classes``,
            and the fingerprints ``set``, ``augmentation`` and ``teacher``.

    Raises:
        DistillError: There is no store, it is unfinished, or its files are damaged.
    """

    def __init__(self, path: Union[str, Path]) -> None:
        self.path = Path(path)
        if not (self.path / HEADER).is_file():
            state = 'is unfinished' if (self.path / _RECORDS).exists() else 'does not exist'
            raise DistillError(f'the label store {path} {state}: run mmdistill label with the config of the training')
        try:
            self.header: Dict[str, Any] = read_document(self.path / HEADER)
            if self.header.pop('format') != _FORMAT:
                raise ValueError('written by another version')
            dtype = record_type(self.header['num_classes'], self.header['top_k'])
            shape = self.header['epochs'], self.header['images']
            size = os.path.getsize(self.path / _RECORDS)
            if size != dtype.itemsize * shape[0] * shape[1]:
                raise ValueError(f'{_RECORDS} has {size} bytes of {dtype.itemsize * shape[0] * shape[1]}')
            for name, digest in self.header.pop('sha256').items():
                if name not in (_RECORDS, _TAILS) or file_digest(self.path / name) != digest:
                    raise ValueError(f'{name} was changed: its checksum differs')
            self._records = np.memmap(self.path / _RECORDS, dtype, 'r', shape=shape)
            self._tails = None if self.header['top_k'] is None else np.load(self.path / _TAILS, mmap_mode='r')
        except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
            raise DistillError(f'the label store {path} is damaged ({error}): delete it and run mmdistill label '
                               'again') from None

    @property
    def nbytes(self) -> int:
        """Size in bytes of the files that a training reads (without ``progress.npz``)."""
        return sum(file.stat().st_size for file in self.path.iterdir() if file.name != _PROGRESS)

    def check(self, **expected: Any) -> None:
        """Raise a DistillError if ``set``, ``augmentation``, ``temperature`` or ``classes`` differ from the header."""
        for key, value in expected.items():
            if self.header[key] != value:
                detail = f' ({self.header[key]}, not {value})' if key == 'temperature' else ''
                raise DistillError(f'the label store {self.path} is {_OF[key]}{detail}: run mmdistill label with this '
                                   'config and another store')

    def scores(self, image: int, epoch: int) -> np.ndarray:
        """The teacher's probabilities for a view at the store's temperature, float32 (K,), with sum 1."""
        record, temperature = self._records[epoch, image], self.header['temperature']
        if self._tails is None:
            return softmax(record['logits'].astype(np.float32) / temperature)
        index, mass = record['index'].astype(np.int64), record['mass'].astype(np.float32)
        scores = self._tails[index[0]].astype(np.float32) / temperature
        scores[index] = -np.inf
        if len(index) < len(scores):
            scores = softmax(scores) * mass[-1]
        scores[index] = mass[:-1]
        return scores / scores.sum()


class LabelWriter:
    """Writes a :class:`LabelStore`, or resumes an unfinished one.

    Args:
        path: Folder of the store.
        header: See :attr:`LabelStore.header`.

    Attributes:
        total, done: Number of all views, and of written views. Views are written epoch by epoch, image by image.

    Raises:
        DistillError: The folder contains another store, or cannot be written.
    """

    def __init__(self, path: Union[str, Path], header: Dict[str, Any]) -> None:
        self.path, self.header = Path(path), json.loads(json.dumps(dict(header, format=_FORMAT)))
        self._records = self.path / _RECORDS
        self._kind = record_type(header['num_classes'], header['top_k'])
        self.total, self.done = header['epochs'] * header['images'], 0
        self._sums = np.zeros((header['num_classes'], ) * 2)
        self._counts = np.zeros(header['num_classes'], np.int64)
        self._pending: List[bytes] = []
        self._digest = sha256()  # of the records on disk
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            if (self.path / _PROGRESS).is_file():
                self._resume()
            elif (self.path / HEADER).exists():
                raise DistillError(f'{path} has a label store that cannot be continued: delete it or choose another')
            self._records.touch()
            self._cut()
            self._digest = self._digest_of_records()
        except OSError as error:
            raise DistillError(f'cannot write the label store {path}: {error.strerror or error}') from None

    def _resume(self) -> None:
        try:
            with np.load(self.path / _PROGRESS, allow_pickle=False) as data:
                found, self.done = parse_object(str(data['header'])), int(data['done'])
                self._sums, self._counts, digest = data['sums'], data['counts'], str(data['digest'])
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise DistillError(f'the label store {self.path} is damaged ({error}): delete it') from None
        differs = next((key for key, value in self.header.items() if key != 'epochs' and found.get(key) != value), None)
        if differs or self._records.stat().st_size < self.done * self._kind.itemsize:
            what = f'begun with another {differs}' if differs else 'truncated'
            raise DistillError(f'the label store {self.path} was {what}: delete it or choose another store')
        if self._digest_of_records().hexdigest() != digest:
            raise DistillError(f'the label store {self.path} is damaged ({_RECORDS} was changed): delete it')
        if self.done < self.total:
            (self.path / HEADER).unlink(missing_ok=True)  # unfinished again

    def _cut(self) -> None:
        """Truncate the file after the records of the views that are done."""
        os.truncate(self._records, self.done * self._kind.itemsize)

    def _digest_of_records(self) -> Any:
        """SHA-256 of the records of the views that are done."""
        digest, left = sha256(), self.done * self._kind.itemsize
        with open(self._records, 'rb') as file:
            while block := file.read(min(left, 1 << 22)):
                digest.update(block)
                left -= len(block)
        return digest

    def append(self, logits: np.ndarray) -> None:
        """Add the labels of the next views.

        Args:
            logits: Logits of the teacher (B, K), which must be finite in half precision.

        Raises:
            DistillError: A logit is not finite.
        """
        logits = np.asarray(logits, np.float32)
        if not (np.abs(logits) < 65520).all():  # half precision rounds larger values to infinity; NaN compares as False
            raise DistillError('the teacher gives logits that are not finite: check its weights and its preprocessing')
        records = np.zeros(len(logits), self._kind)
        if self.header['top_k'] is None:
            records['logits'] = logits
        else:
            scores = softmax(logits.astype(np.float64) / self.header['temperature'], axis=1)
            k = records['index'].shape[1]
            # A stable sort: ties are broken by the lower id with every build of numpy.
            index = np.argsort(-scores, axis=1, kind='stable')[:, :k]
            top = np.take_along_axis(scores, index, 1)
            records['index'], records['mass'][:, :k] = index, top
            records['mass'][:, k] = np.maximum(1 - top.sum(1), 0)
            np.add.at(self._sums, index[:, 0], logits)
            np.add.at(self._counts, index[:, 0], 1)
        self._pending.append(records.tobytes())
        self.done += len(records)

    def save(self) -> None:
        """Write the appended labels; after a crash, a new writer resumes from here."""
        try:
            with open(self._records, 'ab') as file:
                file.write(b''.join(self._pending))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise DistillError(f'cannot write {self._records}: {error.strerror or error}') from None
        self._digest.update(b''.join(self._pending))
        self._pending = []
        buffer = io.BytesIO()
        np.savez(buffer, header=np.array(json.dumps(self.header)), done=self.done, sums=self._sums,
                 counts=self._counts, digest=self._digest.hexdigest())
        write_atomic(self.path / _PROGRESS, buffer.getvalue())

    def finish(self) -> LabelStore:
        """Complete the store after all views were appended, and open it."""
        if (self.path / HEADER).exists():
            return LabelStore(self.path)
        self.save()
        epochs, rest = divmod(self.done, self.header['images'])
        self.header['epochs'], self.done = epochs, self.done - rest  # drops a partial last epoch
        self._cut()
        self._digest = self._digest_of_records()
        self.save()
        if self.header['top_k'] is not None:
            buffer = io.BytesIO()
            np.save(buffer, (self._sums / np.maximum(self._counts, 1)[:, None]).astype(np.float16))
            write_atomic(self.path / _TAILS, buffer.getvalue())
        names = [_RECORDS] if self.header['top_k'] is None else [_RECORDS, _TAILS]
        digests = {name: file_digest(self.path / name) for name in names}
        write_json(self.path / HEADER, dict(self.header, sha256=digests))
        return LabelStore(self.path)
