"""Clusters of latents against scikit-learn's KMeans, for any batches of the stream."""
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.cluster import KMeans, MiniBatchKMeans

from mmdistill.errors import DistillError
from mmdistill.selection import ClassClusters, LatentClusters

SHAPE = (2, 3, 2)


def blobs(count, seed=0):
    """Images of four separated modes."""
    rng = np.random.default_rng(seed)
    modes = rng.normal(size=(4, *SHAPE)) * 10
    return (modes[rng.integers(4, size=count)] + rng.normal(size=(count, *SHAPE)) / 10).astype(np.float32)


def cluster(latents, n_clusters=4, chunk=64, **kwargs):
    model = LatentClusters(n_clusters, **kwargs)
    for i in range(0, len(latents), chunk):
        model.partial_fit(latents[i:i + chunk])
    return model.finish()


@pytest.mark.parametrize('count', [150, 256, 700])
def test_separated_modes_are_found_as_by_kmeans(count):
    latents = blobs(count)
    model = cluster(latents)
    assert model.centers_.shape == (4, *SHAPE) and model.centers_.dtype == np.float32
    expected = KMeans(4, n_init=10, random_state=0).fit(latents.reshape(count, -1).astype(float))
    distances = np.linalg.norm(model.centers_.reshape(4, 1, -1) - expected.cluster_centers_, axis=2)
    match = distances.argmin(1)
    assert sorted(match) == [0, 1, 2, 3] and distances.min(1).max() < 0.2
    assert model.counts_.dtype == np.int64
    np.testing.assert_array_equal(model.counts_, np.bincount(expected.labels_)[match])
    assert model.inertia_ == pytest.approx(expected.inertia_, rel=0.1)


@pytest.mark.parametrize('n_clusters, count, steps', [
    (4, 600, [256, 256, 88]), (4, 512, [256, 256]), (4, 4, [4]), (80, 700, [320, 320, 60]),
    (5000, 17000, [16384, 616])])
def test_it_is_scikit_learns_in_steps_of_the_class(monkeypatch, n_clusters, count, steps):
    """Steps of 256 latents or 4 clusters, the larger, and the rest; its seed is of (random_state, class id)."""
    latents = np.random.default_rng(0).normal(size=(count, 2, 1)).astype(np.float32)
    made = []

    class Recorded(MiniBatchKMeans):
        def __init__(self, n_clusters, n_init=3, random_state=None):
            super().__init__(n_clusters, n_init=n_init, random_state=random_state)
            made.append(self)
            self.sizes = []

        def partial_fit(self, rows):
            self.sizes.append(len(rows))
            if n_clusters == 5000:  # slow: the sizes are enough
                self.labels_, self.inertia_, self.cluster_centers_ = np.zeros(len(rows), int), 0, rows[:n_clusters]
                return self
            return super().partial_fit(rows)

    monkeypatch.setattr('mmdistill.selection.clusters.MiniBatchKMeans', Recorded)
    model = cluster(latents, n_clusters, label=7, random_state=3)
    assert len(made) == 1 and made[0].sizes == steps
    if n_clusters == 5000:
        return
    seed = int(np.random.SeedSequence((3, 7)).generate_state(1)[0])
    expected, counts, inertia, start = MiniBatchKMeans(n_clusters, n_init=1, random_state=seed), 0, 0.0, 0
    for step in steps:
        expected.partial_fit(latents[start:start + step].reshape(step, -1))
        counts = counts + np.bincount(expected.labels_, minlength=n_clusters)
        start, inertia = start + step, inertia + expected.inertia_
    np.testing.assert_array_equal(model.centers_.reshape(n_clusters, -1), expected.cluster_centers_)
    np.testing.assert_array_equal(model.counts_, counts)
    assert model.inertia_ == pytest.approx(inertia, rel=1e-12)


def test_one_step_is_the_mean_of_its_cluster():
    """A class that fits one step: each centre is the mean of the images that the first assignment gave it."""
    latents = blobs(150)
    model = cluster(latents)
    flat = latents.reshape(150, -1).astype(float)
    index = ((flat[:, None] - model.centers_.reshape(4, -1))**2).sum(2).argmin(1)
    means = np.stack([latents[index == i].mean(0) for i in range(4)])
    np.testing.assert_allclose(model.centers_, means, rtol=1e-4, atol=1e-4)


