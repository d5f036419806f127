"""An altered file of a finished run: it is written again or reported in one line, never accepted."""
import json
import random
from pathlib import Path

from tests.faults.conftest import said


def cut(path: Path, rng: random.Random) -> None:
    path.write_bytes(path.read_bytes()[:rng.randrange(path.stat().st_size)] if path.stat().st_size else b'x')


def flip(path: Path, rng: random.Random) -> None:
    data = bytearray(path.read_bytes() or b'x')
    for _ in range(rng.choice([1, 50])):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


def zeros(path: Path, rng: random.Random) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def longer(path: Path, rng: random.Random) -> None:
    path.write_bytes(path.read_bytes() + rng.randbytes(100))


def remove(path: Path, rng: random.Random) -> None:
    path.unlink()


def folder(path: Path, rng: random.Random) -> None:
    path.unlink()
    path.mkdir()


def dangling(path: Path, rng: random.Random) -> None:
    path.unlink()
    path.symlink_to('nowhere')


def other(path: Path, rng: random.Random) -> None:
    """The file of another name."""
    path.write_bytes(rng.choice([one for one in path.parent.iterdir() if one.is_file()]).read_bytes())


def value(path: Path, rng: random.Random) -> None:
    """Change one value of a JSON document."""
    try:
        document = json.loads(path.read_text())
    except ValueError:
        return flip(path, rng)
    holder, key = document, None
    while isinstance(holder, (dict, list)) and holder:
        parent, key = holder, rng.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
        holder = parent[key]
        if rng.random() < 0.3:
            break
    if key is None:
        document = []
    else:
        parent[key] = rng.choice([None, -1, 1e300, 'x', [], {}, True, '../../x'])
    path.write_text(json.dumps(document))


ALTERATIONS = [cut, flip, zeros, longer, remove, folder, dangling, other, value, value]


def test_altered(tools, finished):
    job, work, rng = finished.job, finished.work, finished.rng
    files = sorted(path for path in work.rglob('*') if path.is_file() and not path.is_symlink()
                   and path.suffix not in ('.log', '.py'))
    kinds = sorted({(path.parent, path.suffix) for path in files})  # each kind as often, however many there are
    kind = rng.choice(kinds)
    path = rng.choice([path for path in files if (path.parent, path.suffix) == kind])
    rng.choice(ALTERATIONS)(path, rng)
    what = path.relative_to(work)
    if job.tool == 'distill':
        done = tools('verify', work)
        assert 'Traceback' not in done.stderr, (what, done.stderr)
        assert done.returncode or job.product(work) == job.whole, f'{what}: altered, and whole for verify'
    done = tools(job.tool, *job.command(work), *job.again)
    if done.returncode:
        said(done)
    else:
        assert job.product(work) == job.whole, what
    if job.tool in ('distill', 'evaluate'):
        done = tools('report', work)
        if done.returncode:
            said(done)
