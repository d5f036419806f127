"""Batches of requests, used as the dataloader of a distillation run."""
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Set, Tuple

from mmdistill.plan import Request


class RequestBatches:
    """Iterates over this rank's requests in batches and loads their inputs lazily.

    Args:
        requests: The requests of this rank, in order.
        inputs: Function that loads the other entries of a batch. It is called with the requests of the batch and, if
            ``upcoming`` is above 0, with the keyword ``upcoming``, a list of the requests after the batch.
        batch_size: Maximum number of requests in a batch.
        upcoming: If above 0, a batch never contains two requests of the same group
            (:attr:`~mmdistill.plan.Request.group`). The batch then also lists the next ``upcoming`` requests, whose
            unguided steps may be computed in the same batch.
        joint: Whether each batch is one complete group of any size. The requests of a group must be consecutive.
        ready: Function that tells whether a request can be generated now. It is called when the batch is loaded;
            requests that are not ready are left out.

    Yields:
        Dicts with ``requests``, ``upcoming`` if it is above 0, and the entries that ``inputs`` returns.
    """

    def __init__(self, requests: List[Request], inputs: Callable[..., Dict[str, Any]], batch_size: int,
                 upcoming: int = 0, joint: bool = False, ready: Optional[Callable[[Request], bool]] = None) -> None:
        self.requests, self.inputs, self.upcoming, self.ready = requests, inputs, upcoming, ready
        self.starts: List[int] = []
        seen: Set[Tuple] = set()
        for index, request in enumerate(requests):
            full = not self.starts or not joint and index - self.starts[-1] == batch_size
            met = bool(seen) and (request.group in seen) != joint
            if full or (upcoming or joint) and met:
                self.starts.append(index)
                seen = set()
            seen.add(request.group)

    def __len__(self) -> int:
        return len(self.starts)

    def __iter__(self) -> Iterator[Dict[str, Any]]:
        for start, end in zip(self.starts, [*self.starts[1:], len(self.requests)]):
            batch: Sequence[Request] = self.requests[start:end]
            if self.ready is not None:
                batch = [request for request in batch if self.ready(request)]
            if batch:
                following = dict(upcoming=self.requests[end:end + self.upcoming]) if self.upcoming else {}
                yield dict(requests=batch, **following, **self.inputs(batch, **following))
