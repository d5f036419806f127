"""Processes that inherit the memory of their parent, and those that cannot."""
import os
import sys

import pytest
import torch

from mmdistill import parallel


@pytest.mark.parametrize('gpu', [False, True])
def test_processes_are_forked_where_that_works(monkeypatch, gpu):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: gpu)
    method = 'spawn' if gpu or sys.platform != 'linux' else 'fork'
    assert parallel.inheriting_context().get_start_method() == method
    assert parallel.run_apart(os._exit, 3) == 3
