"""Requests and plans: the images that a run generates, as plain values.

The plan is written before the first image is generated; sharding, resuming and counting only depend on it.
"""
import hashlib
import re
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Collection, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from .documents import check_paths, check_record, read_document
from .errors import DistillError
from .files import write_json
from .settings import NonNegativeInt, Range

PLAN_VERSION = 2
Seed = Annotated[int, Range(0, 2**63, below=True)]
Colour = Tuple[Annotated[int, Range(0, 255)], Annotated[int, Range(0, 255)], Annotated[int, Range(0, 255)]]


@dataclass(frozen=True)
class Request:
    """One image to generate."""
    id: str  # unique in the plan; stem of the file; 'folder of the class/number' for classification
    seed: Seed  # seed of all random numbers of this image
    source_index: Optional[NonNegativeInt] = None  # index of the source sample in the real dataset, if there is one
    source: Optional[str] = None  # path or URI of the source image, if there is one
    mask: Optional[str] = None  # path or URI of the source mask; None for classification
    classes: Tuple[NonNegativeInt, ...] = ()  # ids of the classes in the image, ascending
    prompt: Optional[str] = None  # text for generators that use one
    # Address of the start latents, 'file#class id/number', with the file relative to the work dir; None: pure noise.
    latent: Optional[str] = None
    candidate: NonNegativeInt = 0  # number of the candidate set, if images are chosen among candidates

    @property
    def group(self) -> Tuple[Tuple[int, ...], int]:
        """(classes, candidate): the requests of a group are the images of a class in one candidate set."""
        return self.classes, self.candidate

    def single_class(self, known: Optional[Collection[int]] = None) -> int:
        """The class id of a request with one class.

        Args:
            known: Known class ids; None: any.

        Raises:
            DistillError: The request has no or several classes, or its class is unknown.
        """
        if len(self.classes) != 1 or known is not None and self.classes[0] not in known:
            which = '' if known is None else f' of the {len(known)} that there are'
            raise DistillError(f'request {self.id} is for classes {list(self.classes)}: plan it for one class{which}')
        return self.classes[0]


@dataclass(frozen=True)
class Plan:
    """The ordered requests of a run."""
    method: str  # name of the method, such as 'D3S2'
    config_hash: str  # hash of everything in the config that affects the images
    seed: NonNegativeInt  # seed of the run, from which the seeds of the requests are derived
    classes: Tuple[str, ...]  # class names, in the order of the ids
    palette: Tuple[Colour, ...]  # one RGB triple per class, 0..255; empty for classification
    source_size: NonNegativeInt  # number of samples in the real dataset
    requests: Tuple[Request, ...]  # in order of selection
    provenance: Dict[str, Any] = field(default_factory=dict)  # JSON values for the manifest: weights, selector, ...
    settings: Dict[str, Any] = field(default_factory=dict)  # the settings that config_hash covers, by config key

    def save(self, path) -> None:
        """Write the plan as JSON, atomically."""
        write_json(path, dict(version=PLAN_VERSION, **asdict(self)))

    @classmethod
    def load(cls, path, annotation: Optional[str] = None) -> 'Plan':
        """Read a plan.

        Args:
            path: The file.
            annotation: What each request needs; see :func:`check_entries`.

        Raises:
            DistillError: The file is missing, damaged or of another version, or is not a valid plan: without requests,
                with duplicate or invalid ids, without an annotation, or with values of a wrong type or range.
        """
        try:
            data = read_document(path)
            if data.pop('version', None) != PLAN_VERSION:
                raise ValueError('written by another version of mmdistill')
            check_record(data, cls)
            check_classes(data['classes'], data['palette'])
            check_entries(data['requests'], len(data['classes']), annotation)
        except FileNotFoundError:
            raise DistillError(f'no plan at {path}: restore it, or begin the run again in '
                               'another folder') from None
        except ValueError as error:
            raise DistillError(f'{path} is not a readable plan ({error}): restore it, or begin the run '
                               'again in another folder') from None
        data.update(requests=tuple(Request(**{**r, 'classes': tuple(r.get('classes', ()))}) for r in data['requests']),
                    classes=tuple(data['classes']), palette=tuple(map(tuple, data['palette'])))
        return cls(**data)


def groups_of(requests: Iterable[Request]) -> Dict[Tuple, List[Request]]:
    """The requests by group (:attr:`Request.group`), in order.

    Example:
        >>> requests = [Request('cat/0', 1, classes=(0, )), Request('dog/0', 2, classes=(1, ))]
        >>> [group for group in groups_of(requests)]
        [((0,), 0), ((1,), 0)]
    """
    groups: Dict[Tuple, List[Request]] = {}
    for request in requests:
        groups.setdefault(request.group, []).append(request)
    return groups


def group_numbers(requests: Iterable[Request]) -> Dict[Request, int]:
    """The number of each request within its group, from 0."""
    return {request: number for group in groups_of(requests).values() for number, request in enumerate(group)}


def check_classes(classes: Sequence[str], palette: Sequence) -> None:
    """Raise a ValueError unless there are classes, each with a name and, if there is a palette, a colour."""
    if not classes or not all(classes):
        raise ValueError('classes are missing or without a name')
    if palette and len(palette) != len(classes):
        raise ValueError(f'{len(palette)} colours for {len(classes)} classes')


def check_entries(entries: Sequence[Mapping[str, Any]], num_classes: int, annotation: Optional[str] = None) -> None:
    """Check the common fields of a plan's requests or a manifest's images.

    Args:
        entries: The requests or images.
        num_classes: Number of classes.
        annotation: What each entry needs: ``'masks'``, a mask; ``'classes'``, exactly one class. Others: anything.

    Raises:
        ValueError: There are no entries, ids are duplicate or invalid, class ids are not ascending or out of range, an
            annotation is missing, or the address of start latents is invalid.
    """
    if not entries:
        raise ValueError('it contains no images')
    seen = set()
    for entry in entries:
        name, classes = entry['id'], list(entry.get('classes', ()))
        check_paths(name)
        if name in seen:
            raise ValueError(f'the id {name} occurs twice')
        seen.add(name)
        if sorted(set(classes)) != classes or classes and classes[-1] >= num_classes:
            raise ValueError(f'{name} shows classes {classes[:8]}: ascending ids below {num_classes} are needed')
        if annotation == 'classes' and len(classes) != 1:
            raise ValueError(f'{name} shows classes {classes[:8]}: classification needs exactly one')
        if annotation == 'masks' and entry.get('mask') is None:
            raise ValueError(f'{name} has no mask: segmentation needs one')
        latent = entry.get('latent')
        if latent is not None and not re.fullmatch(r'[^/\\#]+#\d{1,9}/\d{1,9}', latent):
            raise ValueError(f'{name} starts from {latent[:40]!r}, which is not an address of latents')


def request_seed(run_seed: int, request_id: str) -> int:
    """The seed of a request, 0 <= seed < 2**63: a hash of the run's seed and the request's id.

    Example:
        >>> request_seed(0, 'cat/00000') == request_seed(0, 'cat/00000') != request_seed(1, 'cat/00000')
        True
    """
    return int.from_bytes(hashlib.sha256(f'{run_seed}/{request_id}'.encode()).digest()[:8], 'big') >> 1
