"""Tiny networks, built from configs and saved as diffusers folders."""
import numpy as np
import pytest
import torch

from mmdistill.plan import Request

CLASSES = ('road', 'sky', 'car', 'tree', 'sign')


@pytest.fixture
def classes():
    return CLASSES


@pytest.fixture(scope='session')
def layout_folder(tmp_path_factory):
    """A LayoutUNet of 5 classes with an AutoencoderTiny of factor 4."""
    from diffusers import AutoencoderTiny, DDPMScheduler

    from mmdistill.generation.unets import LayoutUNet
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp('layout')
    AutoencoderTiny(encoder_block_out_channels=(16, ) * 3, decoder_block_out_channels=(16, ) * 3,
                    num_encoder_blocks=(1, 1, 1), num_decoder_blocks=(1, 1, 1)).save_pretrained(folder / 'vae')
    LayoutUNet(5, 4, 4, layout_channels=16, block_out_channels=(16, 32)).save_pretrained(folder / 'unet')
    DDPMScheduler(beta_schedule='squaredcos_cap_v2', prediction_type='v_prediction',
                  clip_sample=False).save_pretrained(folder / 'scheduler')
    return folder


@pytest.fixture
def work():
    """``work(n)``: n requests with masks of 5 classes and some unlabelled pixels."""

    def make(count, size=(32, 32)):
        requests = [Request(id=f'r{n}', seed=1000 + n, source_index=n, source='') for n in range(count)]
        masks = [np.random.default_rng(n).integers(0, 6, size).astype(np.uint8) for n in range(count)]
        return requests, [np.where(mask == 5, 255, mask).astype(np.uint8) for mask in masks]

    return make
