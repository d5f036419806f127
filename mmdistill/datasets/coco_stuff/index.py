"""Random access to the annotations in COCO's JSON files, by an index of byte offsets."""
import json
import logging
import os.path as osp
import re
from array import array
from typing import Any, BinaryIO, Dict, Iterator, List, Sequence, Tuple

import numpy as np
from mmengine.logging import print_log

from mmdistill.bars import ProgressBar
from mmdistill.errors import DistillError, one_line
from mmdistill.masks import IGNORE
from .ids import FIRST_STUFF, OTHER, train_id
from .regions import MOST_PIXELS, decode_region

_CHUNK = 1 << 22  # bytes read at a time
_LONGEST = 1 << 28  # maximum bytes of one value, such as an annotation
_SPACE = re.compile(r'[ \t\r\n]*')
_decode = json.JSONDecoder().raw_decode


class _Text:
    """Parses a JSON file incrementally, decoded as Latin-1 so that a character is one byte of the file."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream, self.size = stream, osp.getsize(stream.name)
        self.text, self.at, self.before, self.ended = '', 0, 0, False
        self.bar = ProgressBar(-(-self.size // _CHUNK), 'parts of the file') if self.size > 100_000_000 else None

    def fill(self) -> None:
        data = self.stream.read(_CHUNK)
        self.ended = not data
        self.before += self.at
        self.text, self.at = self.text[self.at:] + data.decode('latin-1'), 0
        if self.bar and data:
            self.bar.update()

    def peek(self) -> str:
        """The next non-space character; '' at the end."""
        while True:
            self.at = _SPACE.match(self.text, self.at).end()  # type: ignore[union-attr]
            if self.at < len(self.text) or self.ended:
                return self.text[self.at:self.at + 1]
            self.fill()

    def take(self, expected: str) -> str:
        """Consume the next non-space character, which has to be one of ``expected``."""
        found = self.peek()
        if not found or found not in expected:
            raise ValueError(f'{" or ".join(expected)} is missing')
        self.at += 1
        return found

    def value(self) -> Tuple[Any, int, int]:
        """Consume the next value; return it, the offset of its first byte, and its length in bytes."""
        self.peek()
        while True:
            try:
                value, end = _decode(self.text, self.at)
                if end < len(self.text) or self.ended:
                    break
            except ValueError:
                if self.ended or len(self.text) - self.at > _LONGEST:
                    raise ValueError('no JSON value') from None
            self.fill()
        start, length, self.at = self.before + self.at, end - self.at, end
        return value, start, length


def members(path: str) -> Iterator[Tuple[str, Any, int, int]]:
    """Iterate over the values of a file's JSON object and the items of its arrays; one is in memory at a time.

    Yields:
        Key, value or item, offset of its first byte in the file, length in bytes.

    Raises:
        DistillError: The file is not JSON; the message has the byte offset.
    """
    with open(path, 'rb') as stream:
        text = _Text(stream)
        try:
            text.take('{')
            while text.peek() != '}':
                key, _, _ = text.value()
                text.take(':')
                if text.peek() == '[':
                    text.at += 1
                    while text.peek() != ']':
                        yield (key, *text.value())
                        if text.peek() != ']':
                            text.take(',')
                    text.at += 1
                else:
                    yield (key, *text.value())
                if text.peek() != '}':
                    text.take(',')
        except (RecursionError, ValueError) as error:
            reason = 'nested too deeply' if isinstance(error, RecursionError) else error
            raise DistillError(f'{path} is not a JSON object ({reason} at byte {text.before + text.at} of '
                               f'{text.size}): download or unpack it again') from None


class JsonIndex:
    """Byte offsets of the annotations of each image in COCO's JSON files.

    The files are read once from beginning to end, and only ids, sizes and offsets are kept: about 30 bytes per image
    and 13 per annotation (:attr:`nbytes`). Afterwards, only the annotations of the requested image are read, and
    ``pycocotools.mask`` decodes them. For files of the size of train2017 (118 287 images, 1.6 million annotations,
    1.5 GB), the index takes 26 MB, and up to 0.2 GB while it is built; ``pycocotools.coco.COCO`` takes 0.53 GB for a
    tenth of these annotations (``benchmarks/coco_json.py``).

    Masks are drawn as by the authors' ``cocoSegmentationToSegmentationMap``: first stuff, then things over it; in each
    file, later annotations over earlier ones; crowds (``iscrowd=1``) are skipped unless ``crowds`` is set; polygons of
    fewer than 6 numbers are dropped. Pixels of category 183 (``other``) and pixels without annotation are 255.

    Args:
        files: The stuff JSON and the instances JSON, or one file with both. The first file lists the images.
        crowds: Whether to draw annotations of crowds.

    Attributes:
        ids: int64 (N,), ids of the images, ascending.
        names: bytes (N,), their file names.
        sizes: int32 (N, 2), height and width in pixels.

    Raises:
        DistillError: A file is not in COCO's format, an id or a size is no whole number or out of range, an annotation
            has an unknown category, the files have no image in common, or there are no things.
    """

    def __init__(self, files: Sequence[str], crowds: bool = False) -> None:
        self.files, self.crowds = tuple(files), crowds
        images: Dict[int, Tuple[bytes, int, int]] = {}
        columns = [array(code) for code in 'qqibb']  # image id, first byte, length, number of the file, is a thing
        for number, path in enumerate(files):
            print_log(f'Indexing {path} ({osp.getsize(path) / 1e6:.0f} MB)', 'current')
            found = self._read(path, number, columns)
            if number:
                _check_images(images, found, *files)
            else:
                images = found
        self.ids = np.array(sorted(images), np.int64)
        self.names = np.array([images[i][0] for i in self.ids.tolist()])
        self.sizes = np.array([images[i][1:] for i in self.ids.tolist()], np.int32)
        image, start, length, file, things = (np.array(column) for column in columns)
        rows = np.minimum(np.searchsorted(self.ids, image), len(images) - 1)
        known = np.flatnonzero(self.ids[rows] == image)  # a file may annotate images that the first file does not list
        order = known[np.lexsort((known, things[known], rows[known]))]
        self._bounds = np.searchsorted(rows[order], np.arange(len(images) + 1))
        self._start, self._length, self._file = start[order], length[order], file[order]

    def _read(self, path: str, number: int, columns: Sequence[array]) -> Dict[int, Tuple[bytes, int, int]]:
        """Add a file's annotations to the columns; return its images as id → (name, height, width)."""
        images, things, annotated = {}, False, False
        try:
            for key, item, start, length in members(path):
                if key == 'images':
                    images[_whole(item, 'id')] = (_utf8(item['file_name']), _whole(item, 'height', 1, MOST_PIXELS),
                                                  _whole(item, 'width', 1, MOST_PIXELS))
                elif key == 'categories':
                    things = things or _is_thing(item)
                elif key == 'annotations':
                    annotated = True
                    if self._is_drawn(item, path):
                        for column, value in zip(columns, (_whole(item, 'image_id'), start, length, number,
                                                           item['category_id'] < FIRST_STUFF)):
                            column.append(value)
        except DistillError:
            raise
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            problem = f'{key} {"have" if isinstance(error, ValueError) else "lack"} {error}'
            raise DistillError(f'{path} is not a stuff or instances file of COCO: its {problem}: correct it, or '
                               'download it again') from None
        if not images:
            raise DistillError(f'{path} lists no images: give a stuff or instances file of COCO')
        if len(self.files) == 1 and annotated and not things:
            raise DistillError(f'{path} has no category of things: give instances_*.json as things_file')
        return images

    def _is_drawn(self, annotation: Dict[str, Any], path: str) -> bool:
        """Whether an annotation is drawn; raises a DistillError if its category is unknown."""
        category = _whole(annotation, 'category_id')
        if category == OTHER:
            return False
        if train_id(category) < 0:
            raise DistillError(f'{path}: annotation {annotation.get("id")} has category id {category}, which is not '
                               'an id of COCO-Stuff: 1..183 except 11 unused ones are valid')
        return self.crowds or not annotation.get('iscrowd')

    @property
    def nbytes(self) -> int:
        """Memory of the index in bytes."""
        return sum(value.nbytes for value in vars(self).values() if isinstance(value, np.ndarray))

    def annotations(self, image_id: int) -> List[Dict[str, Any]]:
        """Annotations of an image, in the order in which they are drawn.

        Raises:
            DistillError: There is no such image, or a file was changed after it was indexed.
        """
        row = self._row(image_id)
        found, chosen = [], range(*self._bounds[row:row + 2].tolist())
        streams = {number: open(self.files[number], 'rb') for number in {int(self._file[i]) for i in chosen}}
        try:
            for i in chosen:
                stream = streams[int(self._file[i])]
                stream.seek(int(self._start[i]))
                found.append(json.loads(stream.read(int(self._length[i]))))
                if found[-1]['image_id'] != image_id:
                    raise ValueError
        except (ValueError, KeyError, TypeError):
            raise DistillError(f'{self.files[int(self._file[i])]} was changed while it was in use: start '
                               'again') from None
        finally:
            for stream in streams.values():
                stream.close()
        return found

    def mask(self, image_id: int) -> np.ndarray:
        """Mask of an image: train ids uint8 (H, W), 255 for pixels without a class.

        Raises:
            DistillError: As for :meth:`annotations`, or a segmentation cannot be decoded.
        """
        height, width = self.sizes[self._row(image_id)].tolist()
        mask = np.full((height, width), IGNORE, np.uint8, 'F')  # column-major, like COCO's run lengths
        for annotation in self.annotations(image_id):
            try:
                region = decode_region(annotation['segmentation'], height, width)
            except (KeyError, OverflowError, TypeError, ValueError) as error:
                raise DistillError(f'{" or ".join(self.files)}: annotation {annotation.get("id")} of image {image_id} '
                                   f'has no readable segmentation ({error})') from None
            np.copyto(mask, train_id(int(annotation['category_id'])), where=region)
        return np.ascontiguousarray(mask)

    def _row(self, image_id: int) -> int:
        row = int(np.searchsorted(self.ids, image_id))
        if row == len(self.ids) or self.ids[row] != image_id:
            raise DistillError(f'{self.files[0]} has no image {image_id}')
        return row


