"""mmdistill distill with several candidates for each image, and with weights of images."""
import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from mmdistill.choice import CoverageChoice
from mmdistill.cli import main
from mmdistill.datasets.manifest import read_manifest
from mmdistill.datasets.verify import verify_set
from mmdistill.plan import Plan
from mmdistill.selection import ClassClusters
from tests.engine.test_distill_classes import COUNTS, WNIDS, derive, photos, write_config  # noqa: F401

IPC, SETS = 3, 3


@pytest.fixture(scope='module')
def encoder(class_weights):
    return dict(type='LatentEncoder', vae=str(class_weights), image_size=32, device='cpu')


@pytest.fixture(scope='module')
def config(root, photos, class_weights, encoder, tmp_path_factory):  # noqa: F811
    generator = dict(type='ClassConditionalGenerator', weights=str(class_weights), strength=0.75, num_steps=4,
                     scheduler='DPMSolverMultistepScheduler', micro_batch=2)
    folder = tmp_path_factory.mktemp('config')
    base = write_config(root, folder / 'base.py', photos, generator,
                        dict(type='PrototypeHook', ipc=IPC, batch_size=4, candidates=SETS))
    hooks = [dict(type='PrototypeHook', ipc=IPC, batch_size=4, candidates=SETS),
             dict(type='CandidateChoiceHook', encoder=encoder), dict(type='ImageWeightsHook')]
    return derive(base, folder, f'custom_hooks = {hooks!r}')


@pytest.fixture(scope='module')
def finished(tools, config, tmp_path_factory):
    work = tmp_path_factory.mktemp('finished')
    done = tools('distill', config, '--work-dir', work)
    assert done.returncode == 0, done.stderr[-3000:]
    root = work / 'distilled'
    return SimpleNamespace(work=work, log=done.stdout, set=root, manifest=read_manifest(root))


def encoded(encoder, paths):
    """Features one by one."""
    from mmdistill.registry import ENCODERS
    network = ENCODERS.build(dict(encoder))
    rows = []
    for path in paths:
        image = ImageOps.fit(Image.open(path).convert('RGB'), (32, 32), Image.Resampling.BICUBIC)
        pixels = torch.tensor(np.array(image)).permute(2, 0, 1)[None] / 127.5 - 1
        rows.append(network.encode(pixels)[0].numpy())
    return np.stack(rows)


def test_the_plan_has_one_candidate_set_after_the_other(finished):
    requests = Plan.load(finished.work / 'plan.json').requests
    assert len(requests) == len(WNIDS) * IPC * SETS and len({request.seed for request in requests}) == len(requests)
    assert [request.candidate for request in requests] == sorted(request.candidate for request in requests)
    assert [request.id for request in requests[9:12]] == [f'{wnid}/00000_1' for wnid in WNIDS]
    by_id = {request.id: request for request in requests}
    assert by_id[f'{WNIDS[0]}/00002'].latent == by_id[f'{WNIDS[0]}/00002_2'].latent == 'prototypes.safetensors#0/2'
    assert ('Plan: 27 images from 18 real ones, 3 candidates for each of 9 that are kept, 3 per class for 3 classes'
            ) in finished.log


def test_the_set_is_the_choice_by_these_features(finished, photos, encoder):  # noqa: F811
    choice, first, last = finished.manifest['extra']['choice'], 0, 0
    for label, wnid in enumerate(WNIDS):
        made = encoded(encoder, [finished.work / f'candidates/train/{wnid}/{number:05d}{suffix}.JPEG'
                                 for number in range(IPC) for suffix in ('', '_1', '_2')])
        real = encoded(encoder, sorted((photos / 'train' / wnid).iterdir()))
        found = CoverageChoice()(made.reshape(IPC, SETS, -1), real, label)
        assert choice['candidates'][wnid] == found.candidates.tolist()
        first, last = (total + found.report[name] / 3 for total, name in
                       ((first, 'objective_first'), (last, 'objective')))
        for number, candidate in enumerate(found.candidates.tolist()):
            name = f'train/{wnid}/{number:05d}{f"_{candidate}" * (candidate > 0)}.JPEG'
            assert (finished.set / name).read_bytes() == (finished.work / 'candidates' / name).read_bytes()
    assert choice['means']['objective_first'] == pytest.approx(first, abs=1e-3)
    assert choice['means']['objective'] == pytest.approx(last, abs=1e-3) and last > first
    assert f'objective {first:.4g} -> {last:.4g}, cosine' in finished.log
    assert any(map(any, choice['candidates'].values()))  # not always set 0


