"""The command ``mmdistill``: its commands, and one line for each mistake on its command line or in a config file."""
import os
import re
import runpy
import subprocess
import sys
import textwrap

import pytest

import mmdistill
from mmdistill import cli, commands, stopping
from mmdistill.command_config import own_device
from mmdistill.config import read_config
from mmdistill.errors import DistillError

COMMANDS = ('init', 'distill', 'train', 'evaluate', 'label', 'convert', 'convert-unet', 'verify', 'export', 'report')


def said(capsys, *argv):
    """Exit status of the command line ``argv`` in this process, and what it printed."""
    with pytest.raises(SystemExit) as end:
        cli.main(argv)
    printed = capsys.readouterr()
    return end.value.code, printed.out + printed.err


def test_help_has_a_line_for_each_command_and_imports_neither_torch_nor_openmmlab(python):
    code = """
import sys
from mmdistill.cli import main
try:
    main(sys.argv[1:] or ['--help'])
except SystemExit as end:
    print('code', end.code, {'torch', 'numpy', 'mmengine', 'mmseg', 'mmpretrain'} & set(sys.modules))
"""
    text = python(code)
    assert 'code 0 set()' in text
    assert re.findall(r'^    ([\w-]+)\s+[A-Z].*\.$', text, re.M) == list(COMMANDS)


def test_version(capsys):
    assert said(capsys, '--version') == (0, f'mmdistill {mmdistill.__version__}\n')


@pytest.mark.parametrize('command', COMMANDS)
def test_help_of_a_command(capsys, command):
    code, text = said(capsys, command, '--help')
    assert code == 0 and text.startswith(f'usage: mmdistill {command} ')


@pytest.mark.parametrize('command', COMMANDS)
def test_a_tool_is_a_door_to_its_command(command, root, monkeypatch):
    called = []
    monkeypatch.setattr(cli, 'main', called.append)
    monkeypatch.setattr(sys, 'argv', [f'{command}.py', 'a.py', '--x'])
    runpy.run_path(str(root / f'tools/{command}.py'), run_name='__main__')
    assert called == [[command, 'a.py', '--x']]


@pytest.mark.parametrize('argv, say', [
    ([], 'COMMAND'),
    (['destill', 'a.py'], "invalid choice: 'destill'"),
    (['distill'], 'required: config'),
    (['distill', 'a.py', '--cfg-options', 'seed'], "--cfg-options: 'seed' is not KEY=VALUE"),
    (['distill', '--cfg-options', 'seed=1', 'a.py'], "--cfg-options: 'a.py' is not KEY=VALUE"),
    (['distill', 'a.py', '--cfg-options', '=1'], "--cfg-options: '=1' is not KEY=VALUE"),
    (['distill', 'a.py', '--launcher', 'torchrun'], "invalid choice: 'torchrun'"),
    (['evaluate', 'a.py', '--workers', '0'], "--workers: '0' is not a number of at least 1"),
    (['label', 'a.py', '--batch-size', 'many'], "--batch-size: 'many' is not a number"),
    (['label', 'a.py', '--dry-run'], 'unrecognized arguments: --dry-run'),
])
def test_a_mistake_on_the_command_line(capsys, argv, say):
    code, text = said(capsys, *argv)
    assert code == 2 and 'Traceback' not in text
    assert text.splitlines()[-1].startswith('mmdistill') and say in text.splitlines()[-1]


def test_cfg_options_are_read_as_mmengine_reads_them(tmp_path):
    (tmp_path / 'a.py').write_text('a = dict(b=1); c = d = e = f = g = 0; h = dict()')
    texts = ['a.b=2', 'c=[1,2.5]', 'd=(x,None)', 'e=true', 'f=1,2', 'g=a=b', 'h.i="z"']
    argv = ['train', str(tmp_path / 'a.py'), '--cfg-options', *texts[:3], '--cfg-options', *texts[3:]]
    args = cli.parser().parse_args(argv)
    assert commands.command_config(args).to_dict() == dict(
        a=dict(b=2), c=[1, 2.5], d=('x', None), e=True, f=[1, 2], g='a=b', h=dict(i='z'))
    with pytest.raises(DistillError, match='--cfg-options: Imbalanced brackets'):
        commands.command_config(cli.parser().parse_args(['train', str(tmp_path / 'a.py'), '--cfg-options', 'a=1,[2']))


