"""Reads batches in worker processes whose errors stay one line."""
from functools import partial
from typing import Any, Callable, Iterator, Sequence, Union

from torch.utils.data import DataLoader

from .errors import DistillError


def read_batches(read: Callable[[Any], Any], batches: Sequence[Any], workers: int, **settings: Any) -> Iterator[Any]:
    """Yield ``read(batch)`` for each batch, in order.

    Args:
        read: Function of a batch, which the worker processes call.
        batches: The batches, such as lists of indices.
        workers: Number of processes; 0 reads in the calling process.
        **settings: More settings of PyTorch's ``DataLoader``.

    Raises:
        DistillError: ``read`` raised it.
    """
    if not len(batches):
        return
    for batch in DataLoader(batches, None, num_workers=workers,  # type: ignore[arg-type]
                            collate_fn=partial(_or_error, read), **settings):
        if isinstance(batch, DistillError):
            raise batch
        yield batch


def _or_error(read: Callable[[Any], Any], batch: Any) -> Union[Any, DistillError]:
    """The result or the error, which is returned because DataLoader would replace its message by a traceback."""
    try:
        return read(batch)
    except DistillError as error:
        return error
