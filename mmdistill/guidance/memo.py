"""Values that are the same in all steps of a batch."""
from typing import Any, Callable, Dict, Hashable, TypeVar

T = TypeVar('T')


class BatchMemo:
    """Remembers values of the last batch, so that a step neither computes them again nor waits for a device.

    Example:
        >>> memo, mask = BatchMemo(), [3, 1]
        >>> [memo(mask, 'highest', max, mask) for _ in range(2)]  # max is called once
        [3, 3]
    """

    def __init__(self) -> None:
        self._batch: Any = None
        self._values: Dict[Hashable, Any] = {}

    def __call__(self, batch: Any, key: Hashable, compute: Callable[..., T], *arguments: Any) -> T:
        """The value of ``compute(*arguments)``.

        Args:
            batch: A condition or a tensor of the batch, compared by identity; it must not be changed in place.
            key: Distinguishes the values of a batch; contains whatever else they depend on, such as a dtype.
            compute, arguments: A function and its arguments; called if the batch or the key is new.
        """
        if self._batch is not batch:
            self._batch, self._values = batch, {}
        if key not in self._values:
            self._values[key] = compute(*arguments)
        return self._values[key]
