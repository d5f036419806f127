"""Reading configs, and the command line's changes to them."""
import pytest
from mmengine.config import Config

from mmdistill.config import merge_options, read_config
from mmdistill.errors import DistillError


class Noise:
    """A component that is given as a class."""


@pytest.fixture
def cfg():
    return Config(dict(
        data_root='data/set/',
        model=dict(type='Distiller', weights=None, ids=(1, 2)),
        train_dataset=dict(type='A', data_root='data/set'),
        train_dataloader=dict(dataset=dict(dataset=dict(data_root='data/set/train'))),
        labels=dict(dataset=[dict(data_root='data/set')]),
        training_sets=dict(distilled=dict(data_root='data/settled'), many=dict(data_root=['data/set'])),
        custom_hooks=[
            dict(type='mmdistill.ClassPlanHook', ipc=10),
            dict(type='GuidedSynthesisHook', objectives=[dict(type='Transport', epsilon=0.1), dict(type=Noise, by=1)]),
            dict(type='Twice'), dict(type='Twice')]))


def test_ordinary_keys(cfg):
    merge_options(cfg, {'randomness.seed': 1, 'model.weights': 'folder', 'custom_hooks.1.scale': 2,
                        'model': dict(_delete_=True, type='Other'), 'model.scheduler': dict(type='DDIM')})
    assert cfg.randomness == dict(seed=1) and cfg.custom_hooks[1].scale == 2
    assert cfg.model == dict(type='Other', scheduler=dict(type='DDIM'))
    merge_options(cfg, {'model': dict(scheduler=dict(eta=1)), 'custom_hooks': {'ClassPlanHook': dict(ipc=3)}})
    assert cfg.model.scheduler == dict(type='DDIM', eta=1)
    assert cfg.custom_hooks[0] == dict(type='mmdistill.ClassPlanHook', ipc=3) and len(cfg.custom_hooks) == 4
    merge_options(cfg, {'model': dict(scheduler=dict(_delete_=True, eta=2)), 'custom_hooks': []})
    assert cfg.model.scheduler == dict(eta=2) and cfg.custom_hooks == []


def test_members_of_lists_by_their_type(cfg):
    merge_options(cfg, {'custom_hooks.ClassPlanHook.ipc': 50, 'custom_hooks.GuidedSynthesisHook.scale': 2,
                        'custom_hooks.GuidedSynthesisHook.objectives.Transport.epsilon': 0.2,
                        'custom_hooks.GuidedSynthesisHook.objectives.Noise.by': 3})
    plan, guidance = cfg.custom_hooks[:2]
    assert plan.ipc == 50 and guidance.scale == 2
    assert guidance.objectives == [dict(type='Transport', epsilon=0.2), dict(type=Noise, by=3)]


def test_values_that_configs_share_stay_apart():
    shared = Config(dict(loader=dict(batch_size=1)))
    shared.val, shared.test = shared.loader, shared.loader
    merge_options(shared, {'val.batch_size': 2})
    assert (shared.val.batch_size, shared.test.batch_size) == (2, 1)


def test_variables_that_were_copied(cfg):
    """Setting them would have no effect."""
    cfg.steps, cfg.sides, cfg.mine = [dict(type='Resize', scale=1)], (3, 4), [dict(type='Other')]
    cfg.train_dataloader.dataset.pipeline = [dict(type='Resize', scale=1)]
    cfg.model.size = (3, 4)
    for option, where in (('steps.Resize.scale', 'train_dataloader.dataset.pipeline'), ('sides', 'model.size')):
        name = option.partition('.')[0]
        prefix = '' if option == name else f'{option}: '
        with pytest.raises(DistillError, match=f'^{prefix}{name} is a variable of the .*, whose value is in {where}:'):
            merge_options(cfg, {option: 2})
    merge_options(cfg, {'mine.Other.scale': 2})
    assert cfg.mine == [dict(type='Other', scale=2)]


@pytest.mark.parametrize('option, message', [
    ({'custom_hooks.GuideHook.scale': 2}, r'custom_hooks.GuideHook .*ClassPlanHook, GuidedSynthesisHook, Twice'),
    ({'custom_hooks.Twice.scale': 2}, 'custom_hooks.Twice is not unique: custom_hooks has 2 of them: use the number'),
    ({'custom_hooks.7.scale': 2}, 'custom_hooks.7 does not exist: custom_hooks has 4 members'),
    ({'custom_hooks.-1.scale': 2}, 'custom_hooks.-1 does not exist'),
    ({'model.weights.folder': 2}, 'model.weights is None'),
    ({'model.ids.0': 2}, r'model.ids is \(1, 2\)'),
    ({'data_root.folder': 2}, "data_root is 'data/set/'")])
def test_mistakes(cfg, option, message):
    with pytest.raises(DistillError, match=message):
        merge_options(cfg, option)


def test_data_root_moves_all_data(cfg):
    merge_options(cfg, {'data_root': '/new/', 'train_dataset.data_root': '/other'})
    assert cfg.data_root == '/new' and cfg.train_dataset.data_root == '/other'
    assert cfg.train_dataloader.dataset.dataset.data_root == '/new/train'
    assert cfg.labels.dataset[0].data_root == '/new'
    assert cfg.training_sets == dict(distilled=dict(data_root='data/settled'), many=dict(data_root=['data/set']))
    with pytest.raises(DistillError, match='no data_root at the top level'):
        merge_options(Config(dict(model=dict())), {'data_root': '/new'})


