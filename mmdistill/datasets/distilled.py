"""What the distilled data sets of both hosts share."""
import os.path as osp
from typing import Any, Dict

from mmdistill.errors import DistillError
from .manifest import MANIFEST


def settle(data_root: str, kwargs: Dict[str, Any], given: Dict[str, Any], metainfo: Dict[str, Any]) -> Dict[str, Any]:
    """The host's arguments where the manifest decides.

    Args:
        data_root: For messages.
        kwargs: The config's arguments; those in ``given``, and ``metainfo``, are taken out.
        given: What the manifest says.
        metainfo: ``classes`` and more, by the manifest.

    Raises:
        DistillError: The config says otherwise.
    """
    for key, value in given.items():
        if kwargs.pop(key, value) != value:
            raise DistillError(f'{key} of {data_root} is {value!r} by its {MANIFEST}: leave it out of the config')
    own = kwargs.pop('metainfo', None) or {}
    if tuple(own.get('classes', metainfo['classes'])) != metainfo['classes']:
        raise DistillError(f'the classes of {data_root} are those of its {MANIFEST}: leave them out of metainfo')
    return dict(given, metainfo={**own, **metainfo})


def present(data_root: str, name: str) -> str:
    """The path of a file that the manifest lists.

    Raises:
        DistillError: It is missing.
    """
    path = osp.join(data_root, name)
    if not osp.isfile(path):
        raise DistillError(f'{path} is in {MANIFEST} but not on disk: restore it, or delete the manifest '
                           'and run mmdistill distill … --resume')
    return path
