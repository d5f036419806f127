"""mmdistill distill with objectives that act on the images of a class together, and through the generator's network."""
import json
from types import SimpleNamespace

import pytest

from tests.engine.test_distill_classes import IPC, WNIDS, derive, photos, write_config  # noqa: F401

JOINT = dict(type='GuidedSynthesisHook', objectives=[dict(type='SetMatching')], window=(0, 1), scale=30.0,
             update='prev', norm='none', support=dict(n_clusters=1, batch_size=4))
FEATURES = dict(JOINT, objectives=[dict(type='FeatureAlignment')], scale=1.0, norm='unit',
                support=dict(n_clusters=2, strategy='density'))


@pytest.fixture(scope='module')
def config(root, photos, class_weights, tmp_path_factory):  # noqa: F811
    generator = dict(type='ClassConditionalGenerator', weights=str(class_weights), num_steps=6, micro_batch=2,
                     cfg_scale=2.0, scheduler='DPMSolverMultistepScheduler')
    folder = tmp_path_factory.mktemp('config')
    base = write_config(root, folder / 'base.py', photos, generator, dict(type='ClassPlanHook', ipc=IPC))
    return derive(base, folder, f"custom_hooks = [dict(type='ClassPlanHook', ipc={IPC}), {JOINT!r}]")


@pytest.fixture(scope='module')
def finished(tools, config, tmp_path_factory):
    work = tmp_path_factory.mktemp('finished')
    done = tools('distill', config, '--work-dir', work)
    assert done.returncode == 0, done.stderr[-3000:]
    return SimpleNamespace(work=work, log=done.stdout + done.stderr)


def test_files_of_a_run(finished, tree):
    manifest = json.loads((finished.work / 'distilled/meta/distilled.json').read_text())
    assert [image['id'] for image in manifest['images']] == [f'{wnid}/{n:05d}' for n in range(IPC) for wnid in WNIDS]
    assert manifest['extra']['guidance']['objectives'] == [dict(type='SetMatching')]
    assert 'guided step: SetMatching' in next(finished.work.rglob('*.log')).read_text()
    assert not (finished.work / 'distilled/latents').exists()


@pytest.mark.parametrize('batch', [1, 50])
def test_another_batch_size_gives_the_same_bytes(tools, config, finished, tree, tmp_path, batch):
    done = tools('distill', config, '--work-dir', tmp_path, '--cfg-options', f'test_dataloader.batch_size={batch}')
    assert done.returncode == 0, done.stderr
    assert tree(tmp_path / 'distilled') == tree(finished.work / 'distilled')


def test_two_processes_give_the_same_bytes(tools, config, finished, tree, tmp_path):
    tools.in_two_processes('distill', config, '--work-dir', tmp_path)
    assert tree(tmp_path / 'distilled') == tree(finished.work / 'distilled')


@pytest.mark.parametrize('count', [1, IPC + 1])
def test_killed_within_a_class_and_resumed_gives_the_same_bytes(tools, config, finished, tree, tmp_path, count):
    tools.killed('distill', config, '--work-dir', tmp_path, when=lambda: sum(
        path.read_bytes().count(b'\n') for path in tmp_path.glob('checksums.*')) >= count)
    assert 'meta/distilled.json' not in tree(tmp_path / 'distilled')
    done = tools('distill', config, '--work-dir', tmp_path, '--resume')
    assert done.returncode == 0 and 'images exist' in done.stdout, done.stderr
    assert tree(tmp_path / 'distilled') == tree(finished.work / 'distilled')


def test_each_objective_changes_the_images(tools, config, finished, tree, tmp_path):
    hooks = dict(plain=[], features=[FEATURES], mean=[dict(FEATURES, objectives=[dict(
        type='FeatureAlignment', joint=True)])])
    trees = [tree(finished.work / 'distilled/train')]
    for name, hook in hooks.items():
        (tmp_path / name).mkdir()
        child = derive(config, tmp_path / name, f"custom_hooks = [dict(type='ClassPlanHook', ipc={IPC}), *{hook!r}]")
        done = tools('distill', child, '--work-dir', tmp_path / name)
        assert done.returncode == 0, (name, done.stderr[-2000:])
        trees.append(tree(tmp_path / name / 'distilled/train'))
    for one in range(4):
        for other in range(one):
            assert trees[one].keys() == trees[other].keys()
            assert not [key for key in trees[one] if 'JPEG' in key and trees[one][key] == trees[other][key]]


def test_bad_input(tools, config, tmp_path):
    for options, say in ((['custom_hooks.1.update=x0'], "SetMatching is a loss of the noisy latents, which update="),
                         (['custom_hooks.1.objectives.0.repulsion=-1'], 'repulsion=-1 is out of range')):
        done = tools('distill', config, '--work-dir', tmp_path, '--dry-run', '--cfg-options', *options)
        line = done.stderr.splitlines()[-1]
        assert done.returncode == 1 and line.startswith('error: ') and say in line, done.stderr


def test_blocks_that_the_network_lacks_are_refused_before_real_images_are_read(tools, config, tmp_path):
    hook = dict(FEATURES, objectives=[dict(type='FeatureAlignment', blocks=(4, 12))])
    child = derive(config, tmp_path, f"custom_hooks = [dict(type='ClassPlanHook', ipc={IPC}), {hook!r}]")
    done = tools('distill', child, '--work-dir', tmp_path / 'work')
    line = done.stderr.splitlines()[-1]
    assert done.returncode == 1 and line.startswith(
        'error: custom_hooks.GuidedSynthesisHook.objectives.FeatureAlignment: blocks=')
    assert not (tmp_path / 'work/support_points.safetensors').exists() and 'Encoding' not in done.stdout


def test_a_step_that_destroys_images_is_warned_of(tools, config, tmp_path):
    loud, quiet = (tools('distill', config, '--work-dir', tmp_path / str(scale), '--cfg-options',
                         f'custom_hooks.1.scale={scale}') for scale in (1e6, 1e-3))
    assert 'destroy images: lower the scale' in loud.stdout + loud.stderr
    assert 'destroy images' not in quiet.stdout + quiet.stderr


def test_a_plan_belongs_to_a_config_however_it_is_inherited(tools, root, tmp_path):
    name = 'mgd3/mgd3_class-unet_ipc10_objects-64px.py'
    for number, base in enumerate((str(root / 'configs' / name), f'mmdistill::{name}')):
        (tmp_path / f'{number}.py').write_text(
            f'_base_ = {base!r}\ncustom_hooks = [*_base_.custom_hooks]\ntest_cfg = dict(seed=3)\n')
        done = tools('distill', tmp_path / f'{number}.py', '--work-dir', tmp_path / 'work', '--dry-run',
                     *['--resume'] * number)
        assert done.returncode == 0, done.stderr
