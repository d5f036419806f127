"""The condition of a batch of images."""
from dataclasses import dataclass, field
from typing import Mapping, Tuple

import torch
from torch import Tensor

from ..plan import Request


@dataclass(frozen=True)
class Condition:
    """Named, batch-first tensors, with replacements for the unconditional pass.

    Masks are the tensor ``mask``: (B, H, W) int64 train ids, 255 = ignore. Guidance objectives read it too, and
    identify samples by their requests.

    Attributes:
        tensors: Name → (B, ...) tensor.
        nulls: Name → (B, ...) tensor for the unconditional pass; tensors without an entry are used in both passes.
        requests: The request of each row; may be empty if the guidance does not need them.

    Example:
        >>> condition = Condition(dict(label=torch.tensor([3, 5])), nulls=dict(label=torch.tensor([10, 10])))
        >>> condition.null()['label']
        tensor([10, 10])
    """
    tensors: Mapping[str, Tensor]
    nulls: Mapping[str, Tensor] = field(default_factory=dict)
    requests: Tuple[Request, ...] = ()

    def __getitem__(self, name: str) -> Tensor:
        return self.tensors[name]

    def null(self) -> 'Condition':
        """The condition for the unconditional pass."""
        return Condition({**self.tensors, **self.nulls}, self.nulls, self.requests)

    def replace(self, tensors: Mapping[str, Tensor], nulls: Mapping[str, Tensor]) -> 'Condition':
        """A copy with some tensors replaced or added."""
        return Condition({**self.tensors, **tensors}, {**self.nulls, **nulls}, self.requests)

    def cat(self, other: 'Condition') -> 'Condition':
        """Concatenate the rows of two conditions with the same tensor names."""
        return Condition({k: torch.cat([v, other.tensors[k]]) for k, v in self.tensors.items()},
                         {k: torch.cat([v, other.nulls[k]]) for k, v in self.nulls.items()},
                         self.requests + other.requests)

    def rows(self, rows: slice) -> 'Condition':
        """The condition of a slice of rows."""
        tensors, nulls = ({k: v[rows] for k, v in part.items()} for part in (self.tensors, self.nulls))
        return Condition(tensors, nulls, self.requests[rows])

    def to(self, device) -> 'Condition':
        """A copy on another device."""
        tensors, nulls = ({k: v.to(device) for k, v in part.items()} for part in (self.tensors, self.nulls))
        return Condition(tensors, nulls, self.requests)
