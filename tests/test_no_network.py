"""The tools do not use the network: a guard refuses and records every connection to other machines."""
import os
import subprocess
import sys

import pytest

GUARD = '''
import os, socket
def guarded(name):
    original = getattr(socket.socket, name)
    def connect(self, address):
        if self.family != socket.AF_UNIX and address[0] not in ('127.0.0.1', '::1', 'localhost'):
            with open(os.environ['ATTEMPTS'], 'a') as file:
                file.write(f'{address}\\n')
            raise OSError(101, 'Network is unreachable')
        return original(self, address)
    setattr(socket.socket, name, connect)
guarded('connect')
guarded('connect_ex')
resolve = socket.getaddrinfo
def getaddrinfo(host, *arguments, **settings):
    if host not in (None, '', '127.0.0.1', '::1', 'localhost', socket.gethostname()):
        with open(os.environ['ATTEMPTS'], 'a') as file:
            file.write(f'{host}\\n')
        raise socket.gaierror(-3, 'Temporary failure in name resolution')
    return resolve(host, *arguments, **settings)
socket.getaddrinfo = getaddrinfo
'''


@pytest.fixture
def guarded(root, tmp_path):
    """``guarded(*arguments)`` runs mmdistill with the guard; returns its result and the recorded connections."""
    (tmp_path / 'guard').mkdir()
    (tmp_path / 'guard/sitecustomize.py').write_text(GUARD)
    attempts = tmp_path / 'attempts'
    env = {**os.environ, 'PYTHONPATH': f'{tmp_path / "guard"}:{root}', 'ATTEMPTS': str(attempts),
           'OMP_NUM_THREADS': '1', 'HF_HOME': str(tmp_path / 'hub')}
    del env['HF_HUB_OFFLINE']  # a tool is not told that it has no network

    def run(*arguments):
        attempts.unlink(missing_ok=True)
        done = subprocess.run([sys.executable, '-m', 'mmdistill', *map(str, arguments)], cwd=tmp_path, env=env,
                              text=True, capture_output=True)
        return done, attempts.read_text() if attempts.exists() else ''

    return run


def test_distill_verify_and_report(guarded, root, tmp_path):
    short = ['model.generator.num_steps=2', 'custom_hooks.0.ipc=1']
    for arguments in (
            ('distill', root / 'configs/quickstart/unguided_objects-64px.py', '--work-dir', tmp_path / 'objects',
             '--cfg-options', *short),
            ('distill', root / 'configs/quickstart/d3s2_streets-64x64.py', '--work-dir', tmp_path / 'streets',
             '--cfg-options', 'model.generator.num_steps=4', 'test_dataloader.dataset.num_scenes=12',
             'custom_hooks.0.selector.budget=2'),
            ('verify', tmp_path / 'objects', tmp_path / 'streets'),
            ('report', tmp_path / 'objects', tmp_path / 'streets', '--out', tmp_path / 'report.html')):
        done, attempts = guarded(*arguments)
        assert done.returncode == 0, done.stderr[-2000:]
        assert attempts == ''


def test_the_guard_notices_the_hub(guarded, root, tmp_path):
    config = root / 'configs/quickstart/unguided_objects-64px.py'
    done, attempts = guarded('distill', config, '--work-dir', tmp_path / 'w', '--cfg-options',
                             'model.generator.weights=nobody/nothing')
    assert done.returncode == 1 and 'Traceback' not in done.stderr and 'huggingface.co' in attempts, done.stderr[-2000:]
