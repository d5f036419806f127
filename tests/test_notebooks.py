"""The notebooks of the documentation run, cell by cell, and need no OpenMMLab package where they say so."""
import json
import re

import pytest

NOTEBOOK = 'docs/notebooks/core.ipynb'


@pytest.fixture
def cells(root):
    """The source of the code cells."""
    notebook = json.loads((root / NOTEBOOK).read_text())
    assert notebook['nbformat'] == 4
    return [''.join(cell['source']) for cell in notebook['cells'] if cell['cell_type'] == 'code']


def test_the_core_needs_no_openmmlab_package(cells, python):
    """The cells in one namespace; the last words are what was imported, and what the images are."""
    code = '\n'.join(cells) + """
import sys
print(sorted({name.split('.')[0] for name in sys.modules} & {'mmengine', 'mmcv', 'mmseg', 'mmpretrain', 'mmdet'}))
print(plain.shape, *guided[mask == CAR].mean(0).round().astype(int))
"""
    change, modules, images = python(code, OMP_NUM_THREADS='1').splitlines()
    car, elsewhere = map(int, re.findall(r'(\d+) of 255 on the car, (\d+) elsewhere', change)[0])
    assert car > 3 * elsewhere and modules == '[]'
    shape, red, green, blue = re.fullmatch(r'(\(64, 64, 3\)) (\d+) (\d+) (\d+)', images).groups()
    assert int(blue) > 150 > int(green) and int(blue) > int(red) + 80  # as the guidance wants it


def test_its_outputs_are_those_of_its_cells(root):
    notebook = json.loads((root / NOTEBOOK).read_text())
    counts = [cell['execution_count'] for cell in notebook['cells'] if cell['cell_type'] == 'code']
    assert counts == list(range(1, len(counts) + 1))
    assert sum('image/png' in output.get('data', {}) for cell in notebook['cells']
               for output in cell.get('outputs', ())) == 2
