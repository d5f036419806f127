"""The installed package: wheel content, metadata, imports, configs, no absolute paths; and its complexity."""
import json
import os
import re
import runpy
import shutil
import stat
import subprocess
import sys
import zipfile
from email import message_from_string
from pathlib import Path

import pytest
from mmengine.config import Config
from packaging.requirements import Requirement
from radon.complexity import cc_visit
from radon.visitors import Class

import mmdistill
import mmdistill.registry  # noqa: F401  makes 'mmdistill::' and 'mmseg::' usable in _base_

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = sorted(str(path.relative_to(ROOT)) for path in (ROOT / 'configs').rglob('*.py'))

SCENES, PICTURES = 'mmdistill::quickstart/d3s2_streets-64x64.py', 'mmdistill::quickstart/d4m_objects-64px.py'
# Options that make their runs small.
SMALL = {SCENES: ['test_dataloader.dataset.num_scenes=20', 'custom_hooks.MaskSelectionHook.selector.budget=2'],
         PICTURES: ['test_dataloader.dataset.num_images=20', 'custom_hooks.PrototypeHook.ipc=1']}
STACK = ('mmengine', 'mmcv', 'mmseg', 'mmpretrain', 'mmdet')
# The modules and packages that may import them.
ADAPTERS = ('components', 'config', 'config_variables', 'datasets', 'differences', 'engine', 'evaluation', 'labels',
            'models', 'options', 'registry', 'starters', 'tasks', 'toy')


def blocker(*packages: str) -> str:
    """Code that makes the import of packages fail as it does where they are not installed."""
    return f"""
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in {packages!r}:
            raise ModuleNotFoundError(f'No module named {{name!r}}', name=name)
sys.meta_path.insert(0, Blocker())
"""


def repository_files() -> list:
    """Files that git tracks or would track, as in a clone of the working tree."""
    done = subprocess.run(['git', '-c', 'safe.directory=*', 'ls-files', '-co', '--exclude-standard', '-z'], cwd=ROOT,
                          check=True, capture_output=True, text=True)
    return sorted(name for name in set(done.stdout.split('\0')) if name and (ROOT / name).exists())


@pytest.fixture(scope='module')
def wheel(tmp_path_factory) -> Path:
    """A wheel built from a copy, so that it contains no build folder of the working tree."""
    source = tmp_path_factory.mktemp('source')
    for name in repository_files():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, source / name, follow_symlinks=False)
    target = tmp_path_factory.mktemp('wheel')
    subprocess.run([sys.executable, '-m', 'pip', 'wheel', '-q', '--no-deps', '--no-build-isolation', '-w', target,
                    source], check=True, capture_output=True)
    return next(target.glob('mmdistill-*.whl'))


def test_wheel_holds_every_file_of_the_package_as_a_real_file(wheel):
    with zipfile.ZipFile(wheel) as archive:
        entries = {info.filename: info for info in archive.infolist()}
    wanted = [name for name in repository_files() if not (ROOT / name).is_symlink()]
    expected = {name for name in wanted if re.match(r'mmdistill/.*\.(py|json|safetensors|html|css|typed)$', name)}
    expected |= {f'mmdistill/.mim/{name}' for name in wanted if re.match(r'(configs|tools)/.*\.(py|sh|yml|md)$', name)}
    expected |= {'mmdistill/.mim/model-index.yml'}
    assert expected <= set(entries)
    assert any(name.startswith('mmdistill/.mim/configs/') for name in expected)
    assert any(name.startswith('mmdistill/.mim/tools/') for name in expected)
    # Nothing else: no tests, caches or work dirs.
    assert {name for name in entries if '.dist-info/' not in name} == expected
    assert not [name for name, info in entries.items() if stat.S_ISLNK(info.external_attr >> 16)]
    assert any(name.endswith('licenses/LICENSE') for name in entries)
    assert wheel.stat().st_size < 20e6
    assert {'mmdistill/toy/weights/streets/segmentor/model.safetensors', 'mmdistill/cli.py', 'mmdistill/__main__.py',
            'mmdistill/py.typed'} <= expected


