"""Small networks of diffusers under the names of Stable Diffusion's original code, as its single files have them.

Written from the original layout: input block 0 is the first convolution, each block after it a residual block (member
0) with its attention (member 1) or a down-sampling; output blocks likewise.
"""
import re

import torch
from safetensors.torch import load_file

NET = 'diffusion_pytorch_model.safetensors'
RESNET = {'norm1': 'in_layers.0', 'conv1': 'in_layers.2', 'norm2': 'out_layers.0', 'conv2': 'out_layers.3',
          'time_emb_proj': 'emb_layers.1', 'conv_shortcut': 'skip_connection'}
TOP = {'time_embedding.linear_1': 'time_embed.0', 'time_embedding.linear_2': 'time_embed.2',
       'conv_in': 'input_blocks.0.0', 'conv_norm_out': 'out.0', 'conv_out': 'out.2'}


def unet_name(name, layers=1, attention=('up_blocks.0', )):
    """The original name of a UNet's tensor, with ``layers`` per block."""
    for new, old in TOP.items():
        if name.startswith(f'{new}.'):
            return old + name[len(new):]
    if found := re.match(r'mid_block\.(resnets|attentions)\.(\d+)\.(.*)', name):
        place = f'middle_block.{1 if found[1] == "attentions" else 2 * int(found[2])}'
        return f'{place}.{inner(found[3], found[1])}'
    found = re.match(r'(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.*)', name)
    way, block, kind, layer, rest = found[1], int(found[2]), found[3], int(found[4]), found[5]
    if kind == 'downsamplers':
        return f'input_blocks.{(block + 1) * (layers + 1)}.0.op.{rest.removeprefix("conv.")}'
    if kind == 'upsamplers':
        member = 2 if f'up_blocks.{block}' in attention else 1
        return f'output_blocks.{block * (layers + 1) + layers}.{member}.{rest}'
    place = f'input_blocks.{1 + block * (layers + 1) + layer}' if way == 'down' else (
        f'output_blocks.{block * (layers + 1) + layer}')
    return f'{place}.{int(kind == "attentions")}.{inner(rest, kind)}'


def inner(rest, kind):
    first = rest.split('.')[0]
    return rest.replace(first, RESNET[first], 1) if kind == 'resnets' else rest


def vae_name(name, blocks):
    """The original name of an autoencoder's tensor."""
    name = name.replace('conv_norm_out', 'norm_out').replace('conv_shortcut', 'nin_shortcut')
    name = re.sub(r'encoder\.down_blocks\.(\d+)', r'encoder.down.\1', name)
    name = re.sub(r'decoder\.up_blocks\.(\d+)', lambda found: f'decoder.up.{blocks - 1 - int(found[1])}', name)
    name = re.sub(r'(down|up)samplers\.0\.conv', r'\1sample.conv', name)
    name = re.sub(r'mid_block\.resnets\.(\d)', lambda found: f'mid.block_{int(found[1]) + 1}', name)
    name = name.replace('mid_block.attentions.0', 'mid.attn_1').replace('.resnets.', '.block.')
    for new, old in (('group_norm', 'norm'), ('to_q', 'q'), ('to_k', 'k'), ('to_v', 'v'), ('to_out.0', 'proj_out')):
        name = name.replace(f'attn_1.{new}.', f'attn_1.{old}.')
    return name


def vae(folder, prefix='', blocks=3):
    """The tensors of an autoencoder; its attention has convolutions of 1×1."""
    tensors = {vae_name(name, blocks): value for name, value in load_file(folder / NET).items()}
    return {prefix + name: value[:, :, None, None] if re.search(r'attn_1\.(q|k|v|proj_out)\.weight', name) else value
            for name, value in tensors.items()}


def stable_diffusion(folder):
    """One state of the UNet, the autoencoder and the text encoder of a diffusers folder."""
    unet = load_file(folder / 'unet' / NET)
    state = {f'model.diffusion_model.{unet_name(name)}': value for name, value in unet.items()}
    text = load_file(folder / 'text_encoder' / 'model.safetensors')
    state.update({f'cond_stage_model.transformer.{name}': value for name, value in text.items()})
    return dict(state, **vae(folder / 'vae', 'first_stage_model.'), betas=torch.ones(3))


def controlnet(folder):
    """The tensors of a ControlNet: the UNet's encoder, the layers of the control image and the zero convolutions."""
    state = {}
    for name, value in load_file(folder / NET).items():
        if found := re.match(r'controlnet_cond_embedding\.(conv_in|conv_out|blocks\.(\d+))\.(.*)', name):
            place = {'conv_in': 0, 'conv_out': 14}.get(found[1], 2 + 2 * int(found[2] or 0))
            name = f'input_hint_block.{place}.{found[3]}'
        elif found := re.match(r'controlnet_down_blocks\.(\d+)\.(.*)', name):
            name = f'zero_convs.{found[1]}.0.{found[2]}'
        elif name.startswith('controlnet_mid_block'):
            name = name.replace('controlnet_mid_block', 'middle_block_out.0')
        else:
            name = unet_name(name)
        state[f'control_model.{name}'] = value
    return state
