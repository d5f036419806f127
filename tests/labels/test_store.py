"""The store against a naive one in float64; stores that are truncated, incomplete, resumed or of other data."""
import json

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from mmdistill.errors import DistillError
from mmdistill.labels import LabelStore, LabelWriter

IMAGES, EPOCHS, K = 5, 4, 30


def header(**changes):
    return dict(dict(num_classes=K, top_k=10, temperature=2.0, images=IMAGES, epochs=EPOCHS, set='s', augmentation='a',
                     teacher='t', classes=[f'c{i}' for i in range(K)]), **changes)


@pytest.fixture
def logits():
    return np.random.default_rng(0).normal(size=(EPOCHS * IMAGES, K)) * 3


def write(path, logits, batch=3, **changes):
    writer = LabelWriter(path, header(**changes))
    for i in range(writer.done, len(logits), batch):
        writer.append(logits[i:i + batch])
    return writer.finish()


def scores_of(store):
    head = store.header
    return np.stack([store.scores(i, epoch) for epoch in range(head['epochs']) for i in range(head['images'])])


def test_top_k_and_the_tail_of_the_first_class(tmp_path, logits):
    store = write(tmp_path, logits)
    exact, scores = softmax(logits / 2, 1), scores_of(store)
    np.testing.assert_allclose(scores.sum(1), 1, atol=1e-6)
    assert scores.min() >= 0 and scores.dtype == np.float32
    for probabilities, found in zip(exact, scores):
        order = np.argsort(-probabilities)
        np.testing.assert_allclose(found[order[:10]], probabilities[order[:10]], rtol=2e-3)
        same = [i for i in range(len(logits)) if logits[i].argmax() == order[0]]
        tail = np.exp(np.mean([logits[i] for i in same], axis=0)[order[10:]] / 2)
        np.testing.assert_allclose(found[order[10:]], probabilities[order[10:]].sum() * tail / tail.sum(), rtol=5e-3)


def test_all_logits(tmp_path, logits):
    store = write(tmp_path, logits, top_k=None)
    np.testing.assert_allclose(scores_of(store), softmax(logits / 2, 1), rtol=5e-3)
    full = 2 * K * IMAGES * EPOCHS
    assert full <= store.nbytes < full + 20000


@pytest.mark.parametrize('classes', [2, 10])
def test_few_classes_lose_nothing(tmp_path, logits, classes):
    few = logits[:, :classes]
    store = write(tmp_path, few, num_classes=classes)
    np.testing.assert_allclose(scores_of(store), softmax(few / 2, 1), rtol=2e-3)


def test_loss_and_size_at_1000_classes(tmp_path):
    """40 times smaller; the student's loss, cross-entropy with soft labels, within 1 %."""
    rng = np.random.default_rng(0)
    groups, own = rng.normal(size=(25, 64)), rng.normal(size=(1000, 64))
    weights = (groups[np.arange(1000) % 25] + own) / np.sqrt(128)
    labels = rng.integers(1000, size=2000)
    teacher = (weights[labels] * 14 + rng.normal(size=(2000, 64)) * 0.8) @ weights.T
    student = 0.6 * teacher + rng.normal(size=teacher.shape)
    store = write(tmp_path, teacher, batch=200, num_classes=1000, temperature=1.0, images=500, classes=[])
    record = (tmp_path / 'labels.bin').stat().st_size / 2000
    assert 2000 / record >= 40
    scores, target = scores_of(store), softmax(teacher, 1)
    assert 0.3 < target.max(1).mean() < 0.99  # neither one-hot nor flat
    loss, exact = (-(p * log_softmax(student, 1)).sum(1).mean() for p in (scores, target))
    assert abs(loss / exact - 1) < 0.01
    divergence = (target * (np.log(target) - np.log(np.maximum(scores, 1e-12)))).sum(1).mean()
    assert 0 <= divergence < 0.05


