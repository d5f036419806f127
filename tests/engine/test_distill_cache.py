"""mmdistill distill with a cache that work dirs share: no second run encodes an image that one has encoded."""
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from mmdistill.selection import ClassClusters
from tests.engine.test_distill_classes import COUNTS, WNIDS, config, photos  # noqa: F401

# Writes a line for each image that the autoencoder encodes.
COUNTED = '''
import os
from mmdistill.generation import ClassConditionalGenerator as G
encode = G.encode
def counted(self, images):
    with open(os.environ['COUNT'], 'a') as file:
        file.write('image\\n' * len(images))
    return encode(self, images)
G.encode = counted
'''


@pytest.fixture(scope='module')
def run(tools, config, tmp_path_factory):  # noqa: F811
    """``run(*options, cache=…)``: a run in a work dir of its own: ``work``, ``log``, and the images ``encoded``."""
    folder = tmp_path_factory.mktemp('runs')

    def distill(*options, cache='', before='', start=False):
        work = folder / str(len(list(folder.iterdir())))
        work.mkdir()
        options = ('--cfg-options', *options) if options else ()
        job = tools.start('distill', config, '--work-dir', work, *options, before=COUNTED + before,
                          MMDISTILL_CACHE=str(cache), COUNT=str(work / 'count'))

        def end():
            done = tools.end(job)
            count = work / 'count'
            return SimpleNamespace(work=work, log=done.stdout, error=done.stderr, code=done.returncode,
                                   encoded=len(count.read_text().split()) if count.exists() else 0)

        return end if start else end()

    return distill


@pytest.fixture(scope='module')
def plain(run):
    done = run()
    assert done.code == 0 and done.encoded == sum(COUNTS) and 'Encoding 18 real images' in done.log, done.error
    return done


@pytest.fixture(scope='module')
def full(run, plain, tmp_path_factory):
    """A cache after one run."""
    cache = tmp_path_factory.mktemp('cache')
    first = run(cache=cache)
    assert first.code == 0 and first.encoded == sum(COUNTS), first.error
    assert 'the latents are kept in' in first.log and str(cache) in first.log
    return cache


@pytest.fixture
def cache(full, tmp_path):
    return shutil.copytree(full, tmp_path / 'cache')


def same(done, other, tree):
    assert done.code == 0, done.error[-2000:]
    assert tree(done.work / 'distilled') == tree(other.work / 'distilled')
    name = 'prototypes.safetensors'
    assert (done.work / name).read_bytes() == (other.work / name).read_bytes()
    assert (done.work / 'plan.json').read_bytes() == (other.work / 'plan.json').read_bytes()
    assert not (done.work / 'prototypes').exists()
    return done


def test_a_second_run_encodes_nothing(run, plain, cache, tree):
    before = {path: path.stat().st_mtime_ns for path in cache.rglob('*.safetensors')}
    assert len(before) == 6  # of three classes: latents and clusters
    second = same(run(cache=cache), plain, tree)
    assert second.encoded == 0 and f'0 of 3 classes to do, the others are in {cache}/clusters/' in second.log
    other = run('custom_hooks.0.ipc=2', cache=cache)
    assert other.code == 0 and other.encoded == 0, other.error
    assert 'Latents of 18 of 18 real images are read from the cache' in other.log
    uncached = run('custom_hooks.0.ipc=2')
    same(other, uncached, tree)
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_other_weights_and_other_images_are_other_entries(run, cache, class_weights, photos, plain, tree,  # noqa: F811
                                                          tmp_path):
    moved = shutil.copytree(photos, tmp_path / 'photos')  # times of change are kept
    data = f'test_dataloader.dataset.data_root={moved}'
    done = run(data, cache=cache)
    assert done.code == 0 and done.encoded == 0, done.error
    path = next((moved / 'train' / WNIDS[1]).iterdir())
    path.write_bytes(path.read_bytes() + b'\0')  # a class alone is encoded again
    done = run(data, cache=cache)
    assert done.code == 0 and done.encoded == COUNTS[1] and '1 of 3 classes to do' in done.log, done.error
    weights = shutil.copytree(class_weights, tmp_path / 'weights')
    file = weights / 'vae/diffusion_pytorch_model.safetensors'
    state = load_file(file)
    name = next(name for name in sorted(state) if name.startswith('encoder') and name.endswith('weight'))
    state[name] = state[name] + torch.eye(1)[0, 0] * 1e-3
    save_file(state, file, dict(format='pt'))
    done = run(f'model.generator.weights={weights}', cache=cache)
    assert done.code == 0 and done.encoded == sum(COUNTS), done.error
    done = run('custom_hooks.0.crop=False', cache=cache)
    assert done.code == 0 and done.encoded == sum(COUNTS), done.error


