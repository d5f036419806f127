"""Checkpoints in the names of the original code as diffusers folders."""
from pathlib import Path

import pytest
import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import save_file

from mmdistill.cli import main
from mmdistill.errors import DistillError
from mmdistill.generation.conversion import STABLE_DIFFUSION_1, convert_unet
from tests.weights.original import unet_name

def original(unet):
    """Its tensors under the names of the original code."""
    attention = [f'up_blocks.{n}' for n, block in enumerate(unet.config.up_block_types) if 'CrossAttn' in block]
    return {f'model.diffusion_model.{unet_name(name, unet.config.layers_per_block, attention)}': value
            for name, value in unet.state_dict().items()}


@pytest.fixture(scope='module')
def unet(sd_folder):
    return UNet2DConditionModel.from_pretrained(sd_folder / 'unet')


def leave_trace():
    Path('unpickled').touch()


class Callback:
    """An object as Lightning stores it beside the tensors."""

    def __reduce__(self):
        return leave_trace, ()


@pytest.fixture
def checkpoint(unet, tmp_path, monkeypatch):
    """As Lightning writes it, with the other networks and no averages."""
    monkeypatch.chdir(tmp_path)
    state = dict(original(unet), **{'first_stage_model.decoder.conv_in.weight': torch.zeros(1),
                                    'cond_stage_model.transformer.x': torch.zeros(1), 'betas': torch.zeros(3)})
    torch.save(dict(state_dict=state, epoch=3, global_step=7, callbacks={Callback: Callback()}), tmp_path / 'net.ckpt')
    return tmp_path / 'net.ckpt'


def test_the_unet_comes_back(unet, checkpoint, sd_folder, tmp_path, capsys):
    folder = tmp_path / 'out' / 'unet'
    folder.parent.mkdir()
    main(['convert-unet', str(checkpoint), str(folder), '--like', str(sd_folder)])
    assert capsys.readouterr().out.strip() == str(folder)
    assert sorted(path.name for path in folder.iterdir()) == ['config.json', 'diffusion_pytorch_model.safetensors']
    assert [path.name for path in folder.parent.iterdir()] == ['unet'] and not (tmp_path / 'unpickled').exists()
    found = UNet2DConditionModel.from_pretrained(folder)
    assert {key: value for key, value in found.config.items() if key[0] != '_'} == {
        key: value for key, value in unet.config.items() if key[0] != '_'}
    for name, value in unet.state_dict().items():
        assert torch.equal(found.state_dict()[name], value), name


def test_half_precision_and_safetensors(unet, sd_folder, tmp_path):
    save_file(original(unet), tmp_path / 'net.safetensors')
    folder = convert_unet(str(tmp_path / 'net.safetensors'), str(tmp_path / 'unet'), str(sd_folder / 'unet'), 'float16')
    found = UNet2DConditionModel.from_pretrained(folder, torch_dtype=torch.float16)
    assert torch.equal(found.conv_in.weight, unet.conv_in.weight.half())


def test_stable_diffusion_1_is_the_default_config():
    """686 tensors of 859 520 964 values, all with a name in the original code."""
    with torch.device('meta'):
        unet = UNet2DConditionModel(**STABLE_DIFFUSION_1)
    names = original(unet)
    assert (len(names), sum(value.numel() for value in names.values())) == (686, 859_520_964)
    expected = {
        'input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight': (320, 768), 'middle_block.1.norm.bias': (1280, ),
        'output_blocks.2.1.conv.weight': (1280, 1280, 3, 3), 'output_blocks.5.2.conv.weight': (1280, 1280, 3, 3),
        'output_blocks.11.1.proj_in.weight': (320, 320, 1, 1), 'input_blocks.9.0.op.bias': (1280, )}
    assert {name: tuple(names[f'model.diffusion_model.{name}'].shape) for name in expected} == expected


@pytest.mark.parametrize('change, message', [
    (lambda state: state.clear(), 'holds no UNet of the original Stable Diffusion code'),
    (lambda state: state.pop('model.diffusion_model.out.2.bias'), 'first: conv_out.bias is missing'),
    (lambda state: state.update({'model.diffusion_model.input_blocks.3.1.transformer_blocks.0.attn2.cascale':
                                 torch.zeros(1)}), 'first: down_blocks.1.attentions.0.*attn2.cascale is unknown'),
    (lambda state: state.update({'model.diffusion_model.extra.weight': torch.zeros(1)}),
     'first: model.diffusion_model.extra.weight is unknown'),
    (lambda state: state.update({'model.diffusion_model.out.2.bias': torch.zeros(9)}),
     r'first: conv_out.bias is \(9,\) instead of \(4,\)')])
def test_other_checkpoints(unet, sd_folder, tmp_path, change, message):
    state = original(unet)
    change(state)
    torch.save(dict(state_dict=state), tmp_path / 'net.ckpt')
    with pytest.raises(DistillError, match=message):
        convert_unet(str(tmp_path / 'net.ckpt'), str(tmp_path / 'unet'), str(sd_folder))
    assert not list(tmp_path.glob('unet*'))


def test_a_folder_in_use_or_without_config(checkpoint, sd_folder, tmp_path):
    with pytest.raises(DistillError, match='is not empty'):
        convert_unet(str(checkpoint), str(tmp_path), str(sd_folder))
    (tmp_path / 'empty').mkdir()
    with pytest.raises(DistillError, match='no config.json of a UNet'):
        convert_unet(str(checkpoint), str(tmp_path / 'unet'), str(tmp_path / 'empty'))
    with pytest.raises(DistillError, match='686|does not match this UNet config'):
        convert_unet(str(checkpoint), str(tmp_path / 'unet'))
    assert convert_unet(str(checkpoint), str(tmp_path / 'empty'), str(sd_folder)) == tmp_path / 'empty'
