import multiprocessing
import os
import signal
import time

import numpy as np
import pytest
from PIL import Image

from mmdistill.errors import DistillError
from mmdistill.files import files_fingerprint
from mmdistill.selection import class_histograms, read_mask
from mmdistill.selection.histograms import count_masks, load_histograms, save_histograms


def load(path):
    return read_mask(path.read_bytes(), str(path), num_classes=4)


def load_or_die(item):
    if item == 40:
        os.kill(os.getpid(), signal.SIGKILL)
    return np.zeros((2, 2), np.uint8)


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
def test_a_bad_mask_is_named(files, workers):
    Image.fromarray(np.full((3, 3), 9, np.uint8)).save(files[50])
    with pytest.raises(DistillError, match='050.png: id 9'):
        class_histograms(files, load, 4, workers=workers)


def test_a_loader_that_returns_no_mask_is_named():
    with pytest.raises(DistillError, match='mask 0'):
        class_histograms([0], lambda item: np.zeros((2, 2)), 4)


def test_a_process_that_dies_is_an_error_and_no_hang():
    with pytest.raises(DistillError, match='workers'):
        class_histograms(range(100), load_or_die, 4, workers=2)


def test_saved_histograms_belong_to_a_fingerprint_and_a_shape(tmp_path):
    path, counts = tmp_path / 'work' / 'counts.npz', np.arange(12, dtype=np.int64).reshape(3, 4)
    save_histograms(path, counts, 'x')
    np.testing.assert_array_equal(load_histograms(path, 'x', (3, 4)), counts)
    assert [p.name for p in path.parent.iterdir()] == ['counts.npz']
    assert load_histograms(path, 'y', (3, 4)) is load_histograms(path, 'x', (3, 5)) is None
    assert load_histograms(tmp_path / 'none.npz', 'x', (3, 4)) is None


@pytest.mark.parametrize('damage', [
    lambda data: b'', lambda data: b'nonsense', lambda data: data[:len(data) // 2],
    lambda data: data[:60] + bytes([data[60] ^ 255, data[61] ^ 255]) + data[62:]])
def test_damaged_histograms_count_as_none(tmp_path, damage):
    path = tmp_path / 'counts.npz'
    save_histograms(path, np.ones((90, 4), np.int64), 'x')
    path.write_bytes(damage(path.read_bytes()))
    assert load_histograms(path, 'x', (90, 4)) is None


@pytest.fixture
def bystander():
    """A process that has nothing to do with the pools, such as a worker of a DataLoader."""
    process = multiprocessing.get_context('fork').Process(target=time.sleep, args=(60, ))
    process.start()
    yield process
    process.kill()
    process.join()


@pytest.mark.parametrize('end', ['complete', 'closed', 'bad mask', 'death', 'stopped'])
def test_only_the_processes_of_the_pool_end(files, bystander, end):
    if end == 'complete':
        class_histograms(files, load, 4, workers=2)
    elif end == 'closed':
        rows = count_masks(files, load, 4, workers=2)
        next(rows)
        assert len(multiprocessing.active_children()) > 1
        rows.close()
    elif end == 'death':
        with pytest.raises(DistillError, match='workers'):
            class_histograms(range(100), load_or_die, 4, workers=2)
    else:
        def stop(rows, total):
            yield next(iter(rows))
            rows.throw(KeyboardInterrupt)

        if end == 'bad mask':
            Image.fromarray(np.full((3, 3), 9, np.uint8)).save(files[50])
        with pytest.raises(DistillError if end == 'bad mask' else KeyboardInterrupt):
            class_histograms(files, load, 4, workers=2, progress=stop if end == 'stopped' else None)
    time.sleep(0.2)
    assert multiprocessing.active_children() == [bystander] and bystander.is_alive()


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
