"""Networks with random weights, for measurements of speed."""
import torch
from diffusers import AutoencoderKL, AutoencoderTiny, DiTTransformer2DModel

from mmdistill.generation.unets import ClassUNet

BLOCKS = (128, 256, 512, 512)  # channels of Stable Diffusion's autoencoder


def class_networks(network: str, side: int, classes: int, dtype: str, device: str):
    """Autoencoder and denoiser: ``'unet'`` has the size of the built-in networks, ``'dit'`` is DiT-XL/2 with the
    autoencoder of Stable Diffusion."""
    torch.manual_seed(0)
    if network == 'dit':
        vae = AutoencoderKL(block_out_channels=BLOCKS, down_block_types=('DownEncoderBlock2D', ) * 4,
                            up_block_types=('UpDecoderBlock2D', ) * 4, layers_per_block=2, latent_channels=4)
        denoiser = DiTTransformer2DModel(sample_size=side // 8, out_channels=8)
    else:
        vae = AutoencoderTiny(encoder_block_out_channels=(32, ) * 3, decoder_block_out_channels=(32, ) * 3,
                              num_encoder_blocks=(1, 2, 2), num_decoder_blocks=(2, 2, 1))
        denoiser = ClassUNet(classes, 4, block_out_channels=(48, 80, 96), layers_per_block=1, attention_levels=2)
    parts = vae, denoiser.to(getattr(torch, dtype))
    return tuple(part.to(device).eval().requires_grad_(False) for part in parts)
