import pytest

from mmdistill.errors import DistillError
from mmdistill.generation.class_names import prompt_names


def test_class_names_are_stripped():
    assert prompt_names(['bed ', ' traffic  light']) == ['bed', 'traffic light']
    assert prompt_names(['car', 'tree'], dict(car='red car')) == ['red car', 'tree']


def test_ade20k():
    from mmseg.datasets import ADE20KDataset
    classes = ADE20KDataset.METAINFO['classes']
    found = prompt_names(classes, 'ade20k')
    changed = {index: name for index, (old, name) in enumerate(zip(classes, found), 1) if old != name}
    assert changed == {
        8: 'bed', 9: 'window', 14: 'ground', 29: 'carpet', 35: 'stone', 41: 'pedestal', 43: 'pillar', 45: 'dresser',
        56: 'showcase', 64: 'blinds', 74: 'kitchen', 90: 'television', 92: 'dirt road', 98: 'pouf', 100: 'sideboard',
        106: 'conveyor', 117: 'motorbike', 122: 'stair', 124: 'brand', 142: 'screen'}


def test_coco_stuff():
    from mmseg.datasets import COCOStuffDataset
    classes = COCOStuffDataset.METAINFO['classes']
    found = dict(zip(classes, prompt_names(classes, 'coco_stuff')))
    assert len(found) == 171 and not any('-' in name for name in found.values())
    turned = {'ceiling-tile': 'tile ceiling', 'floor-marble': 'marble floor', 'wall-brick': 'brick wall',
              'wall-other': 'wall', 'window-blind': 'blind window', 'window-other': 'window', 'desk-stuff': 'desk',
              'food-other': 'food', 'structural-other': 'structural', 'traffic light': 'traffic light'}
    assert {name: found[name] for name in turned} == turned


@pytest.mark.parametrize('names, message', [
    ('ade20k', "names='ade20k': the dataset has no class 'windowpane'; did you mean window"),
    (dict(tre='oak'), "the dataset has no class 'tre'; did you mean tree")])
def test_a_class_that_is_not_there(names, message):
    with pytest.raises(DistillError, match=message):
        prompt_names(['window pane', 'tree'], names)