def test_it_is_an_ordinary_set(finished, tree, tmp_path):
    assert verify_set(finished.set) == [] and len(finished.manifest['images']) == len(WNIDS) * IPC
    assert len(list((finished.work / 'candidates').rglob('*.JPEG'))) == len(WNIDS) * IPC * SETS
    assert len((finished.set / 'meta/train.txt').read_text().splitlines()) == len(WNIDS) * IPC
    assert [image['classes'] for image in finished.manifest['images'][:4]] == [[0], [1], [2], [0]]
    main(['export', str(finished.work), str(tmp_path / 'out')])
    assert len(list((tmp_path / 'out').rglob('*.JPEG'))) == len(WNIDS) * IPC
    main(['report', str(finished.work), '--out', str(tmp_path / 'page.html')])
    assert (tmp_path / 'page.html').stat().st_size > 9999


def test_weights_are_the_shares_of_the_prototypes(finished):
    clusters = ClassClusters.load(finished.work / 'prototypes.safetensors')
    for label, count in enumerate(COUNTS):
        weights = [image['weight'] for image in finished.manifest['images'] if image['classes'] == [label]]
        counts = clusters.counts[label]
        expected = IPC * counts / count if len(counts) == IPC else [0.75, 1.5, 0.75]  # 0 and 2 share one prototype
        assert weights == pytest.approx(list(expected)) and sum(weights) == pytest.approx(IPC)
    assert finished.manifest['extra']['image_weights'] == dict(type='ClusterShares', by='prototype')


def test_two_processes_give_the_same_bytes(tools, config, finished, tree, tmp_path):
    tools.in_two_processes('distill', config, '--work-dir', tmp_path)
    assert tree(tmp_path / 'distilled') == tree(finished.set)


DMGD = dict(type='GuidedSynthesisHook', objectives=[dict(type='TransportMatching')], window=(0.25, 0.75), scale=0.5,
            support=dict(n_clusters=4, batch_size=4), through='linear', update='prev', step='sigma', norm='rms')
CGS = dict(type='GuidedSynthesisHook', objectives=[dict(type='SetMatching')], window=(0, 1), scale=30.0, update='prev',
           norm='none', support=dict(n_clusters=1, batch_size=4))


@pytest.mark.parametrize('guidance', [DMGD, CGS], ids=['greedy', 'joint'])
def test_guidance_that_compares_images_does_so_within_a_candidate_set(tools, config, encoder, tree, tmp_path, guidance):
    """Set 0 equals the set without candidates; choice and weights do not depend on the batches."""
    def distil(name, *arguments, sets=1, hooks=()):
        plan = dict(type='ClassPlanHook', ipc=2, **(dict(candidates=sets) if sets > 1 else {}))
        generator = dict(num_steps=8, scheduler=dict(_delete_=True, type='DDPMScheduler', timestep_spacing='linspace'))
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        text = f'model = dict(generator={generator!r})\ncustom_hooks = {[plan, guidance, *hooks]!r}'
        done = tools('distill', derive(config, folder, text), '--work-dir', folder / 'work', *arguments)
        assert done.returncode == 0, done.stderr[-2000:]
        return folder / 'work'

    more = [dict(type='CandidateChoiceHook', encoder=encoder),
            dict(type='ImageWeightsHook', weights=dict(type='ClusterShares', by='nearest'))]
    alone, several = distil('alone'), distil('several', sets=2, hooks=more)
    first = {name: data for name, data in tree(several / 'candidates').items() if '_1.' not in name}
    assert len(first) == (12 if guidance is DMGD else 6)  # images, and latents of the greedy one
    assert first == {name: data for name, data in tree(alone / 'distilled').items() if 'meta' not in name}
    other = distil('other', '--cfg-options', 'test_dataloader.batch_size=1', sets=2, hooks=more)
    assert tree(other / 'distilled') == tree(several / 'distilled')
    images = read_manifest(several / 'distilled')['images']
    assert len(images) == 6 and sum(image['weight'] for image in images) == pytest.approx(6)
    assert all(('latents' in image) == (guidance is DMGD) for image in images)
    assert verify_set(several / 'distilled') == []


