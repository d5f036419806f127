"""Config files of weights are not trusted: each wrong one is reported in one line, before tensors are read."""
import json
import shutil
import struct

import pytest

from mmdistill.errors import DistillError
from mmdistill.generation import ClassConditionalGenerator
from mmdistill.generation.conversion import convert_unet
from mmdistill.generation.process import NoiseProcess
from mmdistill.generation.schedulers import load_scheduler
from mmdistill.weights.address import builtin
from mmdistill.weights.classes import classes_in
from mmdistill.weights.configs import config_errors
from mmdistill.weights.hub import Weights, check_network, check_weights

TEXTS = ['[]', 'null', '3', '"x"', '{', '[' * 100000, '\x00']


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(builtin('mmdistill://objects'), tmp_path / 'weights')


def refused(do, match):
    with pytest.raises(DistillError, match=match) as said:
        do()
    assert '\n' not in str(said.value) and len(str(said.value)) < 600


def change(file, **values):
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


@pytest.mark.parametrize('text', TEXTS)
@pytest.mark.parametrize('name', ['unet/config.json', 'scheduler/scheduler_config.json'])
def test_no_object(folder, name, text):
    (folder / name).write_text(text)
    for do in (lambda: ClassConditionalGenerator.check_weights(dict(weights=str(folder)), 'g'),
               lambda: ClassConditionalGenerator.from_pretrained(str(folder), num_steps=2)):
        refused(do, f'no readable .*{name[-11:]}')


@pytest.mark.parametrize('values, say', [
    (dict(_class_name=None), 'scheduler: None cannot be guided: set scheduler to one of DDIM'),
    (dict(_class_name=[]), r'scheduler: \[\] cannot be guided'), (dict(_class_name={'a': 1}), 'cannot be guided'),
    (dict(beta_schedule='wavy'), 'scheduler_config.json in .*weights: wavy is not implemented'),
    (dict(num_train_timesteps='many'), 'scheduler_config.json in .*weights: '),
    (dict(timestep_spacing='wide'), 'the config of .*Scheduler: wide is not supported')])
def test_values_of_a_scheduler(folder, values, say):
    change(folder / 'scheduler/scheduler_config.json', **values)
    refused(lambda: NoiseProcess(load_scheduler(folder), 4), say)
    refused(lambda: ClassConditionalGenerator.check_weights(dict(weights=str(folder)), 'g'), say)


def test_a_scheduler_without_a_class(folder):
    (folder / 'scheduler/scheduler_config.json').write_text('{}')
    refused(lambda: load_scheduler(folder), 'scheduler: None cannot be guided: set scheduler to one of DDIM')
    assert type(load_scheduler(folder, 'DDIMScheduler')).__name__ == 'DDIMScheduler'


@pytest.mark.parametrize('values', [
    dict(_class_name=[]), dict(_class_name={}), dict(norm_type=[]), dict(_class_name=1)])
def test_class_of_a_network(folder, values):
    change(folder / 'unet/config.json', **{'_class_name': 'Transformer2DModel', **values})
    refused(lambda: check_network(folder, ['ClassUNet'], 'g.weights'), 'g.weights: .*unet holds .*, not ClassUNet')


def test_values_of_a_network(folder):
    change(folder / 'vae/config.json', latent_channels='four')
    from diffusers import AutoencoderKL, AutoencoderTiny
    refused(lambda: Weights(str(folder), ('vae', )).load((AutoencoderKL, AutoencoderTiny), 'vae'), 'in .*weights/vae: ')


@pytest.mark.parametrize('names', [5, True, 'ab', {'0': 'a'}])
def test_names_of_classes_that_are_no_list(folder, names):
    change(folder / 'unet/config.json', classes=names, num_classes=10**12 if isinstance(names, dict) else 2)
    assert classes_in(folder).names is None
    (folder / 'model_index.json').write_text(json.dumps(dict(id2label=names)))
    change(folder / 'unet/config.json', classes=None)
    assert classes_in(folder).names is None


@pytest.mark.parametrize('header', ['[1]', '[]', '3', 'null', '[' * 100000])
def test_a_single_file_whose_header_is_no_object(tmp_path, header):
    file = tmp_path / 'net.safetensors'
    file.write_bytes(struct.pack('<Q', len(header)) + header.encode())
    refused(lambda: check_weights(str(file), ('unet', ), 'g.weights', 'mmdistill://objects'),
            'g.weights: .*net.safetensors is not a complete safetensors file')


def test_a_converted_unet_of_a_list(tmp_path):
    (tmp_path / 'like').mkdir()
    (tmp_path / 'like/config.json').write_text('[]')
    refused(lambda: convert_unet('x.ckpt', str(tmp_path / 'out'), str(tmp_path / 'like')), 'no config.json of a UNet')


def test_a_full_memory_is_no_mistake_of_the_weights():
    with pytest.raises(MemoryError), config_errors('unet'):
        raise MemoryError
    with pytest.raises(DistillError, match=r'do not fit the config: unet: \[Errno 13\]'), config_errors('unet'):
        raise PermissionError(13, 'Permission denied')
