"""Texts of errors."""
import errno

import pytest
import requests
import torch

from mmdistill.errors import DistillError, disk_failed, is_fault_of_machine, one_line, out_of_memory
from mmdistill.weights.address import resolve


def test_one_line():
    assert one_line(RuntimeError(' two\n\tlines\x1b[2J ')) == 'two lines [2J'
    assert one_line(RuntimeError('two\nlines'), named=True) == 'RuntimeError: two lines'
    assert one_line(AssertionError()) == one_line(AssertionError(), named=True) == 'AssertionError'
    assert one_line('a\nb') == 'a b' and one_line('') == ''
    assert one_line(OSError('x' * 999)) == 'x' * 200 and one_line(OSError('x' * 999), None) == 'x' * 999


def test_faults_of_the_machine():
    with pytest.raises(RuntimeError) as raised:
        torch.empty(1 << 55, dtype=torch.uint8)
    for error in (raised.value, MemoryError(), torch.OutOfMemoryError('CUDA out of memory'), OSError(errno.ENOMEM, '')):
        assert out_of_memory(error) and is_fault_of_machine(error) and not disk_failed(error)
    for error in (OSError(errno.ENOSPC, ''), OSError(errno.EIO, '')):
        assert disk_failed(error) and is_fault_of_machine(error) and not out_of_memory(error)
    for error in (IsADirectoryError(errno.EISDIR, ''), OSError('no errno'), RuntimeError('shapes'), ValueError()):
        assert not is_fault_of_machine(error)


def test_an_answer_of_the_hub_that_begins_with_an_empty_line(monkeypatch):
    def refuse(*_, **options):
        raise ValueError('\n\n401: no access\nask its owner')

    monkeypatch.setattr('huggingface_hub.HfApi.repo_info', refuse)
    with pytest.raises(DistillError, match='the hub answered: 401: no access ask its owner$'):
        resolve('someone/model')


def test_a_hub_that_cannot_be_reached(monkeypatch, tmp_path):
    text = "(MaxRetryError('HTTPSConnectionPool(host=...): Max retries exceeded ...'))"

    def fail(*_, **options):
        raise requests.exceptions.ConnectionError(text)

    monkeypatch.setattr('huggingface_hub.HfApi.repo_info', fail)
    monkeypatch.setattr('huggingface_hub.constants.HF_HUB_CACHE', str(tmp_path))
    with pytest.raises(DistillError, match=r'^no weights at someone/model: there is no such folder, and the hub cannot '
                                           r'be reached \(ConnectionError\), nor is it in the local cache: connect to '
                                           'the network, or give the path of a local folder instead$'):
        resolve('someone/model')
