"""Small datasets of files, and configs that wrap them."""
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

CLASSES = ('road', 'car', 'sky')
PALETTE = [[1, 1, 1], [2, 2, 2], [3, 3, 3]]


def write_pairs(root: Path, ids, images='images', masks='masks', size=8) -> None:
    """``{name}.png`` of images and masks; a mask has its id and, in the first row, 255."""
    for folder in (images, masks):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for name, value in ids.items():
        Image.fromarray(np.full((size, size, 3), 10 * value + len(name), np.uint8)).save(root / images / f'{name}.png')
        mask = np.full((size, size), value, np.uint8)
        mask[0] = 255
        Image.fromarray(mask).save(root / masks / f'{name}.png')


def seg_config(root: Path, **changes) -> dict:
    """The config of such a folder in the scope of mmseg."""
    return dict(dict(type='BaseSegDataset', data_root=str(root), img_suffix='.png', pipeline=[],
                     data_prefix=dict(img_path='images', seg_map_path='masks'),
                     metainfo=dict(classes=CLASSES, palette=PALETTE)), **changes)


@pytest.fixture
def folders(tmp_path):
    """Two folders of pairs: ``a`` with 4, ``b`` with 3, of class ids by their names."""
    write_pairs(tmp_path / 'a', dict(a0=0, a1=1, a2=2, a3=0))
    write_pairs(tmp_path / 'b', dict(b0=1, b1=1, b2=2))
    return tmp_path


@pytest.fixture
def pictures(tmp_path):
    """A folder per class: 5 images of ``ant``, 3 of ``bee``."""
    for name, count in dict(ant=5, bee=3).items():
        (tmp_path / 'pictures' / name).mkdir(parents=True)
        for number in range(count):
            pixels = np.full((8, 8, 3), number, np.uint8)
            Image.fromarray(pixels).save(tmp_path / 'pictures' / name / f'{number}.png')
    return tmp_path / 'pictures'
