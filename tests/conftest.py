"""Fixtures of all tests: no network, no display, and a fresh Python process."""
import json
import os
import signal
import string
import subprocess
import sys
from pathlib import Path

import pytest

# Before anything imports huggingface_hub or matplotlib: a test that would download has to fail.
os.environ['HF_HUB_OFFLINE'] = '1'
os.environ['MPLBACKEND'] = 'Agg'
os.environ.pop('MMDISTILL_CACHE', None)


def pytest_addoption(parser) -> None:
    """``--faults``: see ``make faults``."""
    parser.addoption('--faults', type=int, default=10, help='faults of each kind in tests/faults, about')


TESTS = Path(__file__).resolve().parent
# Folders and files that take more than about two seconds on two cores. Their tests are `slow`, all others `fast`.
SLOW = (
    'benchmarks', 'engine', 'evaluation', 'faults', 'stock', 'labels', 'datasets/coco_stuff/test_convert.py',
    'datasets/coco_stuff/test_dataset.py', 'datasets/test_imagenet.py', 'datasets/test_labels.py',
    'datasets/test_layouts.py', 'datasets/test_mask_reading.py', 'datasets/test_masks.py', 'datasets/test_union.py',
    'datasets/test_wrappers.py', 'generation/test_autoencoders.py', 'generation/test_batching.py',
    'generation/test_class_conditional.py', 'generation/test_controlnet.py', 'generation/test_cost.py',
    'generation/test_freestyle.py', 'generation/test_generators.py', 'generation/test_img2img.py',
    'generation/test_sampler.py', 'generation/test_timesteps.py', 'guidance/test_semantic.py',
    'guidance/test_sets.py', 'models/test_ranks.py', 'selection/test_baselines.py', 'selection/test_greedy.py',
    'selection/test_histograms.py', 'toy/test_objects.py', 'toy/test_streets.py', 'weights/test_forms.py',
    'weights/test_layout.py', 'test_cli.py', 'test_docs.py', 'test_metafiles.py', 'test_no_network.py',
    'test_notebooks.py', 'test_package.py', 'test_registry.py', 'test_shipped_configs.py', 'test_stopping.py',
    'test_write_your_own.py')


def is_slow(path: Path) -> bool:
    """Whether a test file, or its folder, is on the list above."""
    relative = path.relative_to(TESTS)
    return any(str(part) in SLOW for part in (relative, *relative.parents))


def pytest_ignore_collect(collection_path: Path, config):
    """Slow files are not imported for ``-m fast``."""
    if config.option.markexpr == 'fast' and TESTS in collection_path.parents and is_slow(collection_path):
        return True


def pytest_collection_modifyitems(items) -> None:
    """Every test is ``slow`` or ``fast``."""
    for item in items:
        item.add_marker('slow' if is_slow(item.path) else 'fast')


def listen() -> None:
    """For ``preexec_fn``: do not ignore the signals that end a process, even if the tests were started with nohup
    or in the background."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def running(pid) -> bool:
    """Whether a process exists and has not ended."""
    try:
        with open(f'/proc/{pid}/stat') as file:
            return file.read().rpartition(')')[2].split()[0] not in 'ZX'
    except OSError:
        return False


@pytest.fixture(scope='session')
def root() -> Path:
    """The repository's root."""
    return Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def own_scope():
    """Restore MMEngine's default scope, a global variable, so that a runner does not affect other tests."""
    from mmengine.registry import DefaultScope
    before = dict(DefaultScope._instance_dict)
    yield
    DefaultScope._instance_dict.clear()
    DefaultScope._instance_dict.update(before)


