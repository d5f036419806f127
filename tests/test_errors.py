"""Texts of errors."""
import pytest

from mmdistill.errors import DistillError, one_line
from mmdistill.weights.address import resolve


def test_one_line():
    assert one_line(RuntimeError(' two\n\tlines\x1b[2J ')) == 'two lines [2J'
    assert one_line(RuntimeError('two\nlines'), named=True) == 'RuntimeError: two lines'
    assert one_line(AssertionError()) == one_line(AssertionError(), named=True) == 'AssertionError'
    assert one_line('a\nb') == 'a b' and one_line('') == ''
    assert one_line(OSError('x' * 999)) == 'x' * 200 and one_line(OSError('x' * 999), None) == 'x' * 999


def test_an_answer_of_the_hub_that_begins_with_an_empty_line(monkeypatch):
    def refuse(*_, **options):
        raise ValueError('\n\n401: no access\nask its owner')

    monkeypatch.setattr('huggingface_hub.HfApi.repo_info', refuse)
    with pytest.raises(DistillError, match='the hub answered: 401: no access ask its owner$'):
        resolve('someone/model')
