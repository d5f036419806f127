"""Exceptions for mistakes that a user can correct."""


class DistillError(ValueError):
    """A user's mistake (a missing folder, an id out of range, ...).

    The message is one line that says what is wrong, where, and what to do. The command line tools print it without
    a traceback and exit with 1; it is never raised for a defect of our own.
    """


class MissingPackage(DistillError, ImportError):
    """A package that is needed here is not installed; the message says how to install it."""


def unfit(problem: str) -> DistillError:
    """The error of weights that are not what a config needs."""
    return DistillError(f'weights that do not fit the config: {problem}')
