"""COCO-Stuff in panoptic colours."""
import logging

import pytest
import torch
from mmdet.datasets import CocoPanopticDataset
from mmseg.datasets import ADE20KDataset, COCOStuffDataset

from mmdistill.errors import DistillError
from mmdistill.generation import ControlNetGenerator
from mmdistill.generation.coco_panoptic import COLOURS, MERGED, VOID, panoptic_palette
from mmdistill.plan import Request

CLASSES = COCOStuffDataset.METAINFO['classes']


def test_the_colours_are_those_of_mmdet():
    assert tuple(COLOURS) == CocoPanopticDataset.METAINFO['classes']
    assert list(COLOURS.values()) == CocoPanopticDataset.METAINFO['palette']


def test_every_class_has_its_place():
    merged = [name for names in MERGED.values() for name in names]
    kept = [name for name in COLOURS if name not in MERGED]
    assert sorted([*merged, *kept, *VOID]) == sorted(CLASSES)
    assert (len(kept), len(merged), len(MERGED), len(VOID)) == (116, 43, 17, 12)
    colours, note = panoptic_palette(CLASSES, 'g')
    assert len(colours) == 171 and len(set(colours)) == 134  # and black
    at = dict(zip(CLASSES, colours))
    assert at['person'] == (220, 20, 60) and at['car'] == (0, 0, 142) and at['metal'] == (0, 0, 0)
    assert at['bush'] == at['tree'] == (107, 142, 35) != at['grass'] and at['wall-brick'] != at['wall-other']
    assert '\n' not in note and all(name in note for name in (*merged, *VOID)) and 'person' not in note


def test_some_of_the_classes():
    colours, note = panoptic_palette(['tree', ' bush ', 'person'], 'g')
    assert colours == [(107, 142, 35), (107, 142, 35), (220, 20, 60)]
    assert note == 'the ControlNet sees each of these groups as one class: tree, bush. It does not know: none'


def test_other_classes():
    with pytest.raises(DistillError, match="g: palette='coco_panoptic' is for the classes of COCO-Stuff, and 'animal'"):
        panoptic_palette(ADE20KDataset.METAINFO['classes'], 'g')
    with pytest.raises(DistillError, match="m: palette='coco_panoptic'"):
        ControlNetGenerator.check(dict(palette='coco_panoptic', classes=['lane'], image_size=64), 'm')


def test_a_generator_draws_with_them_and_says_so_once(sd_folder, caplog):
    def build(palette, classes):
        return ControlNetGenerator.from_pretrained(
            str(sd_folder), str(sd_folder / 'colours'), classes=classes, palette=palette, image_size=32, num_steps=2,
            scheduler=dict(type='DPMSolverMultistepScheduler'))

    with caplog.at_level(logging.INFO, 'mmdistill'):
        generator = build('coco_panoptic', CLASSES)
    assert len([record for record in caplog.records if 'palette' in record.message]) == 1
    assert 'branch, bush, leaves, tree; ' in caplog.text and 'cloth, clothes' in caplog.text
    mask = torch.tensor([[[0, CLASSES.index('bush'), CLASSES.index('metal'), 255]]])
    control = generator.condition([Request(id='a', seed=0, prompt='x')], mask)['control']
    assert (control[0, :, 0].T * 255).round().int().tolist() == [[220, 20, 60], [107, 142, 35], [0, 0, 0], [0, 0, 0]]
    assert generator.describe()['palette'] == 'coco_panoptic'
    ade = build(ADE20KDataset.METAINFO['palette'], ADE20KDataset.METAINFO['classes'])
    assert [list(colour) for colour in ade.palette] == ADE20KDataset.METAINFO['palette']
    assert 'palette' not in ade.describe()
    assert ADE20KDataset.METAINFO['classes'][7] == 'bed ' and ade.classes[7] == 'bed'
