"""COCO-Stuff from its JSON: distilled by the command, and students trained on it and on the distilled set."""
import json
import pprint

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image
from pycocotools import mask as coco

import mmdistill.registry  # noqa: F401
from mmdistill.datasets import read_manifest
from tests.engine.conftest import guide_model, save_guide, write_config

PIPELINE = [dict(type='mmseg.LoadImageFromFile'), dict(type='mmseg.LoadAnnotations'), dict(type='mmseg.PackSegInputs')]
STUDENT = 'configs/students/mask2former_swin-s_4xb2-80k_coco-stuff164k-512x512.py'


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """Five images of 40x56 with a stuff and an instances file of COCO: class 200 - 20 i above a person each."""
    root = tmp_path_factory.mktemp('coco')
    (root / 'train2017').mkdir()
    rng, images, stuff, things = np.random.default_rng(0), [], [], []
    for i in range(1, 6):
        images.append(dict(id=i, file_name=f'{i:012d}.jpg', height=40, width=56))
        Image.fromarray(rng.integers(0, 256, (40, 56, 3), dtype=np.uint8)).save(root / f'train2017/{i:012d}.jpg')
        place = np.zeros((40, 56), np.uint8)
        place[:24] = 1
        runs = coco.encode(np.asfortranarray(place))
        stuff.append(dict(id=i, image_id=i, category_id=182 - 20 * i + 20, iscrowd=0, area=1, bbox=[0, 0, 1, 1],
                          segmentation=dict(size=[40, 56], counts=runs['counts'].decode())))
        things.append(dict(id=i, image_id=i, category_id=1, iscrowd=0, area=1, bbox=[0, 0, 1, 1],
                           segmentation=[[8, 16, 40, 16, 40, 40, 8, 40]]))
    for name, annotations, ids in (('stuff', stuff, range(92, 184)), ('instances', things, range(1, 91))):
        (root / f'{name}_train2017.json').write_text(json.dumps(dict(
            images=images, annotations=annotations, categories=[dict(id=i, name=str(i)) for i in ids])))
    return dict(type='mmdistill.COCOStuff', form='json', data_root=str(root), data_prefix=dict(img_path='train2017'),
                ann_file='stuff_train2017.json', things_file='instances_train2017.json')


@pytest.fixture(scope='module')
def distilled(root, tools, sd_folder, data, tmp_path_factory):
    """The work dir of a run that selected two masks."""
    folder = tmp_path_factory.mktemp('run')
    generator = dict(type='ControlNetGenerator', weights=str(sd_folder), controlnet=str(sd_folder / 'colours'),
                     palette='coco_panoptic', image_size=32, num_steps=3, cfg_scale=2.0, micro_batch=2,
                     scheduler='DPMSolverMultistepScheduler')
    config = write_config(root, folder / 'coco.py', dict(data, pipeline=PIPELINE), generator, save_guide(folder, 171),
                          'coco_stuff164k', budget=2)
    done = tools('distill', config, '--work-dir', folder / 'work', '--cfg-options',
                 'test_cfg.writer.type=COCOJsonWriter')
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stderr.count('It does not know: ') + done.stdout.count('It does not know: ') == 1
    return folder / 'work'


def test_the_set_has_the_masks_of_the_json(distilled, data):
    manifest = read_manifest(distilled / 'distilled')
    assert len(manifest['images']) == 2 and manifest['weights']['palette'] == 'coco_panoptic'
    rows, columns = ((np.arange(32) + 0.5) * 40 / 32).astype(int), ((np.arange(32) + 0.5) * 56 / 32).astype(int)
    for image in manifest['images']:
        number = image['source_index'] + 1
        full = np.full((40, 56), 255, np.uint8)
        full[:24] = 171 - 20 * number + 20 - 1  # no unused id is that high
        full[16:40, 8:40] = 0
        written = np.asarray(Image.open(distilled / 'distilled' / image['mask']))
        assert np.array_equal(written, full[rows][:, columns])
        assert image['source_mask'].endswith(f'#{number}') and image['source'].endswith(f'{number:012d}.jpg')
    content = json.loads((distilled / 'distilled/annotations/stuff_things.json').read_text())
    assert len(content['images']) == 2 and len(content['annotations']) == 4


@pytest.mark.parametrize('source', ['json', 'distilled_json', 'selected'])
def test_a_student_trains_on_it(root, tools, distilled, data, tmp_path, source):
    """One iteration with the pipeline of the shipped student, whose network is replaced by a tiny one."""
    dataset, hooks = dict(data), []
    if source == 'distilled_json':
        dataset.update(data_root=str(distilled / 'distilled'), data_prefix=dict(img_path='images/train2017'),
                       ann_file='annotations/stuff_things.json', things_file='')
    elif source == 'selected':
        hooks = [dict(type='mmdistill.MaskSelectionHook', workers=2, selector=dict(type='RandomSelector', budget=2))]
    shipped = Config.fromfile(root / STUDENT)
    cfg = dict(
        model=dict(guide_model(171), _delete_=True, data_preprocessor=dict(
            type='SegDataPreProcessor', bgr_to_rgb=True, pad_val=0, seg_pad_val=255, size=(64, 64))),
        train_dataloader=dict(batch_size=2, num_workers=2, persistent_workers=False,
                              dataset=dict(dataset, _delete_=True, pipeline=[
                                  *shipped.train_pipeline[:2], dict(type='RandomResize', scale=(128, 64),
                                                                    ratio_range=(0.5, 2.0), keep_ratio=True),
                                  dict(type='RandomCrop', crop_size=(64, 64), cat_max_ratio=0.75),
                                  *shipped.train_pipeline[4:]])),
        optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01), _delete_=True),
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=1, _delete_=True), param_scheduler=[], custom_hooks=hooks,
        val_cfg=None, val_dataloader=None, val_evaluator=None, test_cfg=None, test_dataloader=None, test_evaluator=None,
        default_hooks=dict(logger=dict(interval=1), checkpoint=None), visualizer=None)
    lines = [f'_base_ = {str(root / STUDENT)!r}']
    lines += [f'{key} = {pprint.pformat(value, sort_dicts=False)}' for key, value in Config(cfg).to_dict().items()]
    (tmp_path / 'student.py').write_text('\n'.join(lines) + '\n')
    done = tools('train', tmp_path / 'student.py', '--work-dir', tmp_path / 'work')
    assert done.returncode == 0, done.stderr[-2000:]
    assert 'Iter(train) [1/1]' in done.stdout + done.stderr