def test_damaged_entries_are_made_again(run, plain, cache, tree):
    clusters, latents = (sorted((cache / kind).rglob('*.safetensors')) for kind in ('clusters', 'latents'))
    for file in clusters:
        file.write_bytes(file.read_bytes()[:-1])
    data = latents[0].read_bytes()
    latents[0].write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    latents[1].write_bytes(b'')
    done = same(run(cache=cache), plain, tree)
    assert 0 < done.encoded < sum(COUNTS) and '3 of 3 classes to do' in done.log
    assert latents[0].read_bytes() == data
    assert run(cache=cache).encoded == 0


def test_an_interrupted_run_leaves_its_classes_to_any_other(run, plain, cache, tree):
    shutil.rmtree(cache)
    broken = run(cache=cache, before='''
from mmdistill.selection import LatentClusters
finish = LatentClusters.finish
def broken(self):
    if self.label == 1:
        raise SystemExit(3)
    return finish(self)
LatentClusters.finish = broken
''')
    assert broken.code == 3 and broken.encoded > COUNTS[0]
    done = same(run(cache=cache), plain, tree)
    assert done.encoded == COUNTS[2] and '2 of 3 classes to do' in done.log


def test_two_runs_at_once(run, plain, cache, tree):
    shutil.rmtree(cache)
    for end in [run(cache=cache, start=True) for _ in range(2)]:
        same(end(), plain, tree)
    assert len(list(cache.rglob('*.safetensors'))) == 6 and not list(cache.rglob('*.tmp'))
    assert run(cache=cache).encoded == 0


def test_a_cache_that_cannot_be_used_is_refused(run, tmp_path):
    (tmp_path / 'file').write_text('')
    done = run(cache=tmp_path / 'file')
    assert done.code == 1 and done.error.splitlines()[-1].startswith('error: MMDISTILL_CACHE=') and not done.encoded
    done = run(cache=tmp_path / 'cache', before='import shutil, types\n'
               'shutil.disk_usage = lambda _: types.SimpleNamespace(free=9)')
    assert done.code == 1 and not done.encoded
    assert 'the latents of 18 real images take 0.0 GB, and 0.0 GB are free there' in done.error.splitlines()[-1]


STREAMED = '''
import mmdistill.selection.clusters as clusters
clusters._MAX_BYTES = clusters._MIN_STEP = 4
'''


def test_medoids_are_latents_of_real_images(run, cache, tree):
    """With ``ipc`` 9 each image is a prototype: all latents. A class that is streamed, in steps of 8, is read twice."""
    latents = ClassClusters.load(run('custom_hooks.0.ipc=9', cache=cache).work / 'prototypes.safetensors').centers
    assert [len(rows) for rows in latents.values()] == list(COUNTS)
    two, medoids = 'custom_hooks.0.ipc=2', 'custom_hooks.0.strategy=medoids'
    for before, encoded in (('', sum(COUNTS)), (STREAMED, sum(COUNTS) + COUNTS[1])):
        plain, cached = run(two, medoids, before=before), run(two, medoids, cache=cache, before=before)
        assert plain.encoded == encoded and cached.encoded == 0, plain.error
        same(cached, plain, tree)
        means = run(two, before=before)
        of_means, of_medoids = (ClassClusters.load(one.work / 'prototypes.safetensors') for one in (means, plain))
        for label, rows in of_medoids.centers.items():
            centers = of_means.centers[label]
            distances = np.square(latents[label][:, None].astype(float) - centers).sum((2, 3, 4))
            nearest = distances.argmin(1)
            np.testing.assert_array_equal(rows, [latents[label][distances[:, k].argmin()] for k in range(len(rows))])
            np.testing.assert_array_equal(of_medoids.counts[label], of_means.counts[label])
            if not before:
                np.testing.assert_array_equal(of_means.counts[label], np.bincount(nearest, minlength=len(centers)))
        assert tree(plain.work / 'distilled') != tree(means.work / 'distilled')
        shutil.rmtree(cache / 'clusters')