def test_an_edited_plan_without_some_candidates(tools, config, finished, tmp_path):
    shutil.copy(finished.work / 'plan.json', tmp_path / 'plan.json')
    plan = json.loads((tmp_path / 'plan.json').read_text())
    plan['requests'].pop()
    (tmp_path / 'plan.json').write_text(json.dumps(plan))
    done = tools('distill', config, '--work-dir', tmp_path, '--resume')
    assert done.returncode == 1 and not (tmp_path / 'candidates').exists()
    assert f"candidate sets of 3, 3, 2 images for class '{WNIDS[2]}', and 3 of one size are needed" in done.stderr


KILLED = dict(
    choice='import mmdistill.engine.finishing as f, os\nf.choose = lambda run, encoder: os.kill(os.getpid(), 9)',
    copy='import mmdistill.engine.choosing as c, os\nw, n = c.write_atomic, []\n'
         'def write(*args):\n    n.append(w(*args))\n    len(n) < 4 or os.kill(os.getpid(), 9)\nc.write_atomic = write',
    weights='import mmdistill.engine.finishing as f, os\nf.weigh = lambda run, plan: os.kill(os.getpid(), 9)',
    manifest='import mmdistill.engine.finishing as f, os\nf.write_manifest = lambda *args: os.kill(os.getpid(), 9)')


@pytest.mark.parametrize('place', KILLED)
def test_killed_while_it_finishes(tools, config, finished, tree, tmp_path, place):
    done = tools('distill', config, '--work-dir', tmp_path, before=KILLED[place])
    assert done.returncode == -9 and 'meta/distilled.json' not in tree(tmp_path / 'distilled')
    assert tools('distill', config, '--work-dir', tmp_path).returncode == 1  # it does not start again without --resume
    done = tools('distill', config, '--work-dir', tmp_path, '--resume')
    assert done.returncode == 0 and '27 images exist, 0 are to be generated' in done.stdout, done.stderr
    assert tree(tmp_path / 'distilled') == tree(finished.set)


def test_killed_among_the_candidates(tools, config, finished, tree, tmp_path):
    arguments = ('distill', config, '--work-dir', tmp_path, '--cfg-options', 'test_dataloader.batch_size=1')
    tools.killed(*arguments, when=lambda: len(list((tmp_path / 'candidates').rglob('*.JPEG'))) >= 11)
    assert not (tmp_path / 'distilled').exists()
    damaged = tmp_path / 'candidates/train' / WNIDS[1] / '00000.JPEG'
    damaged.write_bytes(damaged.read_bytes()[:-9])
    done = tools('distill', config, '--work-dir', tmp_path, '--resume')
    assert done.returncode == 0, done.stderr
    assert tree(tmp_path / 'distilled') == tree(finished.set)


def test_another_choice_and_other_weights_of_the_same_candidates(tools, config, encoder, finished, tree, tmp_path):
    shutil.copytree(finished.work, tmp_path / 'run')
    (tmp_path / 'run/distilled/train' / WNIDS[0] / 'mine.JPEG').write_bytes(b'x')
    hooks = [dict(type='PrototypeHook', ipc=IPC, batch_size=4, candidates=SETS),
             dict(type='CandidateChoiceHook', encoder=encoder, choice=dict(type='CoverageChoice', alpha=1.0, beta=0.0)),
             dict(type='ImageWeightsHook', weights=dict(type='ClusterShares', by='nearest'))]
    other = derive(config, tmp_path, f'custom_hooks = {hooks!r}')
    done = tools('distill', other, '--work-dir', tmp_path / 'run', '--resume')
    assert done.returncode == 0 and '27 images exist, 0 are to be generated' in done.stdout, done.stderr
    assert re.search(r'1 files in \S+ that do not belong to the set are removed, .*mine.JPEG', done.stdout)
    manifest = read_manifest(tmp_path / 'run/distilled')
    assert manifest['config_hash'] == finished.manifest['config_hash']
    assert manifest['extra']['choice']['candidates'] != finished.manifest['extra']['choice']['candidates']
    assert verify_set(tmp_path / 'run/distilled') == []
    assert tree(tmp_path / 'run/candidates') == tree(finished.work / 'candidates')
    done = tools('distill', config, '--work-dir', tmp_path / 'run', '--resume')
    assert done.returncode == 0 and tree(tmp_path / 'run/distilled') == tree(finished.set)


