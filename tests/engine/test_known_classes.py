"""Generators and guides of other classes than the dataset's are refused before masks or images are read."""
import json
import re
import shutil

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from safetensors.torch import save_file

GUIDE = 'custom_hooks.GuidedSynthesisHook.segmentor'
NAMES = 'sky building road pavement vegetation fence pole car sign person cyclist'.split()
REVERSED = "the dataset's classes in another order: class 0 is 'cyclist' there, 'sky' in the dataset"

SWAPPED = "the dataset's classes in another order: class 9 is 'person' there, 'cyclist' in the dataset"


def dry_run(tools, town, *options):
    done = tools('distill', town.config, '--work-dir', town.work, '--dry-run',
                 *(('--cfg-options', *options) if options else ()))
    assert 'Reading' not in done.stdout or done.returncode == 0
    return done


def refused(tools, town, say, *options):
    done = dry_run(tools, town, *options)
    assert done.returncode == 1 and 'Traceback' not in done.stderr, done.stderr[-3000:]
    assert re.search(f'^error: {re.escape(say)}', done.stderr.splitlines()[-1]), done.stderr.splitlines()[-1]
    assert not list(town.work.glob('*.npz')) and not (town.work / 'plan.json').exists()


def with_names(weights, folder, names):
    """A copy of a generator's weights that records the names of its classes."""
    shutil.copytree(weights, folder)
    path = folder / 'unet' / 'config.json'
    path.write_text(json.dumps(dict(json.loads(path.read_text()), classes=names)))
    return folder


def change(town, **metainfo):
    cfg = Config.fromfile(town.config)
    cfg.test_dataloader.dataset.metainfo = metainfo
    cfg.dump(town.config)


def test_another_number(tools, town):
    few = dict(classes=NAMES[:10], palette=[[i, i, i] for i in range(10)])
    change(town, **few)
    for path in (town.data / 'masks').iterdir():
        mask = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        cv2.imwrite(str(path), np.where(mask == 10, 255, mask))
    refused(tools, town, 'model.generator: the weights have 11 classes, the dataset 10: give weights of these classes, '
            "or set class_ids to the weights' id of each class")
    refused(tools, town, 'the segmentor has 11 classes, the dataset 10: give one that was trained on these classes, '
            "or outputs, the segmentor's output for each class", 'model.generator.class_ids=[0,1,2,3,4,5,6,7,8,9]')
    done = dry_run(tools, town, 'model.generator.class_ids=[0,1,2,3,4,5,6,7,8,9]',
                   f'{GUIDE}.outputs=[0,1,2,3,4,5,6,7,8,9]')
    assert done.returncode == 0, done.stderr[-2000:]


def test_another_order(tools, town, weights, tmp_path):
    folder = with_names(weights, tmp_path / 'named', NAMES[::-1])
    refused(tools, town, f'model.generator: the weights have {REVERSED}', f'model.generator.weights={folder}')
    renamed = with_names(weights, tmp_path / 'renamed', [*NAMES[:10], 'rider'])
    refused(tools, town, "model.generator: the weights have other classes than the dataset: class 10 is 'rider' there, "
            "'cyclist' in the dataset", f'model.generator.weights={renamed}')
    same = with_names(weights, tmp_path / 'same', NAMES)
    assert dry_run(tools, town, f'model.generator.weights={same}').returncode == 0


def test_built_in_weights(tools, town):
    change(town, classes=[*NAMES[:9], 'cyclist', 'person'])
    refused(tools, town, f'model.generator: the weights have {SWAPPED}', 'model.generator.weights=mmdistill://streets',
            'model.generator.image_size=64')
    refused(tools, town, f'the segmentor has {SWAPPED}', f'{GUIDE}.config=mmdistill::students/unet_streets-64x64.py',
            f'{GUIDE}.checkpoint=mmdistill://streets/segmentor/model.safetensors')


@pytest.mark.parametrize('meta', [lambda names: dict(dataset_meta=dict(classes=names)),
                                  lambda names: dict(CLASSES=names)])
def test_a_guide_says_its_classes(tools, town, guide, tmp_path, meta):
    state = torch.load(guide['checkpoint'], weights_only=True)['state_dict']
    path = tmp_path / 'guide.pth'
    torch.save(dict(state_dict=state, meta=meta(tuple(NAMES[::-1]))), path)
    refused(tools, town, f'the segmentor has {REVERSED}', f'{GUIDE}.checkpoint={path}')
    assert dry_run(tools, town, f'{GUIDE}.checkpoint={path}', f'{GUIDE}.outputs=[10,9,8,7,6,5,4,3,2,1,0]'
                   ).returncode == 0
    shutil.rmtree(town.work)
    refused(tools, town, "the segmentor: outputs gives 'sky' the id 0 of the weights, which is 'cyclist'",
            f'{GUIDE}.checkpoint={path}', f'{GUIDE}.outputs=[0,1,2,3,4,5,6,7,8,9,10]')
    torch.save(dict(state_dict=state, meta=meta(tuple(NAMES))), path)
    assert dry_run(tools, town, f'{GUIDE}.checkpoint={path}').returncode == 0


def test_a_safetensors_guide_says_its_classes(tools, town, guide, tmp_path):
    path = tmp_path / 'guide.safetensors'
    save_file(torch.load(guide['checkpoint'], weights_only=True)['state_dict'], path,
              dict(classes=json.dumps(NAMES[::-1])))
    refused(tools, town, f'the segmentor has {REVERSED}', f'{GUIDE}.checkpoint={path}')


def test_mapped_ids_make_the_same_images(tools, town, weights, tree, tmp_path):
    """Weights with permuted classes generate the same images as for a dataset in their order."""
    cfg = Config.fromfile(town.config)
    cfg.custom_hooks = [cfg.custom_hooks[0]]
    cfg.dump(town.config)
    assert tools('distill', town.config, '--work-dir', tmp_path / 'a').returncode == 0
    permuted = shutil.copytree(weights, tmp_path / 'permuted')
    from mmdistill.generation.unets import LayoutUNet
    network = LayoutUNet.from_pretrained(permuted / 'unet')
    order = [*range(10, -1, -1), 11]
    with torch.no_grad():
        network.layout.weight.copy_(network.layout.weight[:, order].clone())
    network.register_to_config(classes=NAMES[::-1])
    network.save_pretrained(permuted / 'unet')
    done = tools('distill', town.config, '--work-dir', tmp_path / 'b', '--cfg-options',
                 f'model.generator.weights={permuted}', 'model.generator.class_ids=[10,9,8,7,6,5,4,3,2,1,0]')
    assert done.returncode == 0, done.stderr[-2000:]
    first, second = (tree(tmp_path / name / 'distilled') for name in 'ab')
    assert first.keys() == second.keys() and all(first[name] == second[name] for name in first if 'meta' not in name)
    manifest = json.loads(second['meta/distilled.json'])
    assert manifest['weights']['class_ids'] == list(range(10, -1, -1))
