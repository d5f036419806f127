"""Segmentation datasets with unlabelled or missing masks: one line, with advice that works."""
import re

import numpy as np
import pytest
from PIL import Image

DATA = 'test_dataloader.dataset'


@pytest.fixture
def distil(tools, town):
    """``distil(*options, say=None)``: a dry run, which ends with this one line, or without an error."""

    def run(*options, say=None, before=''):
        done = tools('distill', town.config, '--work-dir', town.work, '--dry-run', '--cfg-options', *options,
                     'custom_hooks.0.workers=0', before=before)
        if say is None:
            assert done.returncode == 0, done.stderr[-3000:]
            return done.stdout
        lines = [line for line in done.stderr.splitlines() if line.startswith('error: ')]
        assert done.returncode == 1 and 'Traceback' not in done.stderr and len(lines) == 1, done.stderr[-3000:]
        assert re.search(say, lines[0]), lines[0]
        return done.stdout

    return run


def change(town, table):
    """Write other ids into the masks."""
    for path in (town.data / 'masks').iterdir():
        mask = np.asarray(Image.open(path))
        Image.fromarray(table(mask).astype(np.uint8)).save(path)


def test_masks_of_0_and_255(distil, town):
    change(town, lambda mask: np.where(mask > 2, 255, 0))
    distil(f'{DATA}.reduce_zero_label=True', say=(
        r'no mask of BaseSegDataset has a labelled pixel: the files contain the ids 0, 255; 255 is always unlabelled, '
        r'reduce_zero_label=True makes 0 unlabelled: save the pixels of classes with their ids, 1, \.\.\., instead of '
        '255, and set reduce_zero_label=False if 0 is a class$'))
    change(town, lambda mask: mask // 255)
    assert re.search('Plan: .*sky 2, building 2', distil())
    distil(f'{DATA}.reduce_zero_label=True')


def test_masks_of_255_alone(distil, town):
    change(town, lambda mask: mask * 0 + 255)
    distil(say=r'contain the ids 255; 255 is always unlabelled: save the pixels of classes with their ids, 0, \.\.\.')
    change(town, lambda mask: mask * 0)
    distil()


def test_masks_of_classes_that_are_left_out(distil, town):
    before = '''
from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS
@DATASETS.register_module()
class Many(BaseSegDataset):
    METAINFO = dict(classes=tuple(f'c{i}' for i in range(40)), palette=[[i, i, i] for i in range(40)])
'''
    change(town, lambda mask: mask * 0 + 30)
    kept = [f'c{i}' for i in range(11)]
    meta = f'{DATA}.metainfo.classes=[{",".join(kept)}]'
    config = town.config.read_text()
    town.config.write_text(re.sub(r",\s*'palette': \[\[.*?\]\]", '', config, flags=re.S))
    options = (f'{DATA}.type=mmseg.Many', )
    distil(*options, meta, before=before, say=(
        r"contain the ids 30; metainfo\.classes does not contain the other classes: add some of them, such as "
        r"'c30'$"))
    distil(*options, f'{DATA}.metainfo.classes=[{",".join([*kept[:10], "c30"])}]', before=before)


def test_an_ignored_class_alone(distil, town):
    change(town, lambda mask: mask * 0 + 3)
    distil(f'{DATA}.ignore_index=3', say=r'contain the ids 3; ignore_index=3 makes that class unlabelled: set '
                                         'ignore_index=255$')


def test_a_budget_of_more_masks_than_there_are(distil, town):
    assert 'Reading' not in distil('custom_hooks.0.selector.budget=5', say='budget 5 is out of range: .* use 1..4')
    path = town.data / 'masks/1.png'
    Image.fromarray(np.full((32, 32), 255, np.uint8)).save(path)
    distil('custom_hooks.0.selector.budget=4', say='budget is 4 masks, but only 3 of 4 have .*: lower the budget to 3$')
    distil('custom_hooks.0.selector.budget=3')


def test_a_folder_of_masks_that_is_not_there(distil, town):
    say = r'no mask at .*/wrong/0\.png, and no folder .*/wrong: set data_prefix\.seg_map_path$'
    assert 'Reading' not in distil(f'{DATA}.data_prefix.seg_map_path=wrong', say=say)
    distil(f'{DATA}.data_prefix.img_path=wrong', say=(
        r'no data at .*/wrong: set test_dataloader\.dataset\.data_root, or data_prefix in it'))


def test_masks_among_the_images(distil, town):
    for path in (town.data / 'masks').iterdir():
        path.rename(town.data / 'images' / f'{path.stem}_mask.png')
    options = f'{DATA}.data_prefix.seg_map_path=images', f'{DATA}.seg_map_suffix=_mask.png'
    distil(*options, say=(
        r'no mask at .*0_mask_mask\.png: .*0_mask\.png, a mask, is read as an image, .*: put the masks into a separate '
        r'folder \(data_prefix\.seg_map_path\), or list the images in an ann_file$'))
    (town.data / 'list.txt').write_text('0\n1\n2\n3\n')
    distil(*options, f'{DATA}.ann_file=list.txt')


@pytest.mark.parametrize('lines, say', [
    ('0.png\n1.png\n', r'cannot read .*0\.png\.png, line 1 of .*: no such image .*: the list names files without '
     r'\.png, which is added as img_suffix: remove it from the lines'),
    ('0\n\n1\n', r"cannot read .*images/\.png, line 2 of .*: remove the empty line"),
    ('0\n7\n', r"cannot read .*images/7\.png, line 2 of .*: no such image: add the file, remove its line"),
    ('\ufeff0\n1\n', r"line 1 of .*: no such image: .*byte order mark"),
])
def test_lines_of_a_list(distil, town, lines, say):
    (town.data / 'list.txt').write_text(lines)
    assert 'Reading' not in distil(f'{DATA}.ann_file=list.txt', say=say)


@pytest.mark.parametrize('palette', ['[[1,2]]', '[1,2]', '[[1,2,300]]', '[[1,2,3],[4,5,6]]'])
def test_a_palette_of_other_colours(distil, town, palette):
    config = town.config.read_text()
    town.config.write_text(re.sub(r"'classes': \[.*?\]", "'classes': ['a']", config, count=1, flags=re.S))
    distil(f'{DATA}.metainfo.palette={palette}', say=r'metainfo\.palette has .*: correct it, or leave it out')
