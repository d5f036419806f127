"""S³: the objective against a naive form, the choice against all choices."""
import itertools
import math

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from mmdistill.choice import CoverageChoice
from mmdistill.errors import DistillError
from mmdistill.selection import LatentClusters


def features(seed, images=4, candidates=3, real=40, size=6):
    rng = np.random.default_rng(seed)
    centre = rng.normal(size=size) + 2
    return rng.normal(size=(images, candidates, size)) + centre, rng.normal(size=(real, size)) + centre


def cos(a, b):
    return sum(x * y for x, y in zip(a, b)) / math.sqrt(sum(x * x for x in a)) / math.sqrt(sum(y * y for y in b))


def centroids_of(candidates, real, label=0, random_state=0):
    """r_i of each image, by all assignments."""
    centres = LatentClusters(len(candidates), label, random_state).partial_fit(real).finish().centers_.astype(float)
    best = [[max(-math.log(max(1 - cos(c, r), 1e-6)) for c in image) for r in centres] for image in candidates]
    order = max(itertools.permutations(range(len(centres)), len(candidates)),
                key=lambda order: sum(best[i][k] for i, k in enumerate(order)))
    return [centres[k] for k in order]


def objective(kept, candidates, centroids, alpha=0.4, beta=0.9):
    rows = [image[g] for image, g in zip(candidates, kept)]
    near = sum(-math.log(max(1 - cos(c, r), 1e-6)) for c, r in zip(rows, centroids))
    apart = sum(math.log(max(1 - cos(a, b), 1e-6)) for a, b in itertools.combinations(rows, 2))
    return alpha * near + beta * apart


@pytest.mark.parametrize('seed', range(6))
@pytest.mark.parametrize('weights', [(0.4, 0.9), (1.0, 0.05), (0.0, 1.0)])
def test_no_exchange_improves_the_choice(seed, weights):
    candidates, real = features(seed)
    found = CoverageChoice(*weights)(candidates, real)
    centroids = centroids_of(candidates, real)
    value = objective(found.candidates, candidates, centroids, *weights)
    assert found.report['objective'] == pytest.approx(value, rel=1e-9)
    assert found.report['objective_first'] == pytest.approx(objective([0] * 4, candidates, centroids, *weights))
    assert found.report['cosine'] == pytest.approx(np.mean([
        cos(image[g], r) for image, g, r in zip(candidates, found.candidates, centroids)]))
    for row, other in itertools.product(range(4), range(3)):
        neighbour = found.candidates.copy()
        neighbour[row] = other
        assert objective(neighbour, candidates, centroids, *weights) <= value + 1e-8
    for one in range(3):
        assert objective([one] * 4, candidates, centroids, *weights) <= value + 1e-8


def test_it_is_mostly_the_best_of_all_choices():
    best = 0
    for seed in range(20):
        candidates, real = features(seed, images=5)
        found, centroids = CoverageChoice()(candidates, real), centroids_of(candidates, real)
        values = [objective(kept, candidates, centroids) for kept in itertools.product(range(3), repeat=5)]
        best += found.report['objective'] >= max(values) - 1e-8
        assert found.report['objective'] <= max(values) + 1e-8
    assert best >= 15


def test_coverage_alone_chooses_the_nearest_candidates():
    candidates, real = features(3)
    found, centroids = CoverageChoice(beta=0)(candidates, real), centroids_of(candidates, real)
    assert found.candidates.tolist() == [int(np.argmax([cos(c, r) for c in image])) for image, r in
                                         zip(candidates, centroids)]


def test_an_obvious_case():
    """Candidate 1 of each image is at a different centroid; the other candidates are all similar."""
    real = np.repeat(np.eye(4), 5, axis=0)
    candidates = np.ones((4, 3, 4)) + 0.01 * np.random.default_rng(0).normal(size=(4, 3, 4))
    candidates[:, 1] = np.eye(4)[[2, 0, 3, 1]]
    found = CoverageChoice()(candidates, real)
    assert found.candidates.tolist() == [1, 1, 1, 1] and found.report['cosine'] == pytest.approx(1)


def test_scale_and_rotation_do_not_matter():
    candidates, real = features(5)
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(6, 6)))[0]
    expected = CoverageChoice()(candidates, real)
    scales = np.random.default_rng(2).uniform(0.1, 9, (4, 3, 1))
    for changed in (CoverageChoice()(candidates * scales, 7 * real),
                    CoverageChoice()(candidates @ rotation, real @ rotation)):
        assert changed.candidates.tolist() == expected.candidates.tolist()
        assert changed.report == pytest.approx(expected.report, rel=1e-5)


def test_equal_features_and_zeros_are_finite():
    found = CoverageChoice()(np.ones((3, 2, 5)), np.ones((9, 5)))
    assert found.candidates.tolist() == [0, 0, 0]
    assert found.report['objective'] == pytest.approx((3 * 0.4 - 3 * 0.9) * -math.log(1e-6))
    assert np.isfinite(list(CoverageChoice()(np.zeros((3, 2, 5)), np.zeros((9, 5))).report.values())).all()


def test_fewer_real_images_than_images():
    candidates, real = features(0, images=5, real=2)
    found = CoverageChoice()(candidates, real)
    centres = real[np.arange(5) % 2]
    best = -np.log(1 - np.array([[max(cos(c, r) for c in image) for r in centres] for image in candidates]))
    order = linear_sum_assignment(-best)[1]
    assert found.report['objective'] == pytest.approx(objective(found.candidates, candidates, centres[order]))


def test_one_image_takes_the_candidate_nearest_to_the_mean():
    candidates, real = features(1, images=1)
    expected = int(np.argmax([cos(c, real.mean(0)) for c in candidates[0]]))
    assert CoverageChoice()(candidates, real).candidates.tolist() == [expected]


def test_bad_features():
    candidates, real = features(0)
    with pytest.raises(DistillError, match=r'do not fit: give \(n, G, D\)'):
        CoverageChoice()(candidates[:, 0], real)
    candidates[0, 0, 0] = np.nan
    with pytest.raises(DistillError, match='class 3 are not finite'):
        CoverageChoice()(candidates, real, 3)
    with pytest.raises(DistillError, match='alpha=-1 is out of range'):
        CoverageChoice(alpha=-1)
