"""Exceptions for errors that a user can correct."""
import errno
import re
from contextlib import contextmanager
from typing import Iterator, List, Optional, Sequence, Type, TypeGuard, Union

_DISK = [getattr(errno, name, None) for name in ('ENOSPC', 'EDQUOT', 'EROFS', 'EIO', 'EFBIG')]


class DistillError(ValueError):
    """An error that a user can correct, such as a missing folder or an id out of range.

    The message is one line that says what is wrong, where, and what to do. The command line prints it without a
    traceback and exits with status 1. It is not raised for defects of mmdistill.
    """


class MissingWeights(DistillError):
    """The file or the package of the weights that a config names does not exist."""


class SeveralErrors(DistillError):
    """Independent errors, in the order in which they should be corrected. The command line prints one line for each.

    Args:
        errors: The errors, at least one.
    """

    def __init__(self, errors: Sequence[DistillError]) -> None:
        super().__init__('\n'.join(map(str, errors)))
        self.errors = list(errors)


class Problems:
    """Collects independent errors, so that a user can correct all of them at once.

    Example:
        >>> problems = Problems()
        >>> for name in ('a', 'b'):
        ...     with problems.collect():
        ...         raise DistillError(f'{name} is missing')
        >>> [str(error) for error in problems.errors]
        ['a is missing', 'b is missing']
    """

    def __init__(self) -> None:
        self.errors: List[DistillError] = []

    @contextmanager
    def collect(self, kind: Type[DistillError] = DistillError) -> Iterator[None]:
        """Context that collects an error of its block, if it is a ``kind``, instead of raising it."""
        try:
            yield
        except kind as error:
            self.errors.append(error)

    def report(self) -> None:
        """Raise the collected errors, if there are any: a single one as it is, several as :class:`SeveralErrors`."""
        if len(self.errors) == 1:
            raise self.errors[0]
        if self.errors:
            raise SeveralErrors(self.errors)


@contextmanager
def named(where: str) -> Iterator[None]:
    """Context that puts ``where``, such as a key of a config, before the message of a DistillError of its block."""
    try:
        yield
    except DistillError as error:
        raise DistillError(f'{where}: {error}') from None


class MissingPackage(DistillError, ImportError):
    """A required package is not installed; the message says how to install it."""


def one_line(error: Union[BaseException, str], limit: Optional[int] = 200, named: bool = False) -> str:
    """The text of an error in one line, without control characters; the name of its type if it has no text.

    Args:
        error: An exception, of a library or of mmdistill, or its text.
        limit: Maximum number of characters; None for all.
        named: Whether the name of the exception's type comes first.

    Example:
        >>> one_line(RuntimeError('two\\nlines'), named=True)
        'RuntimeError: two lines'
    """
    name = type(error).__name__ if isinstance(error, BaseException) else ''
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)  # not its repr
    text = ' '.join(''.join(letter if letter.isprintable() else ' ' for letter in text).split())
    return (f'{name}: {text}' if named and text else text or name)[:limit]


def counted(number: int, what: str) -> str:
    """A number with its noun in singular or plural.

    Example:
        >>> counted(1, 'class'), counted(2000, 'image')
        ('1 class', '2,000 images')
    """
    return f'{number:,} {what}' + ('' if number == 1 else 'es' if what.endswith('s') else 's')


def disk_failed(error: BaseException) -> TypeGuard[OSError]:
    """Whether an exception says that a disk is full, read-only or broken."""
    return isinstance(error, OSError) and error.errno in _DISK


def out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that the memory of the machine or of its accelerator is full."""
    if isinstance(error, MemoryError) or isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    # torch is not imported here; its allocator for the CPU raises a plain RuntimeError
    return type(error).__name__ == 'OutOfMemoryError' or (
        isinstance(error, RuntimeError) and 'DefaultCPUAllocator' in str(error))


def is_fault_of_machine(error: BaseException) -> bool:
    """Whether an exception is no mistake of the user, but a full disk or memory. The command line explains both."""
    return disk_failed(error) or out_of_memory(error)


def unregistered(error: BaseException) -> Optional[str]:
    """Text about a type that is in no registry, from the exception of MMEngine; None for other exceptions."""
    found = re.search(r'([\w.]+) is not in the (?:(\w+)::)?([\w ]+?) registry', one_line(error, None))
    if not found:
        return None
    from .components import similar  # it imports this module
    return found.group() + (similar(*found.groups()) or ': check its spelling, default_scope and custom_imports')


def unfit(problem: str) -> DistillError:
    """The error for weights that do not fit a config."""
    return DistillError(f'weights that do not fit the config: {problem}')
