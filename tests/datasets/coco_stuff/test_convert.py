"""The command ``mmdistill convert``."""
import runpy
import shutil

import numpy as np
import pytest
from mmseg.datasets import COCOStuffDataset
from PIL import Image
from scipy.io import loadmat

from mmdistill import cli
from tests.datasets.coco_stuff.test_dataset import by_mmseg, equal
from tests.datasets.coco_stuff.test_ids import CONVERTERS


def arguments(forms, form):
    masks = dict(stuffthingmaps='annotations/train2017', json='annotations/stuff_train2017.json', mat='mat')[form]
    things = ['--things', str(forms.root / 'annotations/instances_train2017.json')] if form == 'json' else []
    return ['convert', form, str(forms.root / masks), *things]


def read(forms, form, out):
    return by_mmseg(COCOStuffDataset(
        data_root=str(forms.root), pipeline=[], reduce_zero_label=form == 'mat', data_prefix=dict(
            img_path='images10k' if form == 'mat' else 'images/train2017', seg_map_path=str(out))))


@pytest.mark.parametrize('workers', ['1', '3'])
@pytest.mark.parametrize('form', ['stuffthingmaps', 'json', 'mat'])
def test_mmseg_reads_converted_masks(forms, tmp_path, capsys, monkeypatch, form, workers):
    monkeypatch.setattr('mmdistill.datasets.coco_stuff.convert._CHUNK', 1)
    cli.main([*arguments(forms, form), '--out', str(tmp_path / 'new'), '--workers', workers])
    printed = capsys.readouterr().out
    assert '4 masks written' in printed
    assert ('reduce_zero_label=True' in printed) == (form == 'mat')
    assert equal(read(forms, form, tmp_path / 'new'), forms.train)


@pytest.mark.parametrize('form, name, source', [('stuffthingmaps', 'coco_stuff164k', 'annotations/train2017'),
                                                ('mat', 'coco_stuff10k', 'mat')])
def test_the_values_are_those_of_mmsegs_converters(forms, tmp_path, form, name, source):
    table = runpy.run_path(str(CONVERTERS / f'{name}.py'))['clsID_to_trID']
    cli.main([*arguments(forms, form), '--out', str(tmp_path / 'new')])
    paths = sorted((forms.root / source).iterdir())
    assert len(paths) == 4
    for path in paths:
        raw = loadmat(path)['S'] if form == 'mat' else np.asarray(Image.open(path))
        new = np.asarray(Image.open(tmp_path / f'new/{path.stem}_labelTrainIds.png'))
        assert np.array_equal(new, np.vectorize(table.get)(raw))


def test_an_interrupted_conversion_continues(forms, tmp_path, capsys):
    out = tmp_path / 'new'
    command = [*arguments(forms, 'json'), '--out', str(out), '--workers', '1']
    cli.main(command)
    files = sorted(out.iterdir())
    times = [path.stat().st_mtime_ns for path in files]
    files[0].unlink()
    files[1].write_bytes(b'')
    cli.main(command)
    assert '2 masks written' in capsys.readouterr().out
    assert equal(read(forms, 'json', out), forms.train)
    assert [path.stat().st_mtime_ns for path in files][2:] == times[2:]


def test_a_subset(forms, tmp_path):
    (tmp_path / 'images').mkdir()
    (tmp_path / 'images/000000000025.jpg').write_bytes(b'')
    cli.main([*arguments(forms, 'json'), '--out', str(tmp_path / 'a'), '--images', str(tmp_path / 'images')])
    assert [path.name for path in (tmp_path / 'a').iterdir()] == ['000000000025_labelTrainIds.png']
    names = str(forms.root / 'imageLists/train.txt')
    cli.main([*arguments(forms, 'mat'), '--out', str(tmp_path / 'b'), '--names', names])
    assert len(list((tmp_path / 'b').iterdir())) == 3


def test_files_beside_the_sources_are_not_converted_again(forms, tmp_path):
    shutil.copytree(forms.root / 'annotations/train2017', tmp_path / 'masks')
    for _ in range(2):
        cli.main(['convert', 'stuffthingmaps', str(tmp_path / 'masks'), '--out', str(tmp_path / 'masks')])
    assert len(list((tmp_path / 'masks').iterdir())) == 8


@pytest.mark.parametrize('change, say', [
    (['stuffthingmaps', 'nowhere', '--out', 'x'], 'error: cannot read nowhere: No such file'),
    (['json', 'nowhere.json', '--out', 'x'], 'error: cannot read nowhere.json: No such file'),
    (['mat', '.', '--out', 'x'], "error: no mask of form 'mat' in .: check"),
    (['mat', '.', '--out', 'x', '--things', 'y'], "error: the instances file is only for form 'json'"),
])
def test_mistakes_are_one_line(tmp_path, monkeypatch, change, say):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        cli.main(['convert', *change])
    assert str(end.value.code).startswith(say) and '\n' not in str(end.value.code)


def test_a_bad_id_stops_it_with_its_file(tmp_path, monkeypatch):
    monkeypatch.setattr('mmdistill.datasets.coco_stuff.convert._CHUNK', 1)
    (tmp_path / 'masks').mkdir()
    for n in range(3):
        Image.new('L', (4, 4), [0, 11, 1][n]).save(tmp_path / f'masks/{n}.png')
    for workers in '12':
        with pytest.raises(SystemExit, match=r'error: .*/masks/1\.png: id 11 in 16 pixels'):
            cli.main(['convert', 'stuffthingmaps', str(tmp_path / 'masks'), '--out', str(tmp_path / 'out'), '--workers',
                      workers])