def test_metadata(wheel):
    with zipfile.ZipFile(wheel) as archive:
        name = next(n for n in archive.namelist() if n.endswith('.dist-info/METADATA'))
        metadata = message_from_string(archive.read(name).decode())
    assert metadata['Version'] == mmdistill.__version__
    assert metadata['Requires-Python'] == '>=3.10'
    assert f'version: {mmdistill.__version__}\n' in (ROOT / 'CITATION.cff').read_text()
    assert {'onedl', 'openmmlab', 'tests', 'docs', 'dev'} <= set(metadata.get_all('Provides-Extra'))
    core = [Requirement(line) for line in metadata.get_all('Requires-Dist') if 'extra' not in line]
    assert 'torch' in [requirement.name for requirement in core]
    # Two stacks share the import names, so that the core can ask for neither.
    assert not [r for r in core if re.match(r'(onedl-)?mm', r.name)]
    with zipfile.ZipFile(wheel) as archive:
        scripts = archive.read(name.replace('METADATA', 'entry_points.txt')).decode()
    assert 'mmdistill = mmdistill.cli:main' in scripts


def test_the_last_requirement_counts_without_a_newline_at_the_end(tmp_path, monkeypatch):
    (tmp_path / 'requirements').mkdir()
    (tmp_path / 'requirements/core.txt').write_text('# a comment\nnumpy>=1\n\ntorch>=2')
    settings = {}
    monkeypatch.setattr('setuptools.setup', lambda **kwargs: settings.update(kwargs))
    code = runpy.run_path(str(ROOT / 'setup.py'))
    assert len(settings['install_requires']) == len((ROOT / 'requirements/core.txt').read_text().split())
    monkeypatch.setitem(code['requirements'].__globals__, 'ROOT', tmp_path)
    assert code['requirements']('core') == ['numpy>=1', 'torch>=2']


@pytest.fixture(scope='module')
def installed(wheel, tmp_path_factory) -> str:
    """A folder in which pip has installed the wheel."""
    folder = tmp_path_factory.mktemp('installed')
    subprocess.run([sys.executable, '-m', 'pip', 'install', '-q', '--no-deps', '--no-index', '--target', folder, wheel],
                   check=True, capture_output=True)
    return str(folder)


def test_installed_wheel_is_usable_and_finds_its_configs(installed, python):
    code = ('import mmdistill.registry, mmengine.config as c, pathlib, sys\n'
            'pathlib.Path("child.py").write_text("_base_ = \'mmdistill::_base_/default_runtime.py\'")\n'
            'print(mmdistill.__file__, bool(c.Config.fromfile("child.py")))')
    assert python(code, PYTHONPATH=installed).split() == [f'{installed}/mmdistill/__init__.py', 'True']


@pytest.mark.parametrize('start', [['-m', 'mmdistill'], ['bin/mmdistill'], ['mmdistill/.mim/tools/distill.py']])
def test_installed_wheel_distils_from_any_folder(installed, tmp_path, start):
    start = [os.path.join(installed, part) if '/' in part else part for part in start]
    command = ['distill'] * (not start[-1].endswith('distill.py'))
    done = subprocess.run([sys.executable, *start, *command, SCENES, '--dry-run', '--work-dir', 'work',
                           '--cfg-options', *SMALL[SCENES]], cwd=tmp_path, text=True, capture_output=True,
                          env={**os.environ, 'PYTHONPATH': installed})
    assert done.returncode == 0, done.stderr
    plan = json.loads((tmp_path / 'work/plan.json').read_text())
    assert len(plan['requests']) == 2 and os.listdir(tmp_path) == ['work']


@pytest.mark.parametrize('name', ['core', 'onedl', 'openmmlab', 'benchmarks', 'tests', 'docs', 'dev'])
def test_requirements_are_lower_bounds_that_the_tested_versions_meet(name):
    def read(file):
        lines = (ROOT / f'requirements/{file}.txt').read_text().splitlines()
        return [Requirement(line) for line in lines if line and not line.startswith('#')]

    tested = {r.name.lower(): next(iter(r.specifier)).version for r in read('tested') if '==' in str(r.specifier)}
    for requirement in read(name):
        assert {specifier.operator for specifier in requirement.specifier} <= {'>='}
        version = tested.get(requirement.name.lower())
        assert version is None or requirement.specifier.contains(version), requirement


