"""Writes folders in the hub's layout for the public weights of the shipped configs, optionally with random tensors.

    python benchmarks/hub_layout.py FOLDER [NAME ...] [--weights]

Nothing is downloaded. The networks have the sizes of the public ones. With ``--weights``, the folders contain random
float32 tensors, 4 GB for Stable Diffusion 1.5.
"""
import argparse
import json
import shutil
import string
import subprocess
import sys
from pathlib import Path

import torch

SD15 = 'stable-diffusion-v1-5/stable-diffusion-v1-5'
CONTROLNET = 'lllyasviel/control_v11p_sd15_seg'
TAESD = 'madebyollin/taesd'
DIT = 'facebook/DiT-XL-2-256'
VAE = dict(block_out_channels=(128, 256, 512, 512), down_block_types=('DownEncoderBlock2D', ) * 4,
           up_block_types=('UpDecoderBlock2D', ) * 4, layers_per_block=2, latent_channels=4)
UNET = dict(sample_size=64, cross_attention_dim=768, attention_head_dim=8)
CLIP = dict(vocab_size=49408, hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12,
            hidden_act='quick_gelu', projection_dim=768, bos_token_id=49406, eos_token_id=49407, pad_token_id=49407)
DIT_XL2 = dict(sample_size=32, out_channels=8)


def write(root: Path, name: str, weights: bool = False) -> Path:
    """Write the hub repository ``name`` to ``root/name``. Returns the folder."""
    from diffusers import AutoencoderKL, AutoencoderTiny, ControlNetModel, DiTTransformer2DModel, UNet2DConditionModel
    folder = root / name
    shutil.rmtree(folder, ignore_errors=True)
    if name == SD15:
        _network(UNet2DConditionModel, UNET, folder / 'unet', weights)
        _network(AutoencoderKL, dict(VAE, sample_size=512), folder / 'vae', weights)
        _text(folder, weights)
        _scheduler(folder, 'PNDMScheduler', beta_schedule='scaled_linear', beta_start=0.00085, beta_end=0.012,
                   steps_offset=1, skip_prk_steps=True, set_alpha_to_one=False)
    elif name == CONTROLNET:
        _network(ControlNetModel, dict(cross_attention_dim=768, conditioning_embedding_out_channels=(16, 32, 96, 256)),
                 folder, weights)
    elif name == TAESD:
        _network(AutoencoderTiny, {}, folder, weights)
    elif name == DIT:
        _network(DiTTransformer2DModel, DIT_XL2, folder / 'transformer', weights, 'Transformer2DModel')
        _network(AutoencoderKL, dict(VAE, sample_size=256), folder / 'vae', weights, 'AutoencoderKL')
        _scheduler(folder, 'DDIMScheduler', beta_schedule='linear', beta_start=0.0001, beta_end=0.02, clip_sample=False)
    else:
        raise ValueError(f'{name}: not known here')
    return folder


def stand_in(root: Path, address: str, key: str = 'weights', weights: bool = False) -> Path:
    """The folder with the layout of the weights ``address`` in the setting ``key``. It is written once.

    Stable Diffusion 1.4 and single UNets get the layout of version 1.5; any ControlNet gets that of ControlNet-seg 1.1.
    """
    name = next(name for mark, name in (('taesd', TAESD), ('control', CONTROLNET), ('DiT', DIT), ('', SD15))
                if mark in f'{key} {address}')
    folder = root / name
    if not folder.is_dir() and weights:  # in a separate process, to keep the memory of this one small
        subprocess.run([sys.executable, __file__, str(root), name, '--weights'], check=True, stdout=subprocess.DEVNULL)
    elif not folder.is_dir():
        write(root, name)
    return folder / 'unet' if key == 'unet' else folder


def write_guide(root: Path, config: str, seed: int = 0) -> Path:
    """Write random weights for the segmentor of an mmseg config or published model to a checkpoint. Returns it."""
    from mmengine.config import ConfigDict
    from mmseg.registry import MODELS
    from mmseg.utils import register_all_modules

    from mmdistill.config import read_config
    from mmdistill.models.published import published_model
    register_all_modules(init_default_scope=False)
    torch.manual_seed(seed)
    path, _ = published_model(config, '', 'mmseg')
    model = ConfigDict(read_config(path).model, init_cfg=None, pretrained=None, _scope_='mmseg')
    model.backbone.init_cfg = None
    path = root / 'guide.pth'
    torch.save(dict(state_dict=MODELS.build(model).state_dict(), meta={}), path)
    return path


def _network(cls, config, folder: Path, weights: bool, former: str = '') -> None:
    """Write a network; with ``former``, in the format of old versions of diffusers (``.bin``, former class name)."""
    torch.manual_seed(0)
    with torch.device('cpu' if weights else 'meta'):
        network = cls(**config)
    if hasattr(network, 'transformer_blocks') and weights:  # the public DiT's blocks share one embedding
        for block in network.transformer_blocks[1:]:
            block.norm1.emb.load_state_dict(network.transformer_blocks[0].norm1.emb.state_dict())
    for layer in network.modules():  # layers that are initialised with 0 would hide the effect of other layers
        for tensor in layer.parameters(recurse=False) if weights else ():
            if not tensor.any() and tensor.dim() > 1:
                torch.nn.init.normal_(tensor, std=0.02)
    if not weights:
        network.save_config(folder)
    elif former:  # like `save_pretrained(safe_serialization=False)`, with the same file name
        network.save_config(folder)
        torch.save(network.state_dict(), folder / 'diffusion_pytorch_model.bin')
    else:
        network.save_pretrained(folder)
    if former == 'Transformer2DModel':
        file = folder / 'config.json'
        config = dict(json.loads(file.read_text()), _class_name=former, _diffusers_version='0.12.0.dev0',
                      norm_type='ada_norm_zero')
        file.write_text(json.dumps(config, indent=2))


def _text(folder: Path, weights: bool) -> None:
    """The text encoder of CLIP ViT-L, and a tokenizer of letters."""
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer
    config = CLIPTextConfig(**CLIP)
    config.architectures = ['CLIPTextModel']
    if weights:
        torch.manual_seed(0)
        CLIPTextModel(config).save_pretrained(folder / 'text_encoder')
    else:
        config.save_pretrained(folder / 'text_encoder')
    letters = string.ascii_lowercase + string.digits + string.punctuation
    tokens = [*letters, *(letter + '</w>' for letter in letters), '<|startoftext|>', '<|endoftext|>']
    (folder / 'tokenizer').mkdir(parents=True)
    (folder / 'vocab.json').write_text(json.dumps({token: n for n, token in enumerate(tokens)}))
    (folder / 'merges.txt').write_text('#version: 0.2\n')
    tokenizer = CLIPTokenizer(folder / 'vocab.json', folder / 'merges.txt', model_max_length=77)
    tokenizer.save_pretrained(folder / 'tokenizer')


def _scheduler(folder: Path, name: str, **settings) -> None:
    import diffusers
    getattr(diffusers, name)(**settings).save_pretrained(folder / 'scheduler')
    file = folder / 'scheduler' / 'scheduler_config.json'  # PNDM has no clip_sample, but version 1.5's file does
    file.write_text(json.dumps(dict(json.loads(file.read_text()), clip_sample=False)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', type=Path)
    parser.add_argument('names', nargs='*', default=[SD15, CONTROLNET, TAESD, DIT])
    parser.add_argument('--weights', action='store_true')
    args = parser.parse_args()
    for name in args.names:
        print(write(args.folder, name, args.weights))


if __name__ == '__main__':
    main()
