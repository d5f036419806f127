"""Batches of requests, which stand for the dataloader of a distillation run."""
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Set

from mmdistill.plan import Request


class RequestBatches:
    """Iterates over this rank's requests in batches and loads their inputs lazily.

    Args:
        requests: Of this rank, in order.
        inputs: Requests of a batch, and ``spare=`` those that follow → what else the batch holds.
        batch_size: Requests in a batch, at the most.
        spare: With more than 0 no batch has two requests of a class, and each batch names this many of the requests
            that follow, whose unguided steps may be done along.
        ready: Whether a request can be made when its batch is due; those that cannot are left out.
    """

    def __init__(self, requests: List[Request], inputs: Callable[..., Dict[str, Any]], batch_size: int, spare: int = 0,
                 ready: Optional[Callable[[Request], bool]] = None) -> None:
        self.requests, self.inputs, self.spare, self.ready = requests, inputs, spare, ready
        self.starts: List[int] = []
        seen: Set[int] = set()
        for index, request in enumerate(requests):
            full = not self.starts or index - self.starts[-1] == batch_size
            if full or (spare and not seen.isdisjoint(request.classes)):
                self.starts.append(index)
                seen = set()
            seen.update(request.classes)

    def __len__(self) -> int:
        return len(self.starts)

    def __iter__(self) -> Iterator[Dict[str, Any]]:
        for start, end in zip(self.starts, [*self.starts[1:], len(self.requests)]):
            batch: Sequence[Request] = self.requests[start:end]
            if self.ready is not None:
                batch = [request for request in batch if self.ready(request)]
            if batch:
                following = dict(spare=self.requests[end:end + self.spare]) if self.spare else {}
                yield dict(requests=batch, **following, **self.inputs(batch, **following))
