"""Processes that inherit the memory of their parent, and those that cannot."""
import gc
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


def test_a_pool_shares_objects_without_copying_them():
    with parallel.process_pool(1, parallel.inheriting_context(), abs, (1, )) as pool:
        assert pool.submit(gc.get_freeze_count).result() > 10000
        parallel.release_memory()
    assert gc.get_freeze_count() == 0
