"""Clusters of latents against scikit-learn's KMeans and naive forms, for any batches of the stream."""
import warnings

import numpy as np
import pytest
import sklearn.cluster
from sklearn.base import clone
from sklearn.cluster import KMeans, MiniBatchKMeans
from threadpoolctl import threadpool_limits
from threadpoolctl import threadpool_info

from mmdistill.errors import DistillError
from mmdistill.selection import ClassClusters, LatentClusters, NearestLatents

SHAPE = (2, 3, 2)
LIMIT = 'mmdistill.selection.clusters._MAX_BYTES'


@pytest.fixture
def streamed(monkeypatch):
    """Every class is too large to be clustered at once."""
    monkeypatch.setattr(LIMIT, 0)


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
    assert model.inertia_ == pytest.approx(expected.inertia_, rel=1e-6)
    np.testing.assert_array_equal(model.latents_, latents)


@pytest.mark.parametrize('shape', [(300, *SHAPE), (3000, 1)])  # the second takes over a hundred iterations
def test_a_fixed_point_of_lloyds_iteration(shape):
    """Without modes: every image is at its nearest centre, every centre the mean of its images, in float64."""
    latents = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    model = cluster(latents, 7)
    rows, centers = latents.reshape(len(latents), -1).astype(float), model.centers_.reshape(7, -1).astype(float)
    squares = ((rows[:, None] - centers)**2).sum(2)
    nearest = squares.argmin(1)
    np.testing.assert_array_equal(model.counts_, np.bincount(nearest, minlength=7))
    assert model.inertia_ == pytest.approx(squares.min(1).sum(), rel=1e-6)
    for index, center in enumerate(centers):
        np.testing.assert_array_equal(center, rows[nearest == index].mean(0).astype(np.float32))


def test_the_best_of_three_starts():
    latents = np.random.default_rng(0).normal(size=(300, 5)).astype(np.float32)
    single = [KMeans(9, n_init=1, tol=0, random_state=seed).fit(latents).inertia_ for seed in range(60)]
    made = np.array([cluster(latents, 9, random_state=seed).inertia_ for seed in range(20)])
    assert made.mean() < np.mean(np.min(np.reshape(single, (20, 3)), 1)) + np.std(single) / 2 < np.mean(single)
    streaming = MiniBatchKMeans(9, n_init=1, random_state=0).partial_fit(latents[:256]).partial_fit(latents[256:])
    assert made.max() < np.square(latents[:, None] - streaming.cluster_centers_).sum(2).min(1).sum()


def test_one_cluster_is_the_mean():
    latents = 1000 + np.random.default_rng(0).normal(size=(500, *SHAPE)).astype(np.float32)
    model = cluster(latents, 1)
    np.testing.assert_array_equal(model.centers_[0], latents.astype(float).mean(0).astype(np.float32))
    assert model.counts_.tolist() == [500]
    assert model.inertia_ == pytest.approx(latents.astype(float).var(0).sum() * 500, rel=1e-9)


def test_a_class_over_the_limit_is_streamed(monkeypatch):
    latents = np.random.default_rng(0).normal(size=(600, *SHAPE)).astype(np.float32)
    whole = cluster(latents)
    monkeypatch.setattr(LIMIT, latents.nbytes)
    np.testing.assert_array_equal(cluster(latents).centers_, whole.centers_)
    monkeypatch.setattr(LIMIT, latents.nbytes - 1)
    other = cluster(latents)
    assert other.latents_ is None and other.counts_.sum() == 600 and other.inertia_ > whole.inertia_


@pytest.mark.parametrize('limit, name', [(0, 'MiniBatchKMeans.partial_fit'), (1 << 30, 'KMeans.fit')])
def test_the_number_of_threads_does_not_matter(monkeypatch, limit, name):
    """scikit-learn sums in another order on two threads. Labels seldom show it, so the threads are counted too."""
    latents = np.random.default_rng(0).normal(size=(1300, 512)).astype(np.float32)
    monkeypatch.setattr(LIMIT, limit)
    made, threads, (kind, method) = [], set(), name.split('.')
    original = getattr(sklearn.cluster, kind)

    def counted(self, rows):
        threads.update(pool['num_threads'] for pool in threadpool_info())
        return getattr(original, method)(self, rows)

    monkeypatch.setattr(f'mmdistill.selection.clusters.{kind}', type('Counted', (original, ), {
        '__init__': original.__init__, method: counted}))
    for number in (1, 2, 3):
        with threadpool_limits(number):
            made.append(cluster(latents, 10))
    assert len({model.centers_.tobytes() for model in made}) == len({model.inertia_ for model in made}) == 1
    assert threads == {1}


