"""The files, the test and the commands of the page docs/write_your_own.md."""
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / 'docs/write_your_own.md').read_text()


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """The files of the page."""
    folder = tmp_path_factory.mktemp('own')
    blocks = re.findall(r'```python\n# (\w+\.py)\n(.*?)```', PAGE, re.S)
    assert [name for name, _ in blocks] == ['my_method.py', 'test_my_method.py', 'my_config.py']
    for name, text in blocks:
        (folder / name).write_text(text)
    return folder


def test_its_test_passes_and_would_notice(folder):
    command = [sys.executable, '-m', 'pytest', '-q', '-p', 'no:cacheprovider', 'test_my_method.py']
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment(folder))
    assert done.returncode == 0 and '1 passed' in done.stdout, done.stdout + done.stderr
    method = folder / 'my_method.py'
    text = method.read_text()
    try:
        method.write_text(text.replace('scores = -(', 'scores = ('))
        assert method.read_text() != text
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment(folder))
        assert done.returncode == 1 and '1 failed' in done.stdout, done.stdout
    finally:
        method.write_text(text)


def test_its_commands_make_a_set(folder):
    commands = re.findall(r'^PYTHONPATH=\. mmdistill (distill my_config\.py.*?)(?: +#.*)?$', PAGE, re.M)
    assert commands == ['distill my_config.py --dry-run', 'distill my_config.py']
    options = ['--cfg-options', 'custom_hooks.ClassPlanHook.ipc=1', 'test_dataloader.dataset.num_images=40',
               'model.generator.num_steps=6', '--work-dir']
    for number, command in enumerate(commands):
        line = [sys.executable, '-m', 'mmdistill', *command.split(), *options, str(folder / str(number))]
        done = subprocess.run(line, cwd=folder, capture_output=True, text=True, env=environment(folder))
        assert done.returncode == 0, done.stderr[-2000:]
    assert not (folder / '0/distilled').exists()
    manifest = json.loads((folder / '1/distilled/meta/distilled.json').read_text())
    assert manifest['method'] == 'NearestMean' and len(manifest['images']) == 10
    log = next((folder / '1').rglob('*.log')).read_text()
    first, last = map(float, re.search(r'NearestMean (\S+) -> ([^;\s]+)', log).groups())
    assert last < first
    step = float(re.search(r'a step is ([\d.]+)% of the latents', log).group(1))
    assert step > 0.1


def environment(folder):
    import os
    return dict(os.environ, PYTHONPATH=f'{folder}{os.pathsep}{ROOT}')