@pytest.fixture(scope='session')
def python(tmp_path_factory):
    """``python(code, **env)`` runs code in a fresh interpreter outside the repository and returns its stdout."""
    folder = tmp_path_factory.mktemp('python')

    def run(code: str, **env: str) -> str:
        done = subprocess.run([sys.executable, '-c', code], cwd=folder, env={**os.environ, **env}, text=True,
                              capture_output=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def save_layout_unet(folder: Path, classes: int) -> Path:
    """Write a random LayoutUNet of these classes with an AutoencoderTiny of factor 4; the folder."""
    import torch
    from diffusers import AutoencoderTiny, DDPMScheduler

    from mmdistill.generation.unets import LayoutUNet
    torch.manual_seed(0)
    AutoencoderTiny(encoder_block_out_channels=(16, ) * 3, decoder_block_out_channels=(16, ) * 3,
                    num_encoder_blocks=(1, 1, 1), num_decoder_blocks=(1, 1, 1)).save_pretrained(folder / 'vae')
    LayoutUNet(classes, 4, 4, layout_channels=16, block_out_channels=(16, 32)).save_pretrained(folder / 'unet')
    DDPMScheduler(beta_schedule='squaredcos_cap_v2', prediction_type='v_prediction',
                  clip_sample=False).save_pretrained(folder / 'scheduler')
    return folder


@pytest.fixture(scope='session')
def sd_folder(tmp_path_factory):
    """A tiny Stable Diffusion, PNDM as in version 1.5, with ControlNets for colours and for one-hot of 5 classes."""
    import torch
    from diffusers import AutoencoderKL, ControlNetModel, PNDMScheduler, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp('sd')
    unet = UNet2DConditionModel(sample_size=8, block_out_channels=(32, 64), layers_per_block=1, cross_attention_dim=32,
                                attention_head_dim=8, down_block_types=('DownBlock2D', 'CrossAttnDownBlock2D'),
                                up_block_types=('CrossAttnUpBlock2D', 'UpBlock2D'))
    unet.save_pretrained(folder / 'unet')
    for name, channels in (('colours', 3), ('one_hot', 6)):
        control = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(8, 16, 16),
                                            conditioning_channels=channels)
        for block in (*control.controlnet_down_blocks, control.controlnet_mid_block, ):
            torch.nn.init.normal_(block.weight, std=0.1)  # they start at 0: the control image would not matter
        torch.nn.init.normal_(control.controlnet_cond_embedding.conv_out.weight, std=0.1)
        control.save_pretrained(folder / name)
    AutoencoderKL(block_out_channels=(16, 16, 16), down_block_types=('DownEncoderBlock2D', ) * 3, norm_num_groups=8,
                  up_block_types=('UpDecoderBlock2D', ) * 3, latent_channels=4).save_pretrained(folder / 'vae')
    PNDMScheduler(beta_schedule='scaled_linear', beta_start=0.00085, beta_end=0.012, steps_offset=1,
                  skip_prk_steps=True).save_pretrained(folder / 'scheduler')
    file = folder / 'scheduler' / 'scheduler_config.json'
    file.write_text(json.dumps(dict(json.loads(file.read_text()), clip_sample=False)))  # as in version 1.5's file
    letters = string.ascii_lowercase + string.digits + string.punctuation
    tokens = [*letters, *(letter + '</w>' for letter in letters), '<|startoftext|>', '<|endoftext|>']
    (folder / 'vocab.json').write_text(json.dumps({token: n for n, token in enumerate(tokens)}))
    (folder / 'merges.txt').write_text('#version: 0.2\n')
    tokenizer = CLIPTokenizer(folder / 'vocab.json', folder / 'merges.txt', model_max_length=77)
    tokenizer.save_pretrained(folder / 'tokenizer')
    CLIPTextModel(CLIPTextConfig(vocab_size=len(tokens), hidden_size=32, intermediate_size=37, num_hidden_layers=2,
                                 num_attention_heads=4, bos_token_id=len(tokens) - 2, eos_token_id=len(tokens) - 1,
                                 pad_token_id=len(tokens) - 1)).save_pretrained(folder / 'text_encoder')
    return folder
