"""The examples in the docstrings of the core run and print what they say."""
import doctest
import importlib
import pkgutil

import pytest

PACKAGES = ('choice', 'cleaning', 'generation', 'guidance', 'metrics', 'selection', 'weights')
MODULES = ('masks', 'plan')


def examples_of(name):
    """The docstrings with examples of a module, or of all modules of a package."""
    module = importlib.import_module(f'mmdistill.{name}')
    inner = [f'{name}.{one.name}' for one in pkgutil.iter_modules(getattr(module, '__path__', ()))]
    found = doctest.DocTestFinder(exclude_empty=True).find(module, module.__name__)
    return [test for test in found if test.examples] + [test for one in inner for test in examples_of(one)]


@pytest.mark.parametrize('name', [*PACKAGES, *MODULES])
def test_examples(name, capsys):
    examples = examples_of(name)
    assert examples, f'mmdistill.{name} has no example'
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    for test in examples:
        runner.run(test)
    assert runner.failures == 0, capsys.readouterr().out
    assert runner.tries > 0
