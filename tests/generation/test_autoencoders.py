"""Slices of a batch: the memory of an autoencoder does not grow with the batch, and no bit changes."""
import numpy as np
import pytest
import torch

from mmdistill.generation import LayoutUNetGenerator, autoencoders
from mmdistill.generation.autoencoders import in_slices, slice_rows


@pytest.mark.parametrize('rows, size, expected', [
    (8, (512, 512), 4), (16, (256, 256), 16), (50, (256, 256), 16), (20, (128, 128), 20), (1, (512, 512), 1),
    (3, (1024, 2048), 2), (8, (256, 192), 8), (100, (64, 64), 100)])
def test_rows_of_a_slice(rows, size, expected):
    assert slice_rows(rows, size) == expected


def test_every_slice_has_the_same_rows_and_the_result_is_that_of_the_batch():
    seen = []

    def double(part):
        seen.append(len(part))
        return part * 2

    batch = torch.arange(14.).view(7, 2)
    assert torch.equal(in_slices(double, batch, 3), batch * 2) and seen == [3, 3, 3]
    seen.clear()
    assert torch.equal(in_slices(double, batch, 7), batch * 2) and seen == [7]
    assert torch.equal(in_slices(double, batch[:2], 7), batch[:2] * 2) and seen == [7, 2]  # never filled up beyond


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
def test_slices_change_no_bit(layout_folder, work, monkeypatch, dtype):
    generator = LayoutUNetGenerator.from_pretrained(str(layout_folder), image_size=32, num_steps=2, micro_batch=7,
                                                    scheduler='DPMSolverMultistepScheduler', dtype=dtype)
    requests, masks = work(9)
    images, pixels = generator.generate(requests, masks), torch.rand(6, 3, 32, 32) * 2 - 1
    latents = generator.encode(pixels)
    monkeypatch.setattr(autoencoders, 'SLICE_PIXELS', 2 * 32 * 32)
    rows = []
    decode = generator.vae.decode
    monkeypatch.setattr(generator.vae, 'decode', lambda z, *args: rows.append(len(z)) or decode(z, *args))
    for image, sliced in zip(images, generator.generate(requests, masks)):
        assert np.array_equal(image, sliced)
    assert set(rows) == {2}
    assert torch.equal(generator.encode(pixels), latents)


def test_stable_diffusions_autoencoder_in_slices_changes_no_bit():
    from diffusers import AutoencoderKL
    torch.manual_seed(0)
    vae = AutoencoderKL(block_out_channels=(32, 64), down_block_types=('DownEncoderBlock2D', ) * 2,
                        up_block_types=('UpDecoderBlock2D', ) * 2, latent_channels=4).eval().requires_grad_(False)
    latents, pixels = torch.randn(8, 4, 16, 16), torch.rand(8, 3, 32, 32) * 2 - 1
    for rows in (2, 4):
        for function, batch in ((lambda z: autoencoders.decode(vae, z), latents),
                                (lambda x: autoencoders.encode(vae, x), pixels)):
            assert torch.equal(in_slices(function, batch, rows), function(batch))
