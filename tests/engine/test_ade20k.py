"""ADE20K's 150 classes through its generators, with small networks: the path of configs/d3s2/*_ade20k-512x512.py."""
import cv2
import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel

import mmdistill.registry  # noqa: F401
from mmdistill.config import read_config
from mmdistill.datasets import read_manifest
from tests.engine.conftest import save_guide, write_config
from tests.weights.original import stable_diffusion

TINY = dict(image_size=32, num_steps=3, dtype='float32', micro_batch=2, guidance_vae=None)


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """Five images of 40x56 with blocks of ids 0..150."""
    root = tmp_path_factory.mktemp('ade')
    rng = np.random.default_rng(0)
    for folder, suffix, shape, values in (('images', 'jpg', (40, 56, 3), 256), ('annotations', 'png', (40, 56), 151)):
        (root / folder / 'training').mkdir(parents=True)
        for index in range(5):
            pixels = np.kron(rng.integers(0, values, (5, 7, *shape[2:])), np.ones((8, 8, *[1] * len(shape[2:]))))
            cv2.imwrite(str(root / f'{folder}/training/ADE_{index}.{suffix}'), pixels.astype(np.uint8))
    return root


@pytest.mark.parametrize('name', ['sd15-controlnet', 'sd15-controlnetpp', 'freestylenet'])
def test_a_set_in_the_layout_of_its_source(root, tools, sd_folder, data, tmp_path, name):
    shipped = read_config(str(root / f'configs/d3s2/d3s2_{name}_1p_ade20k-512x512.py'))
    dataset = dict(shipped.test_dataloader.dataset.to_dict(), data_root=str(data))
    generator = dict(shipped.model.generator.to_dict(), weights=str(sd_folder), **TINY)
    if name == 'freestylenet':
        torch.save(dict(state_dict=stable_diffusion(sd_folder), global_step=1), tmp_path / 'net.ckpt')
        done = tools('convert-unet', tmp_path / 'net.ckpt', tmp_path / 'unet', '--like', sd_folder)
        assert done.returncode == 0, done.stderr[-2000:]
        generator['unet'] = str(tmp_path / 'unet')
    else:
        generator['controlnet'] = str(sd_folder / 'colours')
    config = write_config(root, tmp_path / 'ade.py', dataset, generator, save_guide(tmp_path, 150), 'ade20k', budget=2)
    done = tools('distill', config, '--work-dir', tmp_path / 'work')
    assert done.returncode == 0, done.stderr[-2000:]
    images = sorted((tmp_path / 'work/distilled/images/training').glob('*.jpg'))
    assert len(images) == 2
    for image in images:
        source = data / f'annotations/training/ADE_{int(image.stem)}.png'
        expected = cv2.imread(str(source), cv2.IMREAD_UNCHANGED)
        rows, columns = (((np.arange(32) + 0.5) * side / 32).astype(int) for side in expected.shape)
        written = cv2.imread(str(tmp_path / f'work/distilled/annotations/training/{image.stem}.png'),
                             cv2.IMREAD_UNCHANGED)
        assert cv2.imread(str(image)).shape == (32, 32, 3)
        assert np.array_equal(written, expected[rows][:, columns])
    told = read_manifest(tmp_path / 'work/distilled')['weights']
    assert (told['type'], told['scheduler']['_class_name']) == {
        'sd15-controlnet': ('ControlNetGenerator', 'DPMSolverMultistepScheduler'),
        'sd15-controlnetpp': ('ControlNetGenerator', 'UniPCMultistepScheduler'),
        'freestylenet': ('FreestyleNetGenerator', 'DDIMScheduler')}[name]
    if name == 'freestylenet':
        assert told['names'] == 'ade20k' and told['weights']['unet']['id'] == str(tmp_path / 'unet')
        own = UNet2DConditionModel.from_pretrained(sd_folder / 'unet').state_dict()
        found = UNet2DConditionModel.from_pretrained(tmp_path / 'unet').state_dict()
        assert all(torch.equal(value, found[key]) for key, value in own.items())
