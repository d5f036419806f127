"""Paths relative to a data root."""
import os.path as osp
from typing import Optional


def is_outside(path: str) -> bool:
    """Whether a path is absolute or leads out of the folder to which it is relative."""
    return osp.isabs(path) or osp.normpath(path).split('/')[0] == '..'


def inside_root(path: str, root: Optional[str]) -> str:
    """A path relative to the data root, '' for the root itself. Symbolic links are resolved if necessary."""
    if not path or not root:
        return path
    found = osp.relpath(path, root)
    if is_outside(found) and not is_outside(real := osp.relpath(osp.realpath(path), osp.realpath(root))):
        found = real
    return '' if found == '.' else found


def common_root(images: str, masks: str, ann_file: str) -> str:
    """Advice for a message: the settings with which a dataset reads the same files below one data root."""
    places = dict(img_path=images, seg_map_path=masks, ann_file=ann_file)
    paths = {key: osp.abspath(path) for key, path in places.items() if path}
    root = osp.commonpath([osp.dirname(path) if key == 'ann_file' else path for key, path in paths.items()])
    if root == osp.sep:
        return 'put its files below one folder, and set data_root, data_prefix and ann_file'
    inside = {key: inside_root(path, root) for key, path in paths.items()}
    listed = f', ann_file={inside.pop("ann_file")!r}' if ann_file else ''
    prefix = ', '.join(f'{key}={path!r}' for key, path in inside.items())
    return f'set data_root={root!r}, data_prefix=dict({prefix}){listed}'
