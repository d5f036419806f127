"""What every test shares: no network, no display, and python in a process of its own."""
import os
import subprocess
import sys
from pathlib import Path

import pytest

# Before anything imports huggingface_hub or matplotlib: a test that would download has to fail.
os.environ['HF_HUB_OFFLINE'] = '1'
os.environ['MPLBACKEND'] = 'Agg'


@pytest.fixture(scope='session')
def root() -> Path:
    """The repository's root."""
    return Path(__file__).resolve().parents[1]


@pytest.fixture(scope='session')
def python(tmp_path_factory):
    """``python(code, **env)`` runs code in a fresh interpreter outside the repository and returns its stdout."""
    folder = tmp_path_factory.mktemp('python')

    def run(code: str, **env: str) -> str:
        done = subprocess.run([sys.executable, '-c', code], cwd=folder, env={**os.environ, **env}, text=True,
                              capture_output=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
