"""Which files of a folder are its weights."""
import pytest

from mmdistill.weights.address import Address, needed
from mmdistill.weights.layout import foreign_weights, weight_files

NET = 'diffusion_pytorch_model'


@pytest.mark.parametrize('names,wanted', [
    ([f'{NET}.safetensors', f'{NET}.fp16.safetensors', f'{NET}.bin', f'{NET}.non_ema.safetensors'],
     (True, None, [f'{NET}.safetensors'])),
    ([f'{NET}.bin', 'config.json'], (False, None, [f'{NET}.bin'])),
    ([f'{NET}.bin', f'{NET}.fp16.safetensors'], (True, 'fp16', [f'{NET}.fp16.safetensors'])),
    ([f'{NET}.non_ema.bin', f'{NET}.fp16.bin'], (False, 'fp16', [f'{NET}.fp16.bin'])),
    ([f'{NET}.bf16.safetensors'], (True, 'bf16', [f'{NET}.bf16.safetensors'])),
    (['model.safetensors', 'pytorch_model.bin'], (True, None, ['model.safetensors'])),
    (['pytorch_model.bin', 'flax_model.msgpack'], (False, None, ['pytorch_model.bin'])),
    ([f'{NET}-00001-of-00002.safetensors', f'{NET}-00002-of-00002.safetensors', f'{NET}.safetensors.index.json'],
     (True, None, [f'{NET}-00001-of-00002.safetensors', f'{NET}-00002-of-00002.safetensors',
                   f'{NET}.safetensors.index.json'])),
    ([f'{NET}.fp16-00001-of-00001.safetensors', f'{NET}.safetensors.index.fp16.json', f'{NET}.bin'],
     (True, 'fp16', [f'{NET}.fp16-00001-of-00001.safetensors', f'{NET}.safetensors.index.fp16.json'])),
    (['model-00001-of-00001.fp16.safetensors', 'model.safetensors.index.fp16.json'],
     (True, 'fp16', ['model-00001-of-00001.fp16.safetensors', 'model.safetensors.index.fp16.json'])),
    ([f'{NET}-00001-of-00002.safetensors', f'{NET}.bin'], (False, None, [f'{NET}.bin'])),  # shards without an index
])
def test_the_form_that_is_loaded(names, wanted):
    for order in (names, names[::-1]):
        chosen = weight_files(order)
        assert (chosen.safetensors, chosen.variant, sorted(chosen.files)) == (*wanted[:2], sorted(wanted[2]))


def test_weights_in_other_formats():
    for names, message in ((['flax_model.msgpack'], 'Flax'), (['model.onnx'], 'ONNX'), (['config.json'], '')):
        assert weight_files(names) is None
        assert message in foreign_weights(names)


@pytest.mark.parametrize('text,wanted', [
    ('facebook/DiT-XL-2-256', ('facebook/DiT-XL-2-256', None, '')),
    ('facebook/DiT-XL-2-256@refs/pr/3', ('facebook/DiT-XL-2-256', 'refs/pr/3', '')),
    ('owner/name@0a1b2c3', ('owner/name', '0a1b2c3', '')),
    ('limingcv/reward_controlnet/checkpoints/cocostuff/reward_5k',
     ('limingcv/reward_controlnet', None, 'checkpoints/cocostuff/reward_5k')),
    ('owner/name@v1.0/sub/folder', ('owner/name', 'v1.0', 'sub/folder')),
    ('owner/name/sub/folder@v1.0', ('owner/name', 'v1.0', 'sub/folder')),
    ('owner/name/v1-5-pruned.safetensors', ('owner/name', None, 'v1-5-pruned.safetensors')),
    ('owner', None), ('/a/b', None), ('./a/b', None), ('a/../b', None), ('owner/na me', None),
    ('work_dirs/set/export', None), ('https://host/a.ckpt', None), ('a/b@c/d@e', None),
])
def test_addresses_on_the_hub(text, wanted):
    assert Address.parse(text) == (None if wanted is None else Address(*wanted))


def test_no_more_is_fetched_than_is_loaded():
    files = ['README.md', 'model_index.json', 'v1-5-pruned.ckpt', 'unet/config.json', f'unet/{NET}.bin',
             f'unet/{NET}.safetensors', f'unet/{NET}.fp16.safetensors', f'unet/{NET}.non_ema.safetensors',
             'tokenizer/vocab.json', 'tokenizer/merges.txt', 'safety_checker/model.safetensors', 'vae/config.json',
             f'vae/{NET}.bin', 'scheduler/scheduler_config.json', 'sub/net/config.json', f'sub/net/{NET}.bin']
    parts = ('unet', 'vae', 'tokenizer', 'scheduler')
    wanted = ['unet/config.json', f'unet/{NET}.safetensors', 'vae/config.json', f'vae/{NET}.bin',
              'tokenizer/vocab.json', 'tokenizer/merges.txt', 'scheduler/scheduler_config.json']
    assert needed(files, '', parts) == wanted
    assert needed(files, '', parts, tensors=False) == [name for name in wanted if NET not in name]
    assert needed(files, 'sub/net', ()) == ['sub/net/config.json', f'sub/net/{NET}.bin']
    assert needed(files, 'v1-5-pruned.ckpt', parts) == ['v1-5-pruned.ckpt']
    assert needed(files, 'no/where', parts) == []
