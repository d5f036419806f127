"""mmdistill distill with DMGD: support points, greedy progressive matching, resume, images that are not finite."""
import json
import re
from types import SimpleNamespace

import pytest
from safetensors.numpy import load_file

from mmdistill.selection import ClassClusters
from tests.engine.test_distill_classes import (COUNTS, IPC, WNIDS, derive, photos,  # noqa: F401
                                               write_config)

HOOK = dict(type='GuidedSynthesisHook', objectives=[dict(type='TransportMatching')], window=(0.25, 0.75), scale=0.5,
            semantic=dict(type='SemanticMatching'), support=dict(n_clusters=4, batch_size=4), through='linear',
            update='prev', step='sigma', norm='rms')


@pytest.fixture(scope='module')
def config(root, photos, class_weights, tmp_path_factory):  # noqa: F811
    generator = dict(type='ClassConditionalGenerator', weights=str(class_weights), num_steps=8, micro_batch=4,
                     scheduler=dict(type='DDPMScheduler', timestep_spacing='linspace'))
    folder = tmp_path_factory.mktemp('config')
    base = write_config(root, folder / 'base.py', photos, generator, dict(type='ClassPlanHook', ipc=IPC))
    return derive(base, folder, f"custom_hooks = [dict(type='ClassPlanHook', ipc={IPC}), {HOOK!r}]")


@pytest.fixture(scope='module')
def finished(tools, config, tmp_path_factory):
    work = tmp_path_factory.mktemp('finished')
    done = tools('distill', config, '--work-dir', work)
    assert done.returncode == 0, done.stderr[-3000:]
    return SimpleNamespace(work=work, log=done.stdout + done.stderr)


def test_files_of_a_run(finished):
    clusters = ClassClusters.load(finished.work / 'support_points.safetensors')
    assert [len(clusters.centers[label]) for label in range(3)] == [4, 4, 2]
    assert [int(clusters.counts[label].sum()) for label in range(3)] == list(COUNTS)
    assert re.search(f'Fewer than 4 real images, so each is a support point.*{WNIDS[2]} 2', finished.log)
    for wnid in WNIDS:
        for n in range(IPC):
            assert (finished.work / f'distilled/train/{wnid}/{n:05d}.JPEG').is_file()
            latents = load_file(finished.work / f'distilled/latents/{wnid}/{n:05d}.safetensors')['latents']
            assert latents.shape == (4, 8, 8) and latents.dtype.name == 'float32'
    manifest = json.loads((finished.work / 'distilled/meta/distilled.json').read_text())
    guidance = manifest['extra']['guidance']
    assert guidance['objectives'] == [dict(type='TransportMatching')] and guidance['scale'] == 0.5
    assert guidance['semantic'] == dict(type='SemanticMatching') and guidance['support']['n_clusters'] == 4


@pytest.mark.parametrize('batch', [1, 2, 50])
def test_another_batch_size_gives_the_same_bytes(tools, config, finished, tree, tmp_path, batch):
    """1: one sample after the other; 2: the classes of a round in two batches; 50: no more than a round."""
    done = tools('distill', config, '--work-dir', tmp_path, '--cfg-options', f'test_dataloader.batch_size={batch}')
    assert done.returncode == 0, done.stderr
    assert tree(tmp_path / 'distilled') == tree(finished.work / 'distilled')


def test_with_prototypes_and_another_batch_size(tools, config, finished, tree, tmp_path):
    """Both kinds of latents of the real set in one run: where an image starts, and what it is drawn to."""
    lines = "model = dict(generator=dict(strength=0.7))\ncustom_hooks = [dict(type='PrototypeHook', ipc={}), {!r}]"
    both = derive(config, tmp_path, lines.format(IPC, HOOK))
    runs = dict(both=[], ones=['test_dataloader.batch_size=1'], plain=['custom_hooks.1.scale=0'])
    for name, options in runs.items():
        done = tools('distill', both, '--work-dir', tmp_path / name, '--cfg-options', 'test_cfg.seed=0', *options)
        assert done.returncode == 0, done.stderr[-3000:]
        assert done.stdout.count('Encoding') == 2  # four centres of each class, and IPC of them
    same = derive(config, tmp_path, lines.format(IPC, dict(HOOK, support=dict(n_clusters=IPC))))
    done = tools('distill', same, '--work-dir', tmp_path / 'same')
    assert done.returncode == 0 and done.stdout.count('Encoding') == 1, done.stderr[-3000:]
    files = [tmp_path / 'same' / name for name in ('prototypes.safetensors', 'support_points.safetensors')]
    assert files[0].read_bytes() == files[1].read_bytes()
    trees = {name: tree(tmp_path / name / 'distilled/train') for name in ('both', 'ones', 'plain')}
    assert trees['both'] == trees['ones'] != tree(finished.work / 'distilled/train')
    assert trees['both'] != trees['plain']


def test_two_processes_give_the_same_bytes(tools, config, finished, tree, tmp_path):
    tools.in_two_processes('distill', config, '--work-dir', tmp_path)
    assert tree(tmp_path / 'distilled') == tree(finished.work / 'distilled')