def test_weights_by_the_nearest_real_images_of_a_plain_run(tools, config, class_weights, photos, tmp_path):  # noqa: F811
    """Added to a finished run; against distances of latents one by one."""
    hooks = [dict(type='ClassPlanHook', ipc=2)]
    plain = derive(config, tmp_path, f'custom_hooks = {hooks!r}')
    assert tools('distill', plain, '--work-dir', tmp_path / 'run').returncode == 0
    before = read_manifest(tmp_path / 'run/distilled')
    assert not any('weight' in image for image in before['images']) and not (tmp_path / 'run/candidates').exists()
    hooks.append(dict(type='ImageWeightsHook', weights=dict(type='ClusterShares', by='nearest')))
    (tmp_path / 'weighed').mkdir()
    weighed = derive(config, tmp_path / 'weighed', f'custom_hooks = {hooks!r}')
    done = tools('distill', weighed, '--work-dir', tmp_path / 'run', '--resume')
    assert done.returncode == 0 and 'Image weights by nearest: ' in done.stdout, done.stderr
    manifest = read_manifest(tmp_path / 'run/distilled')
    latents = dict(type='LatentEncoder', vae=str(class_weights), image_size=32, device='cpu')
    for label, wnid in enumerate(WNIDS):
        images = [image for image in manifest['images'] if image['classes'] == [label]]
        # Written at 24 pixels, encoded at 32.
        made = encoded(latents, [tmp_path / 'run/distilled' / image['image'] for image in images])
        real = encoded(latents, sorted((photos / 'train' / wnid).iterdir()))
        nearest = [int(np.argmin([((one - other) ** 2).sum() for other in made])) for one in real]
        expected = [2 * nearest.count(i) / len(real) for i in range(2)]
        assert [image['weight'] for image in images] == pytest.approx(expected)
    assert manifest['extra']['image_weights']['by'] == 'nearest'
    shutil.copytree(tmp_path / 'run', tmp_path / 'again')
    done = tools('distill', weighed, '--work-dir', tmp_path / 'again', '--resume')
    assert done.returncode == 0 and 'The weights of the images in' not in done.stdout + done.stderr
    for expected in (1, 0):  # said once
        done = tools('distill', plain, '--work-dir', tmp_path / 'again', '--resume')
        assert done.returncode == 0
        assert done.stdout.count('are removed, since the config has no ImageWeightsHook') == expected
    assert not any('weight' in image for image in read_manifest(tmp_path / 'again/distilled')['images'])
    two = tmp_path / 'two'
    tools.in_two_processes('distill', weighed, '--work-dir', two)
    assert [image['weight'] for image in read_manifest(two / 'distilled')['images']] == [
        image['weight'] for image in manifest['images']]


def test_image_k_is_guided_to_the_point_from_which_it_starts(tools, config, tmp_path):
    """Support points and weights read real images as the prototypes do; other strategies are said to be unpaired."""
    def run(name, prototypes, support):
        hooks = [dict(type='PrototypeHook', ipc=2, batch_size=4, **prototypes),
                 dict(type='GuidedSynthesisHook', objectives=[dict(type='PointMatching')], update='prev', norm='none',
                      support=dict(n_clusters=None, **support)),
                 dict(type='ImageWeightsHook', weights=dict(by='nearest'))]
        (tmp_path / name).mkdir()
        path = derive(config, tmp_path / name, f'custom_hooks = {hooks!r}')
        done = tools('distill', path, '--work-dir', tmp_path / name / 'work')
        assert done.returncode == 0, done.stderr[-2000:]
        weights = read_manifest(tmp_path / name / 'work/distilled')['extra']['image_weights']
        points = [ClassClusters.load(tmp_path / name / f'work/{file}.safetensors').centers
                  for file in ('prototypes', 'support_points')]
        same = all(np.array_equal(points[0][label], points[1][label]) for label in points[0])
        return same, weights['crop'], 'belongs to other images' in done.stdout

    assert run('inherited', dict(crop=False), {}) == (True, False, False)
    assert run('other', dict(crop=False), dict(crop=True)) == (False, False, False)
    assert run('drawn', dict(strategy='density'), {}) == (False, True, True)
    assert run('both', dict(strategy='density', random_state=3), dict(strategy='density')) == (True, True, False)


def test_a_manifest_with_a_bad_weight_is_refused(finished, tmp_path):
    shutil.copytree(finished.set, tmp_path / 'set')
    path = tmp_path / 'set/meta/distilled.json'
    for value in ('-1', 'Infinity', 'NaN', '"1"', 'null'):
        content = json.loads(path.read_text())
        content['images'][3]['weight'] = json.loads(value)
        path.write_text(json.dumps(content))
        with pytest.raises(SystemExit, match='images.3.weight'):
            main(['verify', str(tmp_path / 'set')])