def _whole(item: Dict[str, Any], name: str, least: int = -1 << 63, most: int = (1 << 63) - 1) -> int:
    """The whole number at a key of an item; raises a ValueError for other values and for those out of range."""
    value = item[name]
    value = int(value) if isinstance(value, float) and value.is_integer() else value
    if not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f'{name}={one_line(repr(value), 40)}, which is no whole number from {least} to {most}')
    return value


def _is_thing(category: Dict[str, Any]) -> bool:
    return train_id(_whole(category, 'id')) >= 0 and category['id'] < FIRST_STUFF


def _utf8(text: str) -> bytes:
    """UTF-8 bytes of a file name that was decoded as Latin-1, unless it was escaped in the JSON."""
    try:
        data = text.encode('latin-1')
        data.decode()
        return data
    except UnicodeError:
        return text.encode()


def _check_images(images: Dict[int, Any], others: Dict[int, Any], file: str, other: str) -> None:
    """Check that two files have images in common, and warn of images that the second one lacks."""
    missing = len(images.keys() - others.keys())
    if missing == len(images):
        raise DistillError(f'{file} and {other} have no image in common: give the two files of one split')
    if missing:
        print_log(f'{missing} of the {len(images)} images of {file} are not in {other}: their things are missing',
                  'current', logging.WARNING)