@pytest.mark.parametrize('text, say', [
    ('a = 1\nb = (2', r"a\.py, line 2: '\(' was never closed"),
    ('a = 1\nb = dict(c=nothing)', r"a\.py, line 2: NameError: name 'nothing' is not defined"),
    ('a = dict(**1)', r'a\.py, line 1: TypeError: .* must be a mapping'),
    ('raise ValueError("one\\ntwo")', r'a\.py, line 1: ValueError: one two'),
    ('_base_ = "none.py"', r'a\.py: no file .*none\.py'),
    ('_base_ = "a.py"', r'a\.py: .*circle'),
    ('_base_ = "circle.py"', r'a\.py: .*circle'),
    ('_base_ = "wrong.py"\nx = 1\ny = 2', r"wrong\.py, line 3: NameError: name 'nothing'"),
    ('_base_ = "broken.py"\nx = 1\ny = 2', r'broken\.py, line 2: '),
    ('_base_ = ["one.py", "one_too.py"]', r"a\.py: Duplicate key .*'one'"),
    ('_base_ = "one.py"\ntwo = _base_.two', r'a\.py, line 2: AttributeError: .*two'),
    ('_base_ = "one.py"\none = dict(two=2)', r'a\.py: one=.*cannot inherit'),
    ('_base_ = "mmnothing::a/b.py"', r'a\.py: .*mmnothing'),
    ('_base_ = "mmdistill::a/b.py"', r'a\.py: .*a/b\.py'),
    ('custom_imports = dict(imports=["no_such_module"])', r'a\.py: custom_imports: .*no_such_module$'),
    ('from mmengine.config import read_base\nwith read_base():\n    from .none import *',
     r'a\.py: .*none.py not found'),
    ('from mmengine.config import read_base\nwith read_base():\n    from .one import *\na = nothing',
     r"a\.py, line 4: NameError: name 'nothing'"),
])
def test_a_mistake_in_a_config_file(tmp_path, text, say):
    for name, body in dict(a=text, one='one = 1', one_too='one = 1', circle='_base_ = "a.py"',
                           wrong='\n\nb = nothing', broken='\nb = = 1').items():
        (tmp_path / f'{name}.py').write_text(body)
    with pytest.raises(DistillError) as error:
        read_config(str(tmp_path / 'a.py'))
    assert re.search(say, str(error.value)) and '\n' not in str(error.value), error.value
    assert str(error.value).startswith(f'cannot read the config {tmp_path}')


@pytest.mark.parametrize('text, say', [
    ('a = 1\nb = (', r"my_parts\.py, line 2: '\(' was never closed$"),
    ('a = 1\n\n1 / 0', r'my_parts\.py, line 3: ZeroDivisionError: division by zero$'),
    ('\nimport nowhere_at_all', r"my_parts\.py, line 2: ModuleNotFoundError: No module named 'nowhere_at_all'$"),
    ('import json\njson.loads("{")', r'json.*\.py, line \d+: JSONDecodeError: ')])
def test_a_mistake_in_an_imported_module(tmp_path, monkeypatch, text, say):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, 'my_parts', raising=False)
    (tmp_path / 'my_parts.py').write_text(text)
    (tmp_path / 'a.py').write_text("custom_imports = dict(imports=['my_parts'])")
    with pytest.raises(DistillError, match=rf'cannot read the config .*a\.py: custom_imports: .*{say}'):
        read_config(str(tmp_path / 'a.py'))


@pytest.mark.parametrize('name, text', [('a.json', '{"a": }'), ('a.yml', 'a: [1'), ('a.txt', 'a = 1'),
                                        ('a.py', b'\xff')])
def test_a_file_that_is_no_config(tmp_path, name, text):
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DistillError, match=rf'cannot read the config .*{re.escape(name)}'):
        read_config(str(tmp_path / name))


