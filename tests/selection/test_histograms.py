import multiprocessing
import os
import signal

import numpy as np
import pytest
from PIL import Image

from mmdistill.errors import DistillError
from mmdistill.selection import class_histograms, read_mask
from mmdistill.files import files_fingerprint


def load(path):
    return read_mask(path.read_bytes(), str(path), num_classes=4)


def load_or_die(item):
    if item == 40:
        os.kill(os.getpid(), signal.SIGKILL)
    return np.zeros((2, 2), np.uint8)


def never(item):
    raise AssertionError('read though cached')


@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(0)
    paths = []
    for i in range(90):
        path = tmp_path / f'{i:03d}.png'
        Image.fromarray(rng.choice(np.array([0, 1, 2, 3, 255], np.uint8), (6, 5))).save(path)
        paths.append(path)
    return paths


def expected(paths):
    return [[int((np.asarray(Image.open(p)) == c).sum()) for c in range(4)] for p in paths]


@pytest.mark.parametrize('workers', [0, 1, 2, None])
def test_counts_in_order(files, workers):
    counts = class_histograms(files, load, 4, workers=workers)
    assert counts.dtype == np.int64
    assert counts.tolist() == expected(files)


@pytest.mark.parametrize('workers', [0, 2])
def test_progress_sees_every_item(files, workers):
    seen = []

    def progress(iterable, total):
        assert total == len(files)
        for value in iterable:
            seen.append(value)
            yield value

    class_histograms(files, load, 4, workers=workers, progress=progress)
    assert len(seen) == len(files)


@pytest.mark.parametrize('workers', [0, 2])
def test_a_bad_mask_is_named(files, workers, tmp_path):
    Image.fromarray(np.full((3, 3), 9, np.uint8)).save(files[50])
    cache = tmp_path / 'cache.npz'
    with pytest.raises(DistillError, match='050.png: id 9'):
        class_histograms(files, load, 4, workers=workers, cache=cache, fingerprint='x')
    assert not cache.exists()


def test_a_loader_that_returns_no_mask_is_named():
    with pytest.raises(DistillError, match='mask 0'):
        class_histograms([0], lambda item: np.zeros((2, 2)), 4)


def test_a_process_that_dies_is_an_error_and_no_hang():
    with pytest.raises(DistillError, match='workers'):
        class_histograms(range(100), load_or_die, 4, workers=2)


def test_cache_is_used_while_the_files_are_unchanged(files, tmp_path):
    cache = tmp_path / 'work' / 'cache.npz'
    first = class_histograms(files, load, 4, cache=cache, fingerprint=files_fingerprint(files))
    again = class_histograms(files, never, 4, cache=cache, fingerprint=files_fingerprint(files))
    np.testing.assert_array_equal(first, again)
    assert [p.name for p in cache.parent.iterdir()] == ['cache.npz']


@pytest.mark.parametrize('change', ['content', 'touched', 'removed', 'reading', 'classes'])
def test_the_cache_is_replaced_when_something_changes(files, tmp_path, change):
    cache = tmp_path / 'cache.npz'
    class_histograms(files, load, 4, cache=cache, fingerprint=files_fingerprint(files, 'a'))
    extra, classes = 'a', 4
    if change == 'content':
        Image.fromarray(np.full((30, 5), 2, np.uint8)).save(files[3])
    elif change == 'touched':
        status = files[3].stat()
        os.utime(files[3], ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    elif change == 'removed':
        files = files[:-1]
    elif change == 'reading':
        extra = 'b'
    else:
        classes = 5
    read = []

    def counting(path):
        read.append(path)
        return load(path)

    counts = class_histograms(files, counting, classes, workers=0, cache=cache,
                              fingerprint=files_fingerprint(files, extra))
    assert read == files
    assert counts[:, :4].tolist() == expected(files)
    class_histograms(files, never, classes, cache=cache, fingerprint=files_fingerprint(files, extra))


@pytest.mark.parametrize('damage', [
    lambda data: b'', lambda data: b'nonsense', lambda data: data[:len(data) // 2],
    lambda data: data[:60] + bytes([data[60] ^ 255, data[61] ^ 255]) + data[62:]])
def test_a_damaged_cache_is_replaced(files, tmp_path, damage):
    cache = tmp_path / 'cache.npz'
    class_histograms(files, load, 4, cache=cache, fingerprint='x')
    good = cache.read_bytes()
    cache.write_bytes(damage(good))
    assert class_histograms(files, load, 4, cache=cache, fingerprint='x').tolist() == expected(files)
    assert class_histograms(files, never, 4, cache=cache, fingerprint='x').tolist() == expected(files)


def test_cache_needs_a_fingerprint(tmp_path):
    with pytest.raises(ValueError, match='fingerprint'):
        class_histograms([], load, 4, cache=tmp_path / 'c.npz')


def test_fingerprint_names_a_missing_file(tmp_path):
    with pytest.raises(DistillError, match='gone.png'):
        files_fingerprint([tmp_path / 'gone.png'])


def test_fingerprint_depends_on_order(files):
    assert files_fingerprint(files) != files_fingerprint(files[::-1])


def counted_in_a_daemon(path, files):
    np.save(path, class_histograms(files, load, 4, workers=2))


def test_a_daemonic_process_starts_no_processes(files, tmp_path):
    process = multiprocessing.get_context('fork').Process(
        target=counted_in_a_daemon, args=(tmp_path / 'counts.npy', files), daemon=True)
    process.start()
    process.join(60)
    assert process.exitcode == 0 and np.load(tmp_path / 'counts.npy').tolist() == expected(files)
