"""Tiny networks, built from configs and saved as diffusers folders."""
import numpy as np
import pytest

from mmdistill.plan import Request
from tests.conftest import save_layout_unet

CLASSES = ('road', 'sky', 'car', 'tree', 'sign')


@pytest.fixture
def classes():
    return CLASSES


@pytest.fixture(scope='session')
def layout_folder(tmp_path_factory):
    """A LayoutUNet of 5 classes with an AutoencoderTiny of factor 4."""
    return save_layout_unet(tmp_path_factory.mktemp('layout'), 5)


@pytest.fixture
def work():
    """``work(n)``: n requests with masks of 5 classes and some unlabelled pixels."""

    def make(count, size=(32, 32)):
        requests = [Request(id=f'r{n}', seed=1000 + n, source_index=n, source='') for n in range(count)]
        masks = [np.random.default_rng(n).integers(0, 6, size).astype(np.uint8) for n in range(count)]
        return requests, [np.where(mask == 5, 255, mask).astype(np.uint8) for mask in masks]

    return make