def test_an_interrupted_writer_continues(tmp_path, logits):
    reference = scores_of(write(tmp_path / 'whole', logits))
    writer = LabelWriter(tmp_path / 'part', header())
    writer.append(logits[:7])
    writer.save()
    writer.append(logits[7:12])  # never saved
    with open(tmp_path / 'part' / 'labels.bin', 'ab') as file:
        file.write(b'half a record')
    with pytest.raises(DistillError, match='unfinished: run mmdistill label'):
        LabelStore(tmp_path / 'part')
    again = LabelWriter(tmp_path / 'part', header())
    assert again.done == 7
    again.append(logits[7:])
    np.testing.assert_array_equal(scores_of(again.finish()), reference)
    # Finished: nothing is lost by opening it again, and epochs can be added.
    done = LabelWriter(tmp_path / 'part', header())
    assert done.done == done.total
    assert done.finish().header['epochs'] == EPOCHS
    longer = LabelWriter(tmp_path / 'part', header(epochs=EPOCHS + 1))
    assert (longer.done, longer.total) == (20, 25)
    longer.append(logits[:5])
    longer.finish()
    extended = np.concatenate([logits, logits[:5]])
    np.testing.assert_array_equal(scores_of(LabelStore(tmp_path / 'part')),
                                  scores_of(write(tmp_path / 'other', extended, epochs=EPOCHS + 1)))
    shorter = LabelWriter(tmp_path / 'part', header(epochs=1))
    assert shorter.finish().header['epochs'] == EPOCHS + 1
    # Stopped amid an epoch, and then wanted shorter: whole epochs.
    writer = LabelWriter(tmp_path / 'cut', header())
    writer.append(logits[:12])
    writer.save()
    cut = LabelWriter(tmp_path / 'cut', header(epochs=1)).finish()
    assert cut.header['epochs'] == 2 and len(scores_of(cut)) == 10
    assert LabelWriter(tmp_path / 'cut', header()).done == 10


def test_damage(tmp_path, logits):
    with pytest.raises(DistillError, match='does not exist: run mmdistill label'):
        LabelStore(tmp_path / 'none')
    for name in ('labels.bin', 'labels.json', 'tails.npy'):
        write(tmp_path / name, logits)
        file = tmp_path / name / name
        file.write_bytes(file.read_bytes()[:-9])
        with pytest.raises(DistillError, match='is damaged .*: delete it and run') as caught:
            LabelStore(tmp_path / name)
        assert '\n' not in str(caught.value)
    for name in ('labels.bin', 'tails.npy'):
        write(tmp_path / 'changed' / name, logits)
        file = tmp_path / 'changed' / name / name
        file.write_bytes(file.read_bytes()[:-1] + b'!')
        with pytest.raises(DistillError, match=f'is damaged .{name} was changed: .*: delete it and run'):
            LabelStore(file.parent)
    with pytest.raises(DistillError, match=r'is damaged \(labels.bin was changed\): delete it'):
        LabelWriter(tmp_path / 'changed/labels.bin', header())
    with pytest.raises(DistillError, match='was truncated: delete it'):
        LabelWriter(tmp_path / 'labels.bin', header())
    progress = tmp_path / 'tails.npy' / 'progress.npz'
    for data in (b'PK', progress.read_bytes()[:-40], b''):
        progress.write_bytes(data)
        with pytest.raises(DistillError, match='is damaged'):
            LabelWriter(tmp_path / 'tails.npy', header())
    progress.unlink()
    with pytest.raises(DistillError, match='cannot be continued'):
        LabelWriter(tmp_path / 'tails.npy', header())


def test_stores_of_something_else(tmp_path, logits):
    store = write(tmp_path, logits)
    store.check(set='s', augmentation='a', temperature=2.0, classes=[f'c{i}' for i in range(K)])
    for key, value, message in (('set', 'x', 'another set of images'), ('augmentation', 'x', 'other views'),
                                ('temperature', 3.0, r'another temperature \(2.0, not 3.0\)'),
                                ('classes', ['c1', 'c0'], 'other classes, or another order')):
        with pytest.raises(DistillError, match=message):
            store.check(**{key: value})
        before = (tmp_path / 'labels.bin').read_bytes(), json.loads((tmp_path / 'labels.json').read_text())
        with pytest.raises(DistillError, match=f'begun with another {key}: delete it or choose another store'):
            LabelWriter(tmp_path, header(**{key: value}))
        assert before == ((tmp_path / 'labels.bin').read_bytes(), json.loads((tmp_path / 'labels.json').read_text()))


def test_logits_that_are_not_finite(tmp_path, logits):
    writer = LabelWriter(tmp_path, header())
    for value in (np.nan, 1e6):
        logits[1, 2] = value
        with pytest.raises(DistillError, match='not finite: check its weights'):
            writer.append(logits)
    assert writer.done == 0
