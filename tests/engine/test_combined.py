"""The example of docs/methods.md, with everything at once: start latents, guidance, choice, weights."""
import json
import re
from pathlib import Path

from mmdistill.datasets.verify import check_set

PAGE = (Path(__file__).resolve().parents[2] / 'docs/methods.md').read_text()


def test_the_example_runs(tools, tmp_path):
    (block, ) = re.findall(r'```python\n(.*?)```', PAGE, re.S)
    config = tmp_path / 'together.py'
    config.write_text(block)
    done = tools('distill', config, '--work-dir', tmp_path / 'work', '--cfg-options', 'model.generator.num_steps=6',
                 'custom_hooks.PrototypeHook.ipc=2', 'custom_hooks.PrototypeHook.candidates=3',
                 'test_dataloader.dataset.num_images=100', 'test_dataloader.num_workers=0')
    assert done.returncode == 0, done.stderr[-2000:]
    check_set(tmp_path / 'work/distilled')
    manifest = json.loads((tmp_path / 'work/distilled/meta/distilled.json').read_text())
    images, extra = manifest['images'], manifest['extra']
    assert len(images) == 20 and len({image['latent'] for image in images}) == 20
    assert extra['guidance']['objectives'] == [dict(type='SetMatching')] and extra['choice']
    for label in range(10):
        weights = [image['weight'] for image in images if image['classes'] == [label]]
        assert len(weights) == 2 and abs(sum(weights) - 2) < 1e-9
    assert any(image['weight'] != 1 for image in images)
    assert len([*(tmp_path / 'work/candidates/train').rglob('*.JPEG')]) == 60
