"""The shipped configs of ImageNet-1K on a tree of its 1000 folders, without val."""
import json
import os
import re

import pytest
from PIL import Image

from mmdistill.imagenet import imagenet_wnids
from tests.engine.test_dit_configs import dit_folder  # noqa: F401

WNIDS = imagenet_wnids()


@pytest.fixture(scope='module')
def imagenet(tmp_path_factory):
    root = tmp_path_factory.mktemp('imagenet')
    Image.new('RGB', (40, 48), (9, 99, 200)).save(root / 'x.jpg')
    for wnid in WNIDS:
        (root / 'train' / wnid).mkdir(parents=True)
        os.link(root / 'x.jpg', root / 'train' / wnid / f'{wnid}_1.JPEG')
    return root


@pytest.fixture
def dry(tools, root, sd_folder, imagenet, tmp_path):
    def run(*options, config='d4m/d4m_sd15_ipc10_imagenet1k-512px', weights=sd_folder):
        return tools('distill', root / f'configs/{config}.py', '--work-dir', tmp_path / 'work', '--dry-run',
                     '--cfg-options', f'data_root={imagenet}', f'model.generator.weights={weights}', *options)

    return run


def test_a_dry_run(dry, tmp_path):
    done = dry('custom_hooks.PrototypeHook.ipc=1')
    assert done.returncode == 0, done.stderr
    requests = json.loads((tmp_path / 'work/plan.json').read_text())['requests']
    assert [request['id'] for request in requests] == [f'{wnid}/00000' for wnid in WNIDS]
    assert requests[0]['prompt'] == 'tench, Tinca tinca' and requests[999]['classes'] == [999]


def test_one_wrong_folder_of_a_thousand_is_named(dry, imagenet, tmp_path):
    right, wrong = imagenet / 'train' / WNIDS[500], imagenet / 'train' / f'{WNIDS[500]}0'
    right.rename(wrong)
    try:
        done = dry()
    finally:
        wrong.rename(right)
    last = done.stderr.splitlines()[-1]
    assert done.returncode == 1 and 'Traceback' not in done.stderr and not (tmp_path / 'work/plan.json').exists()
    assert re.match(rf'error: .*/train is not ImageNet-1K: no folder for {WNIDS[500]} \(\w+.*\); {wrong.name} not '
                    'in its classes: rename or remove', last), last


def test_class_ids_in_another_order_are_named(dry, dit_folder, tmp_path):  # noqa: F811
    ids, config = list(range(1000)), 'dmgd/dmgd_dit-xl2_ipc10_imagenet100-256px'
    subset = json.dumps(ids[:100]).replace(' ', '')
    for weights in (dit_folder, tmp_path / 'DiT-XL-2-256'):
        if not weights.exists():
            weights.symlink_to(dit_folder)
        done = dry(f'model.generator.class_ids={subset}', 'model.generator.image_size=32', config=config,
                   weights=weights)
        last = done.stderr.splitlines()[-1] if done.stderr else ''
        named = r"error: .*class_ids maps n01558993 to id 0 of the weights, and its ImageNet id is 15: correct"
        # Other weights are told by their number of classes, when their networks are built without tensors.
        assert re.match(named, last), done.stderr
    done = dry(config=config, weights=tmp_path / 'DiT-XL-2-256')
    assert done.returncode == 0, done.stderr