def test_fewer_different_images_than_clusters():
    latents = np.repeat(blobs(2), 5, 0)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        model = cluster(latents, 3)
    assert sorted(model.counts_) == [0, 5, 5] and model.inertia_ == pytest.approx(0, abs=1e-9)
    distances = np.abs(model.centers_[:, None] - blobs(2)).max((2, 3, 4))
    assert distances.min(1).max() < 1e-6, 'a centre of no image is another one twice'
    medoids = NearestLatents(model.centers_).partial_fit(latents).latents_
    assert {row.tobytes() for row in medoids} == {row.tobytes() for row in latents}


@pytest.mark.parametrize('n_clusters, count, steps', [
    (4, 600, [256, 256, 88]), (4, 512, [256, 256]), (80, 700, [320, 320, 60]),
    (5000, 17000, [16384, 616])])
def test_a_stream_equals_scikit_learn(monkeypatch, streamed, n_clusters, count, steps):
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
        with threadpool_limits(1):  # two threads round differently
            expected.partial_fit(latents[start:start + step].reshape(step, -1))
        counts = counts + np.bincount(expected.labels_, minlength=n_clusters)
        start, inertia = start + step, inertia + expected.inertia_
    np.testing.assert_array_equal(model.centers_.reshape(n_clusters, -1), expected.cluster_centers_)
    np.testing.assert_array_equal(model.counts_, counts)
    assert model.inertia_ == pytest.approx(inertia, rel=1e-12)


def test_no_image_of_a_stream_is_left_out(streamed):
    """260 images, steps of 256: the last 4 belong to a separate mode and move a centre."""
    latents = (np.random.default_rng(0).normal(size=(260, 3)) / 10).astype(np.float32)
    latents[256:] += 100
    model = LatentClusters(2).partial_fit(latents).finish()
    assert model.counts_.sum() == 260
    # Two centres amid 256 images; the rest moves one of them by its share: a dropped rest would leave both near 0.
    assert model.centers_.max() > 0.5


@pytest.mark.parametrize('limit', [0, 6000, 1 << 30])
def test_the_batches_of_the_stream_do_not_matter(monkeypatch, limit):
    monkeypatch.setattr(LIMIT, limit)
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


@pytest.mark.parametrize('n_clusters', [3, 4])
def test_no_more_images_than_clusters(n_clusters):
    latents = blobs(3)
    model = cluster(latents, n_clusters, chunk=2)
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


@pytest.mark.parametrize('chunk', [1, 7, 300])
def test_medoids(chunk):
    """Of the images of a cluster, the nearest one to its centre: the naive form, for any batches."""
    latents = np.random.default_rng(0).normal(size=(300, *SHAPE)).astype(np.float32)
    centers = cluster(latents, 7).centers_
    nearest = NearestLatents(centers)
    for start in range(0, 300, chunk):
        nearest.partial_fit(latents[start:start + chunk])
    distances = np.sqrt(((latents[:, None].astype(float) - centers)**2).sum((2, 3, 4)))
    of = distances.argmin(1)
    for center in range(7):
        members = np.flatnonzero(of == center)
        expected = latents[members[distances[members, center].argmin()]]
        np.testing.assert_array_equal(nearest.latents_[center], expected)
    assert nearest.latents_.dtype == np.float32


def test_a_medoid_belongs_to_its_cluster():
    """The centre at 0 has members at ±3; the image at 2 is nearer to it, but of the cluster at 2.5."""
    nearest = NearestLatents(np.array([[0, 0], [2.5, 0]], np.float32))
    nearest.partial_fit(np.array([[2, 0], [0, 3], [3, 0], [0, -3]], np.float32))
    assert nearest.latents_.tolist() == [[0, 3], [2, 0]]
    # A centre that is the nearest of no image gets the nearest image; an own one that comes later takes its place.
    nearest = NearestLatents(np.array([[0, 0], [2.5, 0]], np.float32)).partial_fit(np.array([[2, 0]], np.float32))
    assert nearest.latents_.tolist() == [[2, 0], [2, 0]]
    assert nearest.partial_fit(np.array([[0, 9]], np.float32)).latents_.tolist() == [[0, 9], [2, 0]]


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
        with pytest.raises(DistillError, match=f'{damage} is not a readable file of clusters'):
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
