"""Tiny autoencoders and samples for the trainings."""
from types import SimpleNamespace

import pytest
import torch

TINY = dict(encoder_block_out_channels=(16, ) * 3, decoder_block_out_channels=(16, ) * 3,
            num_encoder_blocks=(1, 1, 1), num_decoder_blocks=(1, 1, 1))


@pytest.fixture(scope='session')
def vae_folder(tmp_path_factory):
    """A random AutoencoderTiny of factor 4."""
    from diffusers import AutoencoderTiny
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp('vae')
    AutoencoderTiny(**TINY, scaling_factor=0.7).save_pretrained(folder)
    return str(folder)


class Sample(SimpleNamespace):
    """What a training reads of a data sample."""

    def get(self, key):
        return getattr(self, key, None)


@pytest.fixture
def masks_as_samples():
    return lambda masks: [Sample(gt_sem_seg=SimpleNamespace(data=mask[None]), img_path=f'{i}.png')
                          for i, mask in enumerate(masks)]


@pytest.fixture
def classes_as_samples():
    return lambda labels: [Sample(gt_label=torch.tensor([label]), img_path=f'{i}.png')
                           for i, label in enumerate(labels)]
