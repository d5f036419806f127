"""Builds the cheap components of a config to see whether they can be built."""
import copy
from contextlib import contextmanager
from typing import Any, Callable, ContextManager, Dict, Iterator, Mapping

from mmdistill.errors import DistillError, is_fault_of_machine, one_line, unregistered
from mmdistill.settings import NO_SETTINGS

Build = Callable[[Dict[str, Any]], Any]


def reason(error: BaseException) -> str:
    """The message of an exception in one line; with its type if the message says too little alone."""
    if unknown := unregistered(error):
        return unknown
    text = one_line(error, None)
    if isinstance(error, TypeError) and 'not supported between instances' in text:
        return f'it has the wrong type ({text})'
    return text if ' ' in text and not isinstance(error, LookupError) else one_line(error, None, named=True)


@contextmanager
def replaced(text: Callable[[Exception], str]) -> Iterator[None]:
    """Context that replaces an exception by a :class:`DistillError` with ``text(exception)``.

    Faults of the machine, such as a full disk or memory, are not replaced: the command explains them.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, DistillError) or is_fault_of_machine(error):
            raise
        raise DistillError(text(error)) from error


def errors_at(key: str) -> ContextManager[None]:
    """Like :func:`replaced`, with a text that names the ``key`` of the config."""
    return replaced(lambda error: f'{key}: {reason(error)}')


def attempt(build: Build, settings: Mapping[str, Any], where: str) -> Any:
    """Call ``build(settings)`` with a copy of the settings, and return its result.

    Args:
        build: Builds a component; it must be cheap.
        settings: Its settings.
        where: Key of the settings in the config.

    Raises:
        DistillError: ``build`` raises an exception. The message names the setting without which it does not, if
            there is a single one.
    """
    try:
        return build(copy.deepcopy(dict(settings)))
    except DistillError:
        raise
    except Exception as error:
        failure = error
    suspects = [key for key in settings if key not in NO_SETTINGS
                and _works(build, {name: value for name, value in settings.items() if name != key})]
    if len(suspects) != 1:
        raise DistillError(f'{where}: {reason(failure)}') from None
    key, = suspects
    value, place = settings[key], f'{where}.{key}'
    if isinstance(value, Mapping):
        attempt(lambda part: build({**copy.deepcopy(dict(settings)), key: part}), value, place)
    raise DistillError(f'{place}={value!r}: {reason(failure)}') from None


def _works(build: Build, settings: Mapping[str, Any]) -> bool:
    try:
        build(copy.deepcopy(dict(settings)))
        return True
    except Exception:
        return False
