"""Errors of OpenMMLab's datasets in one line."""
from contextlib import contextmanager
from typing import Iterator

from mmdistill.errors import DistillError


@contextmanager
def readable(where: str) -> Iterator[None]:
    """Turn what OpenMMLab's datasets raise for missing or wrong data into a :class:`DistillError`.

    Args:
        where: Key of the dataset in the config.
    """
    try:
        yield
    except DistillError:
        raise
    except FileNotFoundError as error:
        raise DistillError(f'no data at {error.filename or error}: set {where}.data_root') from None
    except (AssertionError, AttributeError, KeyError, OSError, RuntimeError, TypeError, ValueError) as error:
        empty = 'need at least one array' in str(error)  # what mmseg says of a folder without images
        reason = 'it finds no image: check data_root, data_prefix and img_suffix' if empty else error
        raise DistillError(f'{where}: {" ".join(str(reason).split())}') from None
