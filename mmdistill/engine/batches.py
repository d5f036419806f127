"""Batches of requests, which stand for the dataloader of a distillation run."""
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Set, Tuple

from mmdistill.plan import Request


class RequestBatches:
    """Iterates over this rank's requests in batches and loads their inputs lazily.

    Args:
        requests: Of this rank, in order.
        inputs: Requests of a batch, and ``spare=`` those that follow → what else the batch holds.
        batch_size: Requests in a batch, at the most.
        spare: With more than 0 no batch has two requests of a group (:attr:`~mmdistill.plan.Request.group`), and each
            batch names this many of the requests that follow, whose unguided steps may be done along.
        joint: Each batch is a whole group, of any size; the groups stand one behind the other in the requests.
        ready: Whether a request can be made when its batch is due; those that cannot are left out.
    """

    def __init__(self, requests: List[Request], inputs: Callable[..., Dict[str, Any]], batch_size: int, spare: int = 0,
                 joint: bool = False, ready: Optional[Callable[[Request], bool]] = None) -> None:
        self.requests, self.inputs, self.spare, self.ready = requests, inputs, spare, ready
        self.starts: List[int] = []
        seen: Set[Tuple] = set()
        for index, request in enumerate(requests):
            full = not self.starts or not joint and index - self.starts[-1] == batch_size
            met = bool(seen) and (request.group in seen) != joint
            if full or (spare or joint) and met:
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
                following = dict(spare=self.requests[end:end + self.spare]) if self.spare else {}
                yield dict(requests=batch, **following, **self.inputs(batch, **following))