def test_no_image_is_left_out():
    """260 images, steps of 256: the last 4 are of a mode of their own and move a centre."""
    latents = (np.random.default_rng(0).normal(size=(260, 3)) / 10).astype(np.float32)
    latents[256:] += 100
    model = LatentClusters(2).partial_fit(latents).finish()
    assert model.counts_.sum() == 260
    # Two centres amid 256 images; the rest moves one of them by its share: a dropped rest would leave both near 0.
    assert model.centers_.max() > 0.5


def test_the_batches_of_the_stream_do_not_matter():
    latents = np.random.default_rng(0).normal(size=(600, 5))
    whole = cluster(latents, chunk=1000)
    for chunk in (1, 7, 64):
        other = cluster(latents, chunk=chunk)
        np.testing.assert_array_equal(whole.centers_, other.centers_)
        np.testing.assert_array_equal(whole.counts_, other.counts_)
        assert whole.inertia_ == other.inertia_


def test_class_and_seed_decide_the_draw():
    latents = np.random.default_rng(0).normal(size=(150, 5))  # no modes: seeds differ
    made = [cluster(latents, **kwargs).centers_ for kwargs in ({}, dict(label=1), dict(random_state=1))]
    assert not any(np.array_equal(made[a], made[b]) for a, b in ((0, 1), (0, 2), (1, 2)))


def test_fewer_images_than_clusters():
    latents = blobs(3)
    model = cluster(latents, chunk=2)
    np.testing.assert_array_equal(model.centers_, latents)
    assert model.counts_.tolist() == [1, 1, 1] and model.counts_.dtype == np.int64 and model.inertia_ == 0


def test_batches_are_copied():
    latents = blobs(20)
    model, batch = LatentClusters(30), latents.copy()
    model.partial_fit(batch)
    batch[:] = 0
    np.testing.assert_array_equal(model.finish().centers_, latents)


def test_estimator_contract():
    latents = blobs(150)
    model = LatentClusters(4, label=2, random_state=5)
    assert model.partial_fit(latents) is model and model.finish() is model
    copy = clone(model)
    assert copy.get_params() == dict(n_clusters=4, label=2, random_state=5) and not hasattr(copy, 'centers_')
    np.testing.assert_array_equal(copy.partial_fit(latents).finish().centers_, model.centers_)


def test_file(tmp_path):
    clusters = ClassClusters({3: blobs(4), 0: blobs(2)}, {3: np.array([5, 1, 1, 1]), 0: np.array([1, 1])},
                             {3: 0.1, 0: 0.0}, dict(vae='abc', n=[1, 2]))
    path = tmp_path / 'clusters.safetensors'
    clusters.save(path)
    loaded = ClassClusters.load(path)
    assert loaded.inertia == clusters.inertia and list(loaded.centers) == [0, 3]
    assert loaded.metadata == dict(vae='abc', n=[1, 2])
    np.testing.assert_allclose(loaded.masses[3], [0.625, 0.125, 0.125, 0.125])
    for label in clusters.centers:
        np.testing.assert_array_equal(loaded.centers[label], clusters.centers[label])
        np.testing.assert_array_equal(loaded.counts[label], clusters.counts[label])
        assert loaded.counts[label].dtype == np.int64
    for damage, size in (('truncated', 0.7), ('empty', 0)):
        (tmp_path / damage).write_bytes(path.read_bytes()[:int(size * path.stat().st_size)])
        with pytest.raises(DistillError, match=f'{damage} is no readable file of clusters'):
            ClassClusters.load(tmp_path / damage)
    with pytest.raises(DistillError, match='no clusters at'):
        ClassClusters.load(tmp_path / 'missing')


def test_mistakes():
    latents = blobs(20)
    for kwargs, message in ((dict(n_clusters=0), 'n_clusters=0 is out of range'),
                            (dict(n_clusters=2.0), 'n_clusters=2'),
                            (dict(n_clusters=2, label=-1), 'label=-1'),
                            (dict(n_clusters=2, random_state='x'), 'random_state')):
        with pytest.raises(DistillError, match=f'LatentClusters.{message}'):
            LatentClusters(**kwargs).partial_fit(latents)
    latents[3, 1, 0, 0] = np.nan
    with pytest.raises(DistillError, match='class 3 .number 1 of its batch. is not finite'):
        LatentClusters(2, label=3).partial_fit(latents[:2]).partial_fit(latents[2:])
    for model in (LatentClusters(2, label=3), LatentClusters(2, label=3).partial_fit(latents[:0])):
        with pytest.raises(DistillError, match='class 3 has no image'):
            model.finish()
