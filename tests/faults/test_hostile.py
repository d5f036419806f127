"""Hostile files run no code and write nothing outside their folder; they are reported in one line or replaced."""
import io
import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import torch

from tests.faults.conftest import said

SCRIPT = '<script>alert(1)</script><img src=x onerror=alert(1)>'


class Payload:
    """Unpickling it writes a file that must not exist."""

    def __init__(self, canary: Path) -> None:
        self.canary = str(canary)

    def __reduce__(self):
        return open, (self.canary, 'w')


def archive(canary: Path) -> bytes:
    stream = io.BytesIO()
    torch.save(dict(state_dict=Payload(canary)), stream)
    return stream.getvalue()


def objects(canary: Path) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, counts=np.array([Payload(canary)], dtype=object))
    return stream.getvalue()


def bomb(canary: Path) -> bytes:
    """A gigabyte of zeros in a megabyte."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, 'w', zipfile.ZIP_DEFLATED) as file:
        file.writestr('counts.npy', bytes(200 << 20))
    return stream.getvalue()


def header(canary: Path) -> bytes:
    """safetensors whose header declares more bytes than the file has."""
    text = json.dumps(dict(a=dict(dtype='F32', shape=[1 << 40], data_offsets=[0, 1 << 42]))).encode()
    return len(text).to_bytes(8, 'little') + text


def document(change):
    """The JSON document with all strings replaced."""
    def make(canary, text):
        def visit(one):
            if isinstance(one, dict):
                return {key: visit(value) for key, value in one.items()}
            if isinstance(one, list):
                return [visit(value) for value in one]
            return change(canary) if isinstance(one, str) else one
        try:
            return json.dumps(visit(json.loads(text))).encode()
        except ValueError:
            return json.dumps(change(canary)).encode()

    return make


BYTES = [archive, objects, bomb, header, lambda canary: pickle.dumps(Payload(canary)),
         lambda canary: b'[' * 100000, lambda canary: b'{"a":' * 100000, lambda canary: b'\xff\xfe' * 50,
         lambda canary: b'9' * 100000, lambda canary: b'1e999', lambda canary: b'NaN', lambda canary: b'{}',
         lambda canary: f'!!python/object/apply:builtins.open ["{canary}", "w"]'.encode()]
TEXTS = [lambda canary: str(canary), lambda canary: '../../' + canary.name, lambda canary: SCRIPT,
         lambda canary: '\x1b[2J\x00\n', lambda canary: 'x' * 100000, lambda canary: f'{{{{ {canary} }}}}',
         lambda canary: 'http://127.0.0.1:9/x', lambda canary: '']


def test_hostile_files_are_rejected(tools, finished, tmp_path):
    job, work, rng = finished.job, finished.work, finished.rng
    canary = tmp_path / 'canary'
    files = sorted(path for path in work.rglob('*') if path.is_file() and path.suffix not in ('.log', '.py'))
    kinds = sorted({(path.parent, path.suffix) for path in files})
    kind = rng.choice(kinds)
    path = rng.choice([path for path in files if (path.parent, path.suffix) == kind])
    if path.suffix in ('.json', '.jsonl') and rng.random() < 0.6:
        content = document(rng.choice(TEXTS))(canary, path.read_text())
    else:
        content = rng.choice(BYTES)(canary)
    path.write_bytes(content)
    if rng.random() < 0.2:  # through a link that leaves the folder
        outside = tmp_path / 'outside'
        path.rename(outside)
        path.symlink_to(outside)
    before = {one: one.stat().st_mtime_ns for one in tmp_path.glob('*') if one != work}
    what = path.relative_to(work)
    commands = [(job.tool, *job.command(work), *job.again)]
    if job.tool == 'distill':
        commands.insert(0, ('verify', work))
    if job.tool in ('distill', 'evaluate'):
        commands.append(('report', work))
    for command in commands:
        done = tools(*command)
        if done.returncode:
            assert len(said(done)) < 4000
    assert not canary.exists() and not list(work.rglob(canary.name)), what
    assert {one: one.stat().st_mtime_ns for one in tmp_path.glob('*') if one != work} == before
    for page in work.glob('report*.html'):
        assert '<script>alert' not in page.read_text() and 'src=x' not in page.read_text()