CHOICE = dict(encoder=dict(type='LatentEncoder', vae='mmdistill://objects', image_size=64))
PLAN = dict(ipc=2, candidates=2)
MISTAKES = [
    (dict(ClassPlanHook=dict(ipc=2), CandidateChoiceHook=CHOICE), 'one candidate for each image: set candidates=5 in'),
    (dict(ClassPlanHook=PLAN), "no hook chooses among them: add dict(type='CandidateChoiceHook', ...)"),
    (dict(ClassPlanHook=dict(ipc=2, candidates=0)), 'candidates=0 is out of range'),
    (dict(ClassPlanHook=PLAN, CandidateChoiceHook={}), 'CandidateChoiceHook needs encoder'),
    (dict(ClassPlanHook=PLAN, CandidateChoiceHook=dict(CHOICE, choice=dict(type='CoverageChoic'))),
     'did you mean CoverageChoice?'),
    (dict(ClassPlanHook=PLAN, CandidateChoiceHook=dict(CHOICE, choice=dict(type='CoverageChoice', alpha=-1))),
     'choice.alpha=-1 is out of range'),
    (dict(ClassPlanHook=PLAN, CandidateChoiceHook=dict(encoder=dict(type='LatentEncoder', vae='x'))),
     'CandidateChoiceHook.encoder: LatentEncoder needs image_size'),
    (dict(ClassPlanHook=dict(ipc=2), ImageWeightsHook={}),
     "by='prototype' needs images that start from prototypes: plan by PrototypeHook, or set by='nearest'"),
    (dict(PrototypeHook=dict(ipc=2), ImageWeightsHook=dict(weights=dict(type='ClusterShares', by='mass'))),
     "weights.by='mass' is unknown: set it to 'prototype' or 'nearest'"),
    (dict(PrototypeHook=dict(ipc=2), ImageWeightsHook=dict(weights=dict(type='ClusterShare'))),
     'did you mean ClusterShares?'),
    (dict(ClassPlanHook=PLAN, CandidateChoiceHook=dict(encoder=dict(CHOICE['encoder'], vae='work_dirs/none'))),
     'CandidateChoiceHook.encoder.vae: no weights at work_dirs/none'),
    (dict(PrototypeHook=dict(ipc=2, strategy='density'), ImageWeightsHook={}),
     "the prototypes of strategy='density' are single images"),
    (dict(ClassPlanHook=PLAN, CandidateChoiceHook=dict(CHOICE, choice=dict(alpha=-1))), 'alpha=-1 is out of range'),
    (dict(PrototypeHook=dict(ipc=2), ImageWeightsHook=dict(weights=dict(by='mass'))), "weights.by='mass' is unknown"),
]


@pytest.mark.parametrize(('hooks', 'expected'), MISTAKES)
def test_mistakes_are_found_before_anything_is_read(hooks, expected, tmp_path):
    config = Path(tmp_path, 'config.py')
    listed = [dict(type=name, **settings) for name, settings in hooks.items()]
    config.write_text(f"_base_ = 'mmdistill::quickstart/d4m_objects-64px.py'\ncustom_hooks = {listed!r}\n")
    with pytest.raises(SystemExit, match=f'^error: .*{re.escape(expected)}'):
        main(['distill', str(config), '--dry-run', '--work-dir', str(tmp_path / 'x')])


def test_segmentation_has_neither(tmp_path):
    config = Path(tmp_path, 'config.py')
    for hook, expected in ((dict(type='CandidateChoiceHook', **CHOICE), 'CoverageChoice is for classes, but .* is for '
                            'segmentation: leave CandidateChoiceHook out\n?$'),
                           (dict(type='ImageWeightsHook'), 'ClusterShares is for classes, but .* is for segmentation: '
                            'leave ImageWeightsHook out\n?$')):
        listed = [dict(type='MaskSelectionHook', selector=dict(type='ClassBalancedGreedy', budget=2)), hook]
        config.write_text(f"_base_ = 'mmdistill::quickstart/d3s2_streets-64x64.py'\ncustom_hooks = {listed!r}\n")
        with pytest.raises(SystemExit, match=f'^error: .*{expected}'):
            main(['distill', str(config), '--dry-run', '--work-dir', str(tmp_path / 'x')])
