"""The list of slow tests in conftest.py."""
import subprocess
import sys


def test_slow_files_are_there_and_fast_runs_none_of_them(root):
    code = ("import importlib.util as u; spec = u.spec_from_file_location('conftest', 'tests/conftest.py'); "
            "module = u.module_from_spec(spec); spec.loader.exec_module(module); print(*module.SLOW)")
    slow = subprocess.run([sys.executable, '-c', code], cwd=root, check=True, capture_output=True, text=True).stdout
    assert len(slow.split()) > 20
    assert [name for name in slow.split() if not (root / 'tests' / name).exists()] == []


def test_every_test_has_one_of_the_marks(request):
    items = request.session.items
    assert items and all(len({mark.name for mark in item.iter_markers()} & {'fast', 'slow'}) == 1 for item in items)
    assert request.node.get_closest_marker('fast')