def test_only_adapters_need_openmmlab(python):
    """All other modules and packages can be imported without it; a new one has to be listed to be an adapter."""
    code = blocker(*STACK) + f"""
import importlib, pkgutil, mmdistill
def modules(package):
    for info in pkgutil.iter_modules(package.__path__, package.__name__ + '.'):
        if info.name.partition('.')[2] not in {ADAPTERS!r}:
            module = importlib.import_module(info.name)
            print(info.name)
            if info.ispkg:
                modules(module)
modules(mmdistill)
for name in {ADAPTERS!r}:
    try:
        importlib.import_module('mmdistill.' + name)
    except ImportError:
        continue
    raise SystemExit(f'{{name}} needs no OpenMMLab package: it is no adapter')
"""
    imported = {name.partition('.')[2] for name in python(code).split()}
    assert {'bars', 'cache', 'choice', 'cleaning', 'cleaning.votes', 'commands', 'documents', 'files', 'generation',
            'guidance.base', 'imagenet', 'known_classes', 'lock', 'metrics', 'parallel', 'plan', 'selection.base',
            'weights.hub'} <= imported


@pytest.mark.parametrize('module', ['registry', 'engine', 'datasets', 'models', 'evaluation', 'labels'])
def test_without_openmmlab_an_adapter_names_the_command(python, module):
    code = blocker(*STACK) + f"""
try:
    import mmdistill.{module}
except ImportError as error:
    print(error)
"""
    message = python(code)
    assert 'pip install' in message and 'mmdistill[onedl]' in message and 'mmdistill[openmmlab]' in message


@pytest.mark.parametrize('package', STACK[2:])
def test_packages_import_only_the_openmmlab_package_that_is_used(python, package):
    code = blocker(package) + """
import importlib, pkgutil, mmdistill
for info in pkgutil.iter_modules(mmdistill.__path__, 'mmdistill.'):
    importlib.import_module(info.name)
    print(info.name)
"""
    assert {'mmdistill.datasets', 'mmdistill.engine', 'mmdistill.models', 'mmdistill.evaluation', 'mmdistill.labels',
            'mmdistill.tasks', 'mmdistill.toy'} <= set(python(code).split())


@pytest.mark.parametrize('missing, config', [(('mmpretrain', 'mmdet'), SCENES), (('mmseg', 'mmdet'), PICTURES)])
def test_a_dry_run_needs_only_the_package_that_is_used(python, tmp_path, missing, config):
    argv = ['distill', config, '--dry-run', '--work-dir', str(tmp_path), '--cfg-options', *SMALL[config]]
    python(blocker(*missing) + f'\nfrom mmdistill.cli import main\nmain({argv!r})')
    assert (tmp_path / 'plan.json').exists()


def test_importing_the_package_loads_nothing_else(python):
    code = 'import sys, mmdistill; print(mmdistill.__version__, {"torch", "mmengine", "numpy"} & set(sys.modules))'
    assert python(code).strip() == f'{mmdistill.__version__} set()'


def test_there_are_configs():
    assert CONFIGS


@pytest.mark.parametrize('config', CONFIGS)
def test_every_config_parses(config):
    Config.fromfile(ROOT / config)


@pytest.mark.parametrize('name', ['mmdistill::_base_/default_runtime.py', 'mmseg::_base_/default_runtime.py'])
def test_configs_of_packages_as_base(tmp_path, name):
    child = tmp_path / 'child.py'
    child.write_text(f'_base_ = {name!r}\n')
    assert 'default_scope' in Config.fromfile(child)


def test_no_file_names_a_path_of_one_machine():
    pattern = re.compile(rb'(?<![\w.}/-])/(?:work|root|home/\w+|Users/\w+)/\w')
    guilty = []
    for name in repository_files():
        path = ROOT / name
        if path.is_file() and not path.is_symlink() and path.suffix not in ('.safetensors', '.png', '.jpg'):
            guilty += [f'{name}: {match.group()!r}' for match in pattern.finditer(path.read_bytes())]
    assert not guilty


def test_mim_links_are_relative():
    for name in ('tools', 'configs', 'model-index.yml'):
        link = ROOT / 'mmdistill/.mim' / name
        assert link.is_symlink() and not link.readlink().is_absolute() and link.exists()


def test_no_function_is_more_complex_than_15():
    files = [name for name in repository_files() if re.match(r'(mmdistill|tools|benchmarks)/.*\.py$|setup\.py$', name)]
    blocks = [(block.complexity, f'{name}:{block.lineno} {block.name}') for name in files
              if not (ROOT / name).is_symlink() for block in cc_visit((ROOT / name).read_text())
              if not isinstance(block, Class)]
    assert len(blocks) > 500
    assert not sorted(block for block in blocks if block[0] > 15)
