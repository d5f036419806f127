import hashlib
import json

import numpy as np
import pytest

from mmdistill.cli import main
from mmdistill.datasets.layouts import LAYOUTS, SegLayout
from mmdistill.datasets.manifest import MANIFEST, library_versions, read_manifest, write_manifest
from mmdistill.datasets.writers import SegWriter
from mmdistill.errors import DistillError
from mmdistill.plan import Plan, Request
from mmdistill.version import __version__


@pytest.fixture
def plan():
    requests = tuple(
        Request(f'{i:03d}', 2**62 + i, 10 * i, f'data/i{i}.jpg', f'data/m{i}.png', (0, i + 1)) for i in range(3))
    return Plan('D3S2', 'cafe', 5, ('sky', 'road', 'car', 'tree'), ((0, 0, 0), (1, 2, 3), (4, 5, 6), (7, 8, 9)), 30,
                requests, dict(selector='greedy'))


def fill(root, plan, layout=LAYOUTS['ade20k'], skip=()):
    writer = SegWriter(root, layout)
    for request in plan.requests:
        if request.id not in skip:
            writer.write(request.id, np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.uint8))
    return writer


def test_says_where_each_image_came_from(tmp_path, plan):
    fill(tmp_path, plan)
    path = write_manifest(tmp_path, plan, LAYOUTS['ade20k'], dict(generator='sd'), dict(steps=20))
    assert path == tmp_path / MANIFEST
    manifest = read_manifest(tmp_path)
    assert manifest == json.loads(path.read_text())
    expected = dict(method='D3S2', config_hash='cafe', seed=5, weights=dict(generator='sd'), extra=dict(steps=20),
                    source_size=30, provenance=dict(selector='greedy'))
    assert {key: manifest[key] for key in expected} == expected
    assert manifest['classes'] == list(plan.classes)
    assert manifest['palette'][1] == [1, 2, 3]
    assert SegLayout.from_dict(manifest['layout']) == LAYOUTS['ade20k']
    assert manifest['images'][2] == dict(
        id='002', image='images/training/002.jpg', mask='annotations/training/002.png', seed=2**62 + 2,
        sha256={kind: hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for kind, name in (
            ('image', 'images/training/002.jpg'), ('mask', 'annotations/training/002.png'))},
        source_index=20, source='data/i2.jpg', source_mask='data/m2.png', classes=[0, 3], prompt=None,
        latent=None)


def test_library_versions():
    versions = library_versions()
    assert versions['mmdistill'] == __version__
    assert versions['numpy'] == np.__version__
    assert any(name.endswith('mmsegmentation') for name in versions)


def test_same_bytes_whichever_folder(tmp_path, plan):
    contents = []
    for name in ('a', 'b'):
        fill(tmp_path / name, plan)
        contents.append(write_manifest(tmp_path / name, plan, LAYOUTS['ade20k'], {}).read_bytes())
    assert contents[0] == contents[1]
    assert str(tmp_path).encode() not in contents[0]


def test_no_manifest_before_all_files_are_there(tmp_path, plan):
    fill(tmp_path, plan, skip=['001'])
    with pytest.raises(DistillError, match=r'lacks 2 files .* images/training/001.jpg: .*--resume'):
        write_manifest(tmp_path, plan, LAYOUTS['ade20k'], {})
    (tmp_path / 'plan.json').touch()
    with pytest.raises(DistillError, match='unfinished: run mmdistill distill'):
        read_manifest(tmp_path)


def test_leftovers_of_a_killed_run_go(tmp_path, plan):
    writer = fill(tmp_path, plan)
    leftover = writer.paths('000')[0].with_name('.000.jpg.99.tmp')
    leftover.write_text('half')
    write_manifest(tmp_path, plan, writer.layout, {})
    assert not leftover.exists()


def test_list_of_files_where_the_source_has_one(tmp_path, plan):
    layout = SegLayout('source', 'i', 'm', ann_file='splits/train.txt')
    fill(tmp_path, plan, layout)
    write_manifest(tmp_path, plan, layout, {})
    assert (tmp_path / 'splits/train.txt').read_text() == '000\n001\n002\n'


@pytest.mark.parametrize('text', ['{"version": 1', '[]', '{"version": 99}', '{"version": 1}'])
def test_unreadable_manifest(tmp_path, text):
    (tmp_path / 'meta').mkdir()
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(DistillError, match='not a readable manifest') as caught:
        read_manifest(tmp_path)
    assert '\n' not in str(caught.value)


def test_no_such_set(tmp_path):
    with pytest.raises(DistillError, match='no distilled set at'):
        read_manifest(tmp_path / 'nowhere')


def test_a_folder_that_is_no_set(tmp_path):
    (tmp_path / 'photos').mkdir()
    with pytest.raises(DistillError, match='photos is not a distilled set: it has no meta/distilled.json, and there is '
                                           'no plan.json'):
        read_manifest(tmp_path / 'photos')
    (tmp_path / 'plan.json').touch()
    with pytest.raises(DistillError, match='photos is not a distilled set'):  # another folder of a work dir
        read_manifest(tmp_path / 'photos')
    with pytest.raises(DistillError, match='so it is unfinished: run mmdistill distill … --resume'):
        read_manifest(tmp_path)
    (tmp_path / 'distilled').mkdir()
    with pytest.raises(DistillError, match='so it is unfinished: run mmdistill distill … --resume'):
        read_manifest(tmp_path / 'distilled')
    with pytest.raises(DistillError, match='is a work dir, not a distilled set: give .*/distilled'):
        read_manifest(tmp_path)


def test_verify_checks_every_folder(tmp_path, plan, capsys):
    for name in ('photos', 'comparison'):
        (tmp_path / name).mkdir()
    fill(tmp_path / 'whole', plan)
    write_manifest(tmp_path / 'whole', plan, LAYOUTS['ade20k'], {})
    with pytest.raises(SystemExit) as end:
        main(['verify', *(str(tmp_path / name) for name in ('photos', 'whole', 'comparison'))])
    lines = str(end.value.code).splitlines()
    assert len(lines) == 2 and all('is not a distilled set' in line for line in lines)
    assert capsys.readouterr().out.splitlines()[0].startswith(f'{tmp_path}/whole: ')