def test_configs_that_cannot_be_read(tmp_path):
    with pytest.raises(DistillError, match='no config at .*missing.py'):
        read_config(str(tmp_path / 'missing.py'))
    with pytest.raises(DistillError, match='nowhere is not installed'):
        read_config('nowhere::students/x.py')
    with pytest.raises(DistillError, match='no config at dmdd_objects-64px: give .*did you mean dmgd_objects-64px'):
        read_config('dmdd_objects-64px')
    (tmp_path / 'base.py').write_text("pipeline = [dict(type='Resize', scale=(256, 192))]\n")
    (tmp_path / 'keyed.py').write_text("_base_ = './base.py'\npipeline = dict(Resize=dict(scale=(192, 128)))\n")
    with pytest.raises(DistillError, match='`_delete_=True`.*: write the whole list; its members have keys only in '
                                           '--cfg-options$'):
        read_config(str(tmp_path / 'keyed.py'))
    (tmp_path / 'broken.py').write_text('model = dict(\n')
    with pytest.raises(DistillError, match='cannot read the config .*broken.py'):
        read_config(str(tmp_path / 'broken.py'))


@pytest.mark.parametrize('name', ['d4m_objects-64px', 'd4m_objects-64px.py'])
def test_a_shipped_config_by_its_name_alone(tmp_path, monkeypatch, name):
    """A file of this name in the current folder comes first."""
    monkeypatch.chdir(tmp_path)
    assert read_config(name).test_cfg.method == 'D4M'
    (tmp_path / name).write_text("test_cfg = dict(method='mine')")
    if name.endswith('.py'):
        assert read_config(name).test_cfg.method == 'mine'


def test_parts_of_configs_have_no_name_of_their_own():
    with pytest.raises(DistillError, match='no config at distill_runtime'):
        read_config('distill_runtime')


def test_delete_without_a_base(tmp_path):
    """MMEngine keeps the key, and components would get it as a setting."""
    (tmp_path / 'a.py').write_text('test_cfg = dict(_delete_=True, type="DistillLoop")\n'
                                   'custom_hooks = [dict(_delete_=True, type="X", selector=dict(_delete_=True, a=1))]\n'
                                   'overrides = {"model.head": dict(_delete_=True, type="Y")}\n')
    cfg = read_config(str(tmp_path / 'a.py'))
    assert cfg.test_cfg == dict(type='DistillLoop') and cfg.custom_hooks == [dict(type='X', selector=dict(a=1))]
    assert cfg.overrides['model.head'] == dict(_delete_=True, type='Y')  # of an evaluation: it is merged later


def test_a_number_that_was_used_when_the_file_was_read_and_a_name_that_is_deeper():
    """The keys in which they are, or may be, are named."""
    cfg = Config(dict(max_iters=600, ipc_of_mine=3, train_cfg=dict(max_iters=600), custom_hooks=[
        dict(type='a.P', ipc=10), dict(type='G', scale=1), dict(type='G', scale=1)]))
    with pytest.raises(DistillError, match=r'^max_iters is a variable .* in train_cfg\.max_iters: set that$'):
        merge_options(cfg, dict(max_iters=2))
    with pytest.raises(DistillError, match=r'^ipc: the config has no ipc, but custom_hooks\.P\.ipc: set that$'):
        merge_options(cfg, dict(ipc=2))
    with pytest.raises(DistillError, match=r'no scale, but custom_hooks\.1\.scale, custom_hooks\.2\.scale: set that$'):
        merge_options(cfg, dict(scale=2))
    merge_options(cfg, {'custom_hooks.P.ipc': 2, 'ipc_of_mine': 4})
    assert cfg.custom_hooks[0].ipc == 2 and cfg.ipc_of_mine == 4
    cfg.max_iters = 5  # another value than the one that is read
    merge_options(cfg, dict(max_iters=6))


def test_a_variable_that_was_used_when_the_file_was_read():
    """Setting it would change nothing."""
    cfg = Config(dict(guidance=dict(type='G', scale=1), encoder=dict(type='E'), custom_hooks=[
        dict(type='P'), dict(type='G', scale=1)],
        val_dataloader=dict(batch_size=1), test_dataloader=dict(batch_size=1)))
    with pytest.raises(DistillError, match=r'guidance.scale: guidance is a variable .* in custom_hooks\.G: set that'):
        merge_options(cfg, {'guidance.scale': 3})
    merge_options(cfg, {'encoder.type': 'F', 'test_dataloader.batch_size': 2})
    assert cfg.encoder == dict(type='F') and cfg.val_dataloader.batch_size == 1 and cfg.test_dataloader.batch_size == 2


def test_modules_cannot_be_imported_later(cfg):
    with pytest.raises(DistillError, match='custom_imports.imports: modules are imported while the config file is'):
        merge_options(cfg, {'custom_imports.imports': 'my_parts'})
