"""ADE20K's 150 classes through a ControlNet, with small networks: the path of configs/d3s2/*_ade20k-512x512.py."""
import cv2
import numpy as np
from mmengine.config import Config

import mmdistill.registry  # noqa: F401
from tests.engine.conftest import save_guide, write_config


def test_a_set_in_its_own_layout(root, tools, sd_folder, tmp_path):
    shipped = Config.fromfile(root / 'configs/d3s2/d3s2_sd15-controlnet_1p_ade20k-512x512.py')
    rng = np.random.default_rng(0)
    for folder, suffix, shape, values in (('images', 'jpg', (40, 56, 3), 256), ('annotations', 'png', (40, 56), 151)):
        (tmp_path / 'ade' / folder / 'training').mkdir(parents=True)
        for index in range(5):
            pixels = np.kron(rng.integers(0, values, (5, 7, *shape[2:])), np.ones((8, 8, *[1] * len(shape[2:]))))
            cv2.imwrite(str(tmp_path / f'ade/{folder}/training/ADE_{index}.{suffix}'), pixels.astype(np.uint8))
    dataset = dict(shipped.test_dataloader.dataset.to_dict(), data_root=str(tmp_path / 'ade'))
    generator = dict(shipped.model.generator.to_dict(), weights=str(sd_folder), controlnet=str(sd_folder / 'colours'),
                     guidance_vae=None, image_size=32, num_steps=3, dtype='float32', micro_batch=2)
    config = write_config(root, tmp_path / 'ade.py', dataset, generator, save_guide(tmp_path, 150), 'ade20k', budget=2)
    done = tools('distill', config, '--work-dir', tmp_path / 'work')
    assert done.returncode == 0, done.stderr[-2000:]
    images = sorted((tmp_path / 'work/distilled/images/training').glob('*.jpg'))
    assert len(images) == 2
    for image in images:
        source = tmp_path / f'ade/annotations/training/ADE_{int(image.stem)}.png'
        expected = cv2.imread(str(source), cv2.IMREAD_UNCHANGED)
        rows, columns = (((np.arange(32) + 0.5) * side / 32).astype(int) for side in expected.shape)
        written = cv2.imread(str(tmp_path / f'work/distilled/annotations/training/{image.stem}.png'),
                             cv2.IMREAD_UNCHANGED)
        assert cv2.imread(str(image)).shape == (32, 32, 3)
        assert np.array_equal(written, expected[rows][:, columns])
