"""What a batch of images is conditioned on."""
from dataclasses import dataclass, field
from typing import Mapping, Tuple

import torch
from torch import Tensor

from ..plan import Request


@dataclass(frozen=True)
class Condition:
    """Batch-first tensors by name, with what takes their place in the unconditional pass.

    The layout condition is ``mask``: (B, H, W) int64 train ids, 255 = ignore. Guidance objectives read it too, and
    tell samples apart by their requests.

    Attributes:
        tensors: Name to (B, ...) tensor.
        nulls: Name to the (B, ...) tensor of the unconditional pass; a name that is missing keeps its tensor there.
        requests: The request of each row; may be empty where no guidance needs them.
    """
    tensors: Mapping[str, Tensor]
    nulls: Mapping[str, Tensor] = field(default_factory=dict)
    requests: Tuple[Request, ...] = ()

    def __getitem__(self, name: str) -> Tensor:
        return self.tensors[name]

    def null(self) -> 'Condition':
        """The condition of the unconditional pass."""
        return Condition({**self.tensors, **self.nulls}, self.nulls, self.requests)

    def replace(self, tensors: Mapping[str, Tensor], nulls: Mapping[str, Tensor]) -> 'Condition':
        """The same rows with these tensors under their names."""
        return Condition({**self.tensors, **tensors}, {**self.nulls, **nulls}, self.requests)

    def cat(self, other: 'Condition') -> 'Condition':
        """The rows of both, these first; both have the same names of tensors."""
        return Condition({k: torch.cat([v, other.tensors[k]]) for k, v in self.tensors.items()},
                         {k: torch.cat([v, other.nulls[k]]) for k, v in self.nulls.items()},
                         self.requests + other.requests)

    def rows(self, rows: slice) -> 'Condition':
        """Some of the rows."""
        tensors, nulls = ({k: v[rows] for k, v in part.items()} for part in (self.tensors, self.nulls))
        return Condition(tensors, nulls, self.requests[rows])

    def to(self, device) -> 'Condition':
        """The same on another device."""
        tensors, nulls = ({k: v.to(device) for k, v in part.items()} for part in (self.tensors, self.nulls))
        return Condition(tensors, nulls, self.requests)
