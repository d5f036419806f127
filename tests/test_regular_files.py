"""Pipes, devices and links out of a set: they are not read, and reported in one line."""
import json
import os

import pytest

from mmdistill import cli
from mmdistill.datasets.checksums import Journal
from mmdistill.datasets.manifest import read_manifest
from mmdistill.datasets.verify import verify_set
from mmdistill.documents import read_document, read_file
from mmdistill.errors import DistillError
from mmdistill.evaluation.results import ResultCache, read_results
from mmdistill.files import file_digest
from tests.datasets.test_publishing import make  # noqa: F401

pytestmark = pytest.mark.skipif(not hasattr(os, 'mkfifo'), reason='no pipes here')


@pytest.fixture(params=['pipe', 'device'])
def endless(request):
    """``endless(path)`` makes the path a pipe that nobody writes to, or a link to a device without end."""
    def make_one(path):
        path.unlink(missing_ok=True)
        os.mkfifo(path) if request.param == 'pipe' else path.symlink_to('/dev/zero')

    return make_one


def test_readers(endless, tmp_path):
    path = tmp_path / 'file'
    endless(path)
    with pytest.raises(OSError, match='not a regular file'):
        read_file(path)
    with pytest.raises(OSError, match='not a regular file'):
        file_digest(path)
    with pytest.raises(ValueError, match='not a regular file'):
        read_document(path)
    endless(tmp_path / 'results.json')
    with pytest.raises(DistillError, match='results.json is not a readable result .*not a regular file'):
        read_results(tmp_path)
    cache = ResultCache(tmp_path)
    endless(cache.path({}))
    assert cache.get({}) is None
    endless(tmp_path / 'checksums.0.jsonl')
    Journal(tmp_path, tmp_path, None).read()


def test_a_manifest_and_an_image(endless, make, tmp_path, capsys):  # noqa: F811
    root = make(['a', 'b'])
    image = next(root.rglob('*.JPEG'))
    endless(image)
    with pytest.raises(SystemExit):
        cli.main(['verify', str(root)])
    assert image.name in capsys.readouterr().out
    with pytest.raises(SystemExit) as end:
        cli.main(['report', str(root), '--out', str(tmp_path / 'page.html')])
    assert str(end.value).startswith('error: ') and not (tmp_path / 'page.html').exists()
    endless(root / 'meta/distilled.json')
    with pytest.raises(DistillError, match='distilled.json'):
        read_manifest(root)


def test_other_files_in_the_folders_of_a_set_are_listed(make):  # noqa: F811
    root = make(['a', 'b'])
    os.mkfifo(root / 'train/c0/pipe.JPEG')
    (root / 'train/c1/link.JPEG').symlink_to('nowhere')
    assert [line.split()[0] for line in verify_set(root)] == ['train/c0/pipe.JPEG', 'train/c1/link.JPEG']


def test_a_manifest_behind_a_link_that_leaves_the_set(make, tmp_path):  # noqa: F811
    root = make(['a', 'b'])
    (root / 'meta/distilled.json').rename(tmp_path / 'outside.json')
    (root / 'meta/distilled.json').symlink_to(tmp_path / 'outside.json')
    assert json.loads((root / 'meta/distilled.json').read_text())
    with pytest.raises(DistillError, match='is outside'):
        read_manifest(root)