@pytest.mark.parametrize('count', [1, 4, 7])
def test_killed_and_resumed_gives_the_same_bytes(tools, config, finished, tree, tmp_path, count):
    arguments = ('distill', config, '--work-dir', tmp_path, '--cfg-options', 'test_dataloader.batch_size=1')
    tools.killed(*arguments, when=lambda: sum(  # an image is finished when it is noted
        path.read_bytes().count(b'\n') for path in tmp_path.glob('checksums.*')) >= count)
    (tmp_path / 'distilled/latents' / WNIDS[0] / '.00001.safetensors.7.tmp').write_bytes(b'half')
    assert 'meta/distilled.json' not in tree(tmp_path / 'distilled')
    # Another batch size: classes are then at different numbers in one batch.
    done = tools('distill', config, '--work-dir', tmp_path, '--resume')
    assert done.returncode == 0 and 'images exist' in done.stdout and 'Encoding' not in done.stdout, done.stderr
    assert tree(tmp_path / 'distilled') == tree(finished.work / 'distilled')


def images(folder, tree):
    return {name: data for name, data in tree(folder / 'distilled').items() if name.endswith('JPEG')}


def test_each_part_matters(tools, config, finished, tree, tmp_path):
    """The same requests without one of the parts, or with other support points."""
    plain = images(finished.work, tree)
    for name, change in (('no_semantic', dict(semantic=None)), ('no_transport', dict(objectives=[], support=None)),
                         ('points', dict(objectives=[dict(type='PointMatching')], support=dict(n_clusters=None))),
                         ('density', dict(support=dict(n_clusters=2, strategy='density')))):
        folder = tmp_path / name
        folder.mkdir()
        hooks = [dict(type='ClassPlanHook', ipc=IPC), dict(HOOK, **change)]
        child = derive(config, folder, f'custom_hooks = {hooks!r}')
        done = tools('distill', child, '--work-dir', folder)
        assert done.returncode == 0, (name, done.stderr)
        other = images(folder, tree)
        same = {key for key in plain if other[key] == plain[key]}
        assert other.keys() == plain.keys(), name
        # The last class has two images: both are support points, drawn or clustered.
        assert same == ({key for key in plain if WNIDS[2] in key} if name == 'density' else set()), name
        assert (folder / 'distilled/latents').exists() == (name in ('no_semantic', 'density'))
        if name == 'density':
            clusters = ClassClusters.load(folder / 'support_points.safetensors')
            assert all(counts.tolist() == [1, 1] for counts in clusters.counts.values())


BROKEN = '''
import torch
from mmdistill.generation import ClassConditionalGenerator as G
from mmdistill.generation import denoisers
forward = denoisers.Denoiser.forward
def broken(self, x, t, condition):
    out = forward(self, x, t, condition)
    ids = torch.tensor([request.id == {name!r} for request in condition.requests])
    bad = ids & (t < {below})
    return torch.where(bad[:, None, None, None], float('nan'), out)
denoisers.Denoiser.forward = broken
'''


@pytest.mark.parametrize('below', [1000, 500], ids=['before the window', 'in it'])
def test_images_that_are_not_finite(tools, config, finished, tree, tmp_path, below):
    plan = json.loads((finished.work / 'plan.json').read_text())['requests']
    name, after = f'{WNIDS[1]}/00001', f'{WNIDS[1]}/00002'
    assert {name, after} <= {request['id'] for request in plan}
    before = BROKEN.format(name=name, below=below)
    stop = tools('distill', config, '--work-dir', tmp_path / 'stop', before=before)
    assert stop.returncode == 1 and re.search(rf'error: request {name}: .* not finite at step \d', stop.stderr)
    skip = ('distill', config, '--work-dir', tmp_path / 'skip', '--cfg-options', 'test_cfg.on_nonfinite=skip')
    done = tools(*skip, before=before)
    last = done.stderr.splitlines()[-1]
    assert done.returncode == 1 and last.startswith('error: 2 images are not finite, or depend on images'), done.stderr
    assert name in last and after in last and '--resume' in last and 'Traceback' not in done.stderr
    made, plain = images(tmp_path / 'skip', tree), images(finished.work, tree)
    # The next of its class waits, since its image depends on this one; the rest is as in an undisturbed run.
    assert plain.keys() - made.keys() == {f'train/{name}.JPEG', f'train/{after}.JPEG'}
    assert all(plain[key] == data for key, data in made.items())
    done = tools(*skip, '--resume')
    assert done.returncode == 0, done.stderr
    assert tree(tmp_path / 'skip' / 'distilled') == tree(finished.work / 'distilled')


def test_bad_input(tools, config, finished, tmp_path):
    for options, say in ((['custom_hooks.1.support.strategy=grid'], "strategy='grid'"),
                         (['custom_hooks.1.support.n_clusters=0'], 'n_clusters=0 is out of range'),
                         (['test_cfg.on_nonfinite=go'], "on_nonfinite='go' is unknown"),
                         (['custom_hooks.1.objectives.0.type=SegmentationConsistency'],
                          'SegmentationConsistency is for masks')):
        done = tools('distill', config, '--work-dir', tmp_path, '--cfg-options', *options)
        line = done.stderr.splitlines()[-1]
        assert done.returncode == 1 and line.startswith('error: ') and say in line, done.stderr
        assert not (tmp_path / 'distilled').exists()


def test_a_damaged_latent_is_made_again(tools, config, tmp_path, finished, tree):
    import shutil
    shutil.copytree(finished.work, tmp_path, dirs_exist_ok=True)
    latents = tmp_path / f'distilled/latents/{WNIDS[0]}'
    (latents / '00000.safetensors').write_bytes(b'torn')
    (latents / '00001.safetensors').unlink()
    (tmp_path / f'distilled/train/{WNIDS[0]}/00002.JPEG').unlink()
    done = tools('distill', config, '--work-dir', tmp_path, '--resume')
    assert done.returncode == 0 and ', 3 are to be generated' in done.stdout, done.stderr
    assert tree(tmp_path / 'distilled') == tree(finished.work / 'distilled')
