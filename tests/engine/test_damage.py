"""Files of a set that were altered: found by `mmdistill verify`, made again by --resume."""
import json
import shutil

import cv2
import numpy as np
import pytest

from mmdistill import cli
from mmdistill.datasets.checksums import Journal
from mmdistill.datasets.distilled import distilled_dataset
from mmdistill.datasets.verify import verify_set
from mmdistill.errors import DistillError


@pytest.fixture(scope='module')
def finished(tools, streets, tmp_path_factory):
    """Work dir of an undisturbed run."""
    work = tmp_path_factory.mktemp('finished')
    done = tools('distill', streets, '--work-dir', work)
    assert done.returncode == 0, done.stderr[-3000:]
    return work


@pytest.fixture
def work(finished, tmp_path):
    """A copy of it."""
    return shutil.copytree(finished, tmp_path / 'work')


def cut(path):
    path.write_bytes(path.read_bytes()[:-30])


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def darker(path):
    cv2.imwrite(str(path), cv2.imread(str(path), cv2.IMREAD_UNCHANGED) // 2)


DAMAGES = [cut, flip, darker, lambda path: path.write_bytes(b''), lambda path: path.unlink(),
           lambda path: path.write_text('<html>'), lambda path: cv2.imwrite(str(path), np.zeros((8, 8), np.uint8))]


def test_resume_generates_only_damaged_images_again(tools, streets, finished, work, tree):
    whole, root = tree(finished / 'distilled'), work / 'distilled'
    images = [image for image in json.loads((root / 'meta/distilled.json').read_text())['images']]
    files = [images[n // 2][('image', 'mask')[n % 2]] for n in range(len(DAMAGES))]
    for damage, name in zip(DAMAGES, files):
        damage(root / name)
    assert sorted(line.split()[0] for line in verify_set(root)) == sorted(files)
    times = {path: path.stat().st_mtime_ns for path in root.rglob('*.png')}
    done = tools('distill', streets, '--work-dir', work, '--resume')
    assert done.returncode == 0 and '2 images exist, 4 are to be generated' in done.stdout, done.stderr
    assert tree(root) == whole and verify_set(root) == []
    untouched = {image[kind] for image in images[4:] for kind in ('image', 'mask')}
    assert len(untouched) == 4
    assert all((root / name).stat().st_mtime_ns == times[root / name] for name in untouched)


def test_resume_writes_an_unreadable_manifest_again(tools, streets, finished, work, tree):
    root = work / 'distilled'
    image, other = json.loads((root / 'meta/distilled.json').read_text())['images'][:2]
    with pytest.raises(DistillError, match='distill … --resume, which writes damaged and missing files again'):
        (root / image['image']).unlink()
        distilled_dataset(str(root), pipeline=[])
    (root / other['image']).write_bytes((root / other['mask']).read_bytes())
    (root / 'meta/distilled.json').write_text('[]')
    with pytest.raises(DistillError, match='distill … --resume, which writes damaged and missing files again'):
        verify_set(root)
    done = tools('distill', streets, '--work-dir', work, '--resume')
    assert done.returncode == 0 and '4 images exist, 2 are to be generated' in done.stdout, done.stderr
    assert tree(root) == tree(finished / 'distilled') and verify_set(root) == []


def test_a_line_of_the_journal_that_was_cut_short(tools, streets, finished, work, tree):
    journal, = work.glob('checksums.*.jsonl')
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b''.join(lines[:3]) + lines[3][:20])
    (work / 'distilled/meta/distilled.json').unlink()
    done = tools('distill', streets, '--work-dir', work, '--resume')
    assert done.returncode == 0 and '3 images exist, 3 are to be generated' in done.stdout, done.stderr
    assert tree(work / 'distilled') == tree(finished / 'distilled')
    done = tools('distill', streets, '--work-dir', work, '--resume')
    assert done.returncode == 0 and '6 images exist, 0 are to be generated' in done.stdout


def test_a_journal_that_cannot_be_read_counts_as_none(tmp_path):
    (tmp_path / 'checksums.0.jsonl').symlink_to('nowhere')
    (tmp_path / 'checksums.1.jsonl').mkdir()
    (tmp_path / 'checksums.2.jsonl').write_text('["a", {}]\n["b"\n' + '[' * 100000)
    journal = Journal(tmp_path, tmp_path, lambda name: {})
    journal.read()
    assert len(journal) == 1 and journal.holds('a')
    (tmp_path / 'other').write_text('')  # a link is not followed
    (tmp_path / 'checksums.0.jsonl').unlink()
    (tmp_path / 'checksums.0.jsonl').symlink_to('other')
    with pytest.raises(DistillError, match='cannot write .*checksums.0.jsonl'):
        journal.add('c')
    assert (tmp_path / 'other').read_text() == ''


@pytest.mark.parametrize('damage', DAMAGES)
def test_verify_names_each_file(work, capsys, damage):
    manifest = json.loads((work / 'distilled/meta/distilled.json').read_text())
    cli.main(['verify', str(work), str(work / 'distilled')])
    assert capsys.readouterr().out.splitlines() == [f'{work}/distilled: 6 images, complete'] * 2
    names = [manifest['images'][0]['image'], manifest['images'][1]['mask']]
    for name in names:
        damage(work / 'distilled' / name)
    with pytest.raises(SystemExit, match='error: 2 problems found'):
        cli.main(['verify', str(work)])
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()] == names
    with pytest.raises(DistillError, match=f'is incomplete or damaged: {names[0]}.*and 1 more: mmdistill verify'):
        distilled_dataset(str(work / 'distilled'), verify=True, pipeline=[])


def rewritten(work, change):
    file = work / 'distilled/meta/distilled.json'
    manifest = json.loads(file.read_text())
    for image in manifest['images']:
        image.pop('sha256')  # else the checksum is what is found
    manifest.pop('checksum')
    change(manifest)
    file.write_text(json.dumps(manifest))
    return manifest


def test_changed_sets_are_detected(work):
    root = work / 'distilled'
    manifest = rewritten(work, lambda manifest: None)
    assert verify_set(root) == []
    first, second, third = manifest['images'][:3]
    mask = cv2.imread(str(root / first['mask']), cv2.IMREAD_UNCHANGED)
    cv2.imwrite(str(root / first['mask']), np.where(mask == mask[0, 0], 200, mask).astype(np.uint8))
    cv2.imwrite(str(root / second['mask']), np.zeros((16, 32), np.uint8))
    cv2.imwrite(str(root / third['image']), np.zeros((32, 32, 3), np.uint8))  # no checksum says so
    (root / 'images/stranger.png').write_bytes((root / third['image']).read_bytes())
    problems = verify_set(root)
    assert len(problems) == 3 and problems[0].startswith('images/stranger.png is not in the manifest')
    assert problems[1] == f'{first["id"]}: its mask has class id 200 of 11 classes'
    assert problems[2] == f'{second["id"]}: its mask is uint8 (16, 32), its image (32, 32)'


@pytest.mark.parametrize('change', [
    lambda manifest: manifest['classes'].reverse(), lambda manifest: manifest.update(method='D4M'),
    lambda manifest: manifest['images'][0].update(seed=1), lambda manifest: manifest['provenance'].clear(),
    lambda manifest: manifest.update(more=1)])
def test_a_manifest_that_was_edited(work, change, capsys):
    file = work / 'distilled/meta/distilled.json'
    manifest = json.loads(file.read_text())
    file.write_text(json.dumps(dict(reversed(manifest.items()))))  # another order of keys says the same
    assert verify_set(work / 'distilled') == []
    change(manifest)
    file.write_text(json.dumps(manifest, indent=1))
    assert verify_set(work / 'distilled') == [
        'meta/distilled.json was changed after it was written: its checksum differs']
    with pytest.raises(DistillError, match='is incomplete or damaged: meta/distilled.json was changed'):
        distilled_dataset(str(work / 'distilled'), verify=True, pipeline=[])
    del manifest['checksum']
    file.write_text(json.dumps(manifest, indent=1))
    cli.main(['verify', str(work)])
    assert capsys.readouterr().out.endswith('6 images, complete; the manifest itself has no checksum\n')


@pytest.mark.parametrize('change, line', [
    (lambda manifest: manifest['images'][0].update(classes=[1]), 'its mask shows class 0, the manifest says [1]'),
    (lambda manifest: manifest['layout'].update(image_suffix='.jpg'), 'the layout says images/'),
    (lambda manifest: manifest['layout'].update(ann_file='train.txt'), 'train.txt cannot be read')])
def test_manifests_that_do_not_fit_the_files(work, change, line):
    rewritten(work, change)
    assert any(line in problem for problem in verify_set(work / 'distilled'))