@pytest.mark.parametrize('name', ['none.py', 'mmnothing::a.py', 'mmdistill::none.py', '.'])
def test_no_such_config(name):
    with pytest.raises(DistillError, match='no config at .*' + re.escape(name.rpartition('::')[2])):
        read_config(name)


def test_a_component_that_nobody_registered(tmp_path, capsys):
    config = tmp_path / 'a.py'
    config.write_text(textwrap.dedent("""
        default_scope = 'mmseg'
        model = dict(type='EncoderDecodr')
        train_dataloader = dict(batch_size=1, dataset=dict(type='mmdistill.StreetScenes', num_scenes=2, pipeline=[]))
        train_cfg = dict(max_epochs=1)
        optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1))
    """))
    code, text = said(capsys, 'train', str(config), '--work-dir', str(tmp_path / 'work'))
    assert str(code).startswith('error: ')
    assert 'EncoderDecodr is not in the mmseg::model registry; did you mean EncoderDecoder?' in str(code)
    assert '\n' not in code


def test_a_config_that_does_not_train(tmp_path):
    (tmp_path / 'a.py').write_text('model = dict(type="X")\ntrain_cfg = None')
    with pytest.raises(SystemExit, match=r'^error: .*a\.py is not a training config: it has no train_dataloader'):
        cli.main(['train', str(tmp_path / 'a.py'), '--work-dir', str(tmp_path / 'work')])
    assert not (tmp_path / 'work').exists()


def test_registry_prefixes_are_removed_from_messages(capsys):
    def fail():
        raise DistillError('class `A` in a/b.py: class `B` in c.py: no weights\nat x')

    with pytest.raises(SystemExit, match='^error: no weights at x$'):
        cli.run(fail)
    with pytest.raises(KeyError):
        cli.run(dict().__getitem__, 'ours')


@pytest.mark.parametrize('workers', [0, 1])
def test_the_traceback_of_a_worker_is_removed_from_messages(workers):
    from torch.utils.data import DataLoader

    def read(batch):
        raise DistillError('a.png: no mask:\ncopy it again')

    with pytest.raises(SystemExit, match='^error: a.png: no mask: copy it again$'):
        cli.run(lambda: list(DataLoader([0], num_workers=workers, collate_fn=read)))


def test_a_launcher_that_did_not_start_the_process(tmp_path, monkeypatch):
    monkeypatch.delenv('SLURM_PROCID', raising=False)
    with pytest.raises(SystemExit, match="--launcher slurm: .*'SLURM_PROCID' is not set"):
        cli.main(['evaluate', str(tmp_path / 'a.py'), '--launcher', 'slurm'])


def test_torchrun_starts_the_module(root, tmp_path):
    config = tmp_path / 'a.py'
    config.write_text("import os\nopen(__file__ + os.environ['RANK'], 'w').close()\nb = nothing\n".replace(
        '__file__', repr(str(config))))
    command = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node', '2',
               '-m', 'mmdistill', 'distill', str(config), '--launcher', 'pytorch']
    done = subprocess.run(command, text=True, capture_output=True, cwd=tmp_path,
                          env={**os.environ, 'PYTHONPATH': str(root)})
    assert done.returncode == 1 and f'error: cannot read the config {config}, line 3: NameError' in done.stderr
    assert (tmp_path / 'a.py0').exists() or (tmp_path / 'a.py1').exists()


@pytest.mark.parametrize('command', ['distill', 'train', 'evaluate'])
def test_a_command_without_a_launcher_outlives_the_shell_that_started_it(command, tmp_path, monkeypatch):
    monkeypatch.setattr(stopping.Stopping, 'join', lambda *_: pytest.fail('it would end with its parent'))
    with pytest.raises(SystemExit, match='no config at'):
        cli.main([command, str(tmp_path / 'none.py')])


@pytest.mark.parametrize('visible, local, device', [('', 3, '3'), ('4,6', 1, '6'), ('4,6', 2, None)])
def test_each_process_of_a_comparison_has_a_gpu(monkeypatch, visible, local, device):
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', visible)
    if device:
        assert own_device(local) == device
        return
    with pytest.raises(DistillError, match='at least 3 processes on this machine, and CUDA_VISIBLE_DEVICES=4,6 names'):
        own_device(local)
