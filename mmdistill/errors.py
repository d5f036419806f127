"""Exceptions for errors that a user can correct."""


class DistillError(ValueError):
    """An error that a user can correct, such as a missing folder or an id out of range.

    The message is one line that says what is wrong, where, and what to do. The command line prints it without a
    traceback and exits with status 1. It is not raised for defects of mmdistill.
    """


class MissingPackage(DistillError, ImportError):
    """A required package is not installed; the message says how to install it."""


def unfit(problem: str) -> DistillError:
    """The error for weights that do not fit a config."""
    return DistillError(f'weights that do not fit the config: {problem}')
