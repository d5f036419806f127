"""Arrays with a checksum, and files that several processes and work dirs share."""
import numpy as np
import pytest

from mmdistill.cache import Part, in_parts, read_arrays, recall, rows_of, shared_entry, write_arrays
from mmdistill.errors import DistillError


def test_arrays_come_back_and_damage_is_seen(tmp_path):
    path = tmp_path / 'deep' / 'a.safetensors'
    arrays = dict(a=np.arange(6, dtype=np.int64).reshape(2, 3).T, b=np.zeros((0, 4), np.float32), c=np.ones((), 'f8'))
    write_arrays(path, arrays, dict(n=[1, None]))
    found, header = read_arrays(path)
    assert header == dict(n=[1, None]) and found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)
    whole = path.read_bytes()
    assert [item.name for item in path.parent.iterdir()] == ['a.safetensors']
    for place in (-1, -50, len(whole) // 2):  # one bit of an array
        damaged = bytearray(whole)
        damaged[place] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(ValueError):
            read_arrays(path)
    for length in (0, 7, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError):
            read_arrays(path)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        read_arrays(path)


def bfloat16(rows):
    return (rows.view(np.uint32) & 0xffff0000).view(np.float32)


@pytest.fixture
def store(tmp_path):
    """Ten rows of numbers; ``store(prepare)`` reads them in parts of four, two at a time."""
    numbers = np.random.default_rng(0).normal(size=(10, 3, 2)).astype(np.float32)
    numbers[:4] = bfloat16(numbers[:4])
    computed = []

    def compute(batch):
        computed.append(list(batch))
        return numbers[batch]

    def prepare(batches):
        return ((lambda batch=batch: compute(batch)) for batch in batches)

    def rows(keep=True, fail=99):
        parts = in_parts(range(10), 2, 5, lambda start: tmp_path / f'{start}.safetensors' if keep else None)
        assert [list(batch) for part in parts for batch in part.batches] == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]
        found = []
        for _, some in rows_of(parts, prepare):
            if len(found) == fail:
                raise KeyboardInterrupt
            found.append(some)
        assert np.concatenate(found).tobytes() == numbers.tobytes()
        done = list(computed)
        computed.clear()
        return done

    rows.folder = tmp_path
    return rows


ALL = [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]


def test_parts_are_computed_once(store):
    assert store(keep=False) == ALL and store(keep=False) == ALL and not list(store.folder.iterdir())
    assert store() == ALL and store() == []
    sizes = {path.stem: path.stat().st_size for path in store.folder.iterdir()}
    assert sizes.keys() == {'0', '4', '8'} and sizes['4'] - sizes['0'] == 4 * 6 * 2  # two bytes of a number, or four


@pytest.mark.parametrize('damage', [lambda data: b'', lambda data: data[:-1], lambda data: data[:-1] + b'!'])
def test_a_damaged_part_alone_is_computed_again(store, damage):
    store()
    path = store.folder / '4.safetensors'
    path.write_bytes(damage(path.read_bytes()))
    assert store() == [[4, 5], [6, 7]] and store() == []


def test_an_interruption_loses_one_part(store):
    with pytest.raises(KeyboardInterrupt):
        store(fail=3)
    assert store()[-3:] == [[4, 5], [6, 7], [8, 9]] and store() == []


def test_files_written_by_another_process_are_read(tmp_path):
    theirs, files = np.full((2, 3), 7, np.float32), [tmp_path / f'{n}.safetensors' for n in range(3)]
    parts, computed = [Part([[n], [n]], file) for n, file in enumerate(files)], []

    def prepare(batches):
        for (n, ) in batches:
            yield lambda n=n: computed.append(n) or np.full((1, 3), n, np.float32)

    found = []
    for _, rows in rows_of(parts, prepare):
        found.append(rows[:, 0].tolist())
        if len(found) == 1:  # they do the second part while this process is at the first
            write_arrays(files[1], dict(float32=theirs))
    assert found == [[0], [0], [7, 7], [2], [2]] and computed == [0, 0, 2, 2]


def test_the_folder(tmp_path, monkeypatch):
    monkeypatch.delenv('MMDISTILL_CACHE', raising=False)
    assert shared_entry('latents', 'a') is None
    monkeypatch.setenv('MMDISTILL_CACHE', '')
    assert shared_entry('latents', 'a') is None
    monkeypatch.setenv('MMDISTILL_CACHE', str(tmp_path / 'new'))
    assert shared_entry('latents', 'a', 'b') == tmp_path / 'new/latents/a/b'
    monkeypatch.setenv('HOME', str(tmp_path))
    monkeypatch.setenv('MMDISTILL_CACHE', '~/own')
    assert shared_entry('x') == tmp_path / 'own/x'
    (tmp_path / 'file').write_text('')
    monkeypatch.setenv('MMDISTILL_CACHE', str(tmp_path / 'file'))
    with pytest.raises(DistillError, match='^MMDISTILL_CACHE=.*cannot write there .*: name another folder, or unset'):
        shared_entry('x')


@pytest.mark.parametrize('linked', [True, False])
def test_an_entry_becomes_a_file_of_the_work_dir(tmp_path, monkeypatch, linked):
    def refuse(*_):
        raise OSError('another disk')

    if not linked:
        monkeypatch.setattr('os.link', refuse)
    path, entry, notes = tmp_path / 'work/a.safetensors', tmp_path / 'cache/0123', []

    def read(file):
        return file.read_text() if file.exists() else None

    assert recall(path, entry, read, notes.append) is recall(path, None, read, notes.append) is None
    entry.parent.mkdir()
    entry.write_text('there')
    assert recall(path, None, read, notes.append) is None and not notes
    assert recall(path, entry, read, notes.append) == path.read_text() == 'there' and len(notes) == 1
    assert path.samefile(entry) is linked and [item.name for item in path.parent.iterdir()] == ['a.safetensors']
    entry.unlink()
    assert recall(path, entry, read, notes.append) == 'there' and len(notes) == 1
