"""Batches of requests, which stand for the dataloader of a distillation run."""
from typing import Callable, List

from mmdistill.plan import Request


class RequestBatches:
    """Batches of this rank's requests with what they need, read when they are due; what the logger counts.

    With ``spare``, no batch has a class twice, and each names so many of the requests that follow.
    """

    def __init__(self, requests: List[Request], inputs: Callable[..., dict], batch_size: int, spare: int = 0) -> None:
        self.requests, self.inputs, self.spare = requests, inputs, spare
        self.starts, seen = [], set()
        for index, request in enumerate(requests):
            full = index == 0 or index - self.starts[-1] == batch_size
            if full or (spare and not seen.isdisjoint(request.classes)):
                self.starts.append(index)
                seen = set()
            seen.update(request.classes)

    def __len__(self) -> int:
        return len(self.starts)

    def __iter__(self):
        for start, end in zip(self.starts, [*self.starts[1:], len(self.requests)]):
            batch = self.requests[start:end]
            following = dict(spare=self.requests[end:end + self.spare]) if self.spare else {}
            yield dict(requests=batch, **following, **self.inputs(batch, **following))
