"""COCO's JSON of a distilled set, against pycocotools alone."""
import contextlib
import io
import json

import numpy as np
import pytest
from mmseg.datasets import ADE20KDataset, COCOStuffDataset
from pycocotools.coco import COCO

from mmdistill.datasets import COCOStuff, DatasetMasks
from mmdistill.errors import DistillError
from mmdistill.plan import Plan, Request
from mmdistill.registry import WRITERS

CASES = [(COCOStuffDataset.METAINFO['classes'], 'coco_stuff164k'), (ADE20KDataset.METAINFO['classes'], 'ade20k')]


def plan_of(classes, stems):
    return Plan(method='x', config_hash='y', seed=0, classes=tuple(classes), palette=(), source_size=9, provenance={},
                requests=tuple(Request(id=stem, seed=1, classes=(0, )) for stem in stems))


def write(root, classes, layout):
    rng = np.random.default_rng(0)
    writer = WRITERS.build(dict(type='COCOJsonWriter', root=str(root), layout=layout))
    masks = {}
    for stem, (height, width) in {'000002': (40, 56), '000000': (33, 17), '000005': (8, 8)}.items():
        mask = rng.integers(0, len(classes) + 3, (height, width))
        masks[stem] = np.where(mask < len(classes), mask, 255).astype(np.uint8)
        writer.write(stem, np.zeros((height, width, 3), np.uint8), masks[stem])
    masks['000007'] = np.full((5, 6), 255, np.uint8)  # without a label
    writer.write('000007', np.zeros((5, 6, 3), np.uint8), masks['000007'])
    assert not writer.json_file.exists()
    writer.finish(plan_of(classes, masks))
    return writer, masks


@pytest.mark.parametrize('classes, layout', CASES)
def test_pycocotools_gives_the_masks_back(tmp_path, classes, layout):
    writer, masks = write(tmp_path, classes, layout)
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(tmp_path / 'annotations/stuff_things.json'))
    train_ids = {category['id']: i for i, category in enumerate(coco.dataset['categories'])}
    assert [category['name'] for category in coco.dataset['categories']] == [name.strip() for name in classes]
    assert [image['file_name'] for image in coco.dataset['images']] == [f'{stem}.jpg' for stem in masks]
    for image, mask in zip(coco.dataset['images'], masks.values()):
        annotations = coco.loadAnns(coco.getAnnIds(imgIds=image['id']))
        assert len(annotations) == len(set(mask[mask < 255].tolist()))  # one per class
        found = np.full(mask.shape, 255)
        for annotation in annotations:
            region = coco.annToMask(annotation).astype(bool)
            rows, columns = region.any(1).nonzero()[0], region.any(0).nonzero()[0]
            assert annotation['iscrowd'] == 0 and annotation['area'] == region.sum()
            assert annotation['bbox'] == [columns[0], rows[0], columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1]
            assert isinstance(annotation['segmentation']['counts'], str) and (found[region] == 255).all()
            found[region] = train_ids[annotation['category_id']]
        assert np.array_equal(found, mask)
    assert len({annotation['id'] for annotation in coco.dataset['annotations']}) == len(coco.dataset['annotations'])


def test_it_is_read_as_coco_stuff(tmp_path):
    _, masks = write(tmp_path, *CASES[0])
    content = json.loads((tmp_path / 'annotations/stuff_things.json').read_text())
    assert [category['id'] for category in content['categories']][79:82] == [90, 92, 93]
    source = DatasetMasks(COCOStuff(form='json', data_root=str(tmp_path), ann_file='annotations/stuff_things.json',
                                    data_prefix=dict(img_path='images/train2017'), pipeline=[]))
    assert all(np.array_equal(source.checked_mask(i), masks[stem]) for i, stem in enumerate(sorted(masks)))


@pytest.mark.parametrize('name', ['/a.json', '../a.json', 'a.txt'])
def test_a_file_outside_the_set(name):
    with pytest.raises(DistillError, match='has to be a .json file inside the distilled set'):
        WRITERS.get('COCOJsonWriter').check(dict(json_file=name), 'writer')
