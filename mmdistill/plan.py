"""Requests and plans: what a run is going to make, as plain values.

The plan is written before the first image is made; sharding, resuming and counting read it alone.
"""
import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Collection, Dict, Optional, Tuple

from .errors import DistillError
from .files import write_json

PLAN_VERSION = 2


@dataclass(frozen=True)
class Request:
    """One image to make."""
    id: str  # unique in the plan; the stem of the file that is written; 'folder of the class/number' for classes
    seed: int  # every random number of this image comes from it, 0 <= seed < 2**63
    source_index: Optional[int] = None  # of the source sample in the source dataset; None where there is no single one
    source: Optional[str] = None  # path or URI of the source image; None likewise
    mask: Optional[str] = None  # path or URI of the source mask; None for classification
    classes: Tuple[int, ...] = ()  # class ids that the image has to show, ascending
    prompt: Optional[str] = None  # text for generators that read one
    # Address of the latents to start from, 'file#class id/number', the file relative to the work dir; None: pure noise.
    latent: Optional[str] = None

    def single_class(self, known: Optional[Collection[int]] = None) -> int:
        """The class of a request for one class, which has to be among the known ones; otherwise a DistillError."""
        if len(self.classes) != 1 or known is not None and self.classes[0] not in known:
            which = '' if known is None else f' of the {len(known)} that there are'
            raise DistillError(f'request {self.id} is for classes {list(self.classes)}: plan it for one class{which}')
        return self.classes[0]


@dataclass(frozen=True)
class Plan:
    """The ordered requests of a run."""
    method: str  # its name, e.g. 'D3S2'
    config_hash: str  # hash of everything in the config that decides what the images look like
    seed: int  # of the run; each request's seed is derived from it
    classes: Tuple[str, ...]  # their names, in the order of the ids
    palette: Tuple[Tuple[int, int, int], ...]  # one RGB triple per class, 0..255; empty for classification
    source_size: int  # number of samples that the selector chose from
    requests: Tuple[Request, ...]  # in the order in which they were picked
    provenance: Dict[str, Any] = field(default_factory=dict)  # JSON values for the manifest: weights, selector, ...

    def save(self, path) -> None:
        """Write the plan as JSON, atomically."""
        write_json(path, dict(version=PLAN_VERSION, **asdict(self)))

    @classmethod
    def load(cls, path) -> 'Plan':
        """Read a plan back; a DistillError where the file is missing, truncated, or of another version."""
        try:
            data = json.loads(Path(path).read_text())
            if data.pop('version') != PLAN_VERSION:
                raise ValueError('written by another version of mmdistill')
            data.update(requests=tuple(Request(**{**r, 'classes': tuple(r['classes'])}) for r in data['requests']),
                        classes=tuple(data['classes']), palette=tuple(map(tuple, data['palette'])))
            return cls(**data)
        except FileNotFoundError:
            raise DistillError(f'no plan at {path}: there is no run to resume, start a new one') from None
        except (ValueError, KeyError, TypeError) as error:
            raise DistillError(f'{path} is not a readable plan ({error}): delete it and start the run again') from None


def request_seed(run_seed: int, request_id: str) -> int:
    """The seed of a request: a hash of the run's seed and the request's id, 0 <= seed < 2**63."""
    return int.from_bytes(hashlib.sha256(f'{run_seed}/{request_id}'.encode()).digest()[:8], 'big') >> 1
