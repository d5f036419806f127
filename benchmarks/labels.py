"""Stores of soft labels for 1 000 classes: size relative to all logits, loss of the student, time per view.

    OMP_NUM_THREADS=1 python benchmarks/labels.py

Teacher and student are synthetic: 1 000 class vectors in 12 groups of 80 sub-groups, views that mix two classes as
CutMix does, logits as confident as those of an ImageNet classifier. The store has 20 views per class; a training has
300 or more.

The loss of the student is the cross-entropy with the soft labels. The KL divergence has the same gradient, but excludes
the entropy of the teacher, which dominates at a high temperature. The ratio of the KL divergences is printed too, also
for labels whose remaining mass is spread evenly (FKD).
"""
import tempfile
import time
from functools import partial

import numpy as np
from scipy.special import log_softmax, softmax, xlogy

from mmdistill.labels import LabelStore, LabelWriter, draw_mix, seeded
from mmdistill.labels.store import record_type

CLASSES, IMAGES, EPOCHS, WIDTH, TOP_K = 1000, 1000, 20, 512, 10
STUDENTS = {'untrained': (0.0, 0.3), 'half-way': (0.5, 1.5), 'close': (0.9, 0.7)}  # share of the teacher, noise


def class_vectors() -> np.ndarray:
    """Class vectors (1000, 512), float32, of length 1."""
    rng, ids = np.random.default_rng(0), np.arange(CLASSES)
    vectors = (0.6 * rng.standard_normal((12, WIDTH))[ids % 12] + 0.8 * rng.standard_normal((80, WIDTH))[ids % 80] +
               rng.standard_normal((CLASSES, WIDTH)))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def teacher_logits(vectors: np.ndarray, epoch: int) -> np.ndarray:
    """Logits (IMAGES, 1000), float32, for one mixed view of an image of each class."""
    rng = np.random.default_rng((1, epoch))
    share = rng.random((IMAGES, 1), np.float32)
    features = share * vectors[np.arange(IMAGES) % CLASSES] + (1 - share) * vectors[rng.integers(CLASSES, size=IMAGES)]
    features += 0.9 * rng.standard_normal(features.shape, np.float32) / np.sqrt(WIDTH)
    return 18 * features @ vectors.T


def evenly(target: np.ndarray) -> np.ndarray:
    """Top-k labels with the remaining mass spread evenly."""
    top = np.sort(target, 1)[:, -TOP_K:]
    return np.where(target >= top[:, :1], target, (1 - top.sum(1, keepdims=True)) / (CLASSES - TOP_K))


def measure(store: LabelStore, vectors: np.ndarray, epoch: int) -> None:
    """Print the losses of three students."""
    temperature = store.header['temperature']
    logits = teacher_logits(vectors, epoch)
    target = softmax(logits.astype(np.float64) / temperature, axis=1)
    stored = np.stack([store.scores(i, epoch) for i in range(IMAGES)]).astype(np.float64)
    for name, (share, noise) in STUDENTS.items():
        student = share * logits + noise * np.random.default_rng(2).standard_normal(logits.shape)
        log_student = log_softmax(student / temperature, axis=1)
        entropy, divergence = [], []
        for labels in (target, stored, evenly(target)):
            entropy.append(-(labels * log_student).sum(1).mean())
            divergence.append((xlogy(labels, labels) - labels * log_student).sum(1).mean())
        print(f'  T = {temperature:g}, {name} student: loss {entropy[0]:.4f} with all logits, {entropy[1]:.4f} with '
              f'the store ({entropy[1] / entropy[0] - 1:+.3%}), {entropy[2]:.4f} spread evenly '
              f'({entropy[2] / entropy[0] - 1:+.3%}); KL {divergence[0]:.5f}, ratio '
              f'{divergence[1] / divergence[0]:.2f}, evenly {divergence[2] / divergence[0]:.2f}', flush=True)


def main() -> None:
    vectors = class_vectors()
    for temperature in (1.0, 4.0, 20.0):
        with tempfile.TemporaryDirectory() as folder:
            writer = LabelWriter(folder, dict(num_classes=CLASSES, top_k=TOP_K, temperature=temperature, images=IMAGES,
                                              epochs=EPOCHS, set='', augmentation='', teacher='', classes=[]))
            start = time.process_time()
            for epoch in range(EPOCHS):
                writer.append(teacher_logits(vectors, epoch))
            seconds, store = time.process_time() - start, writer.finish()
            if temperature == 1:
                view = record_type(CLASSES, TOP_K).itemsize
                tails = CLASSES * CLASSES * 2
                full = 2 * CLASSES
                d4m = 10000 * 300  # views of ImageNet-1K at 10 images a class, 300 epochs
                print(f'{view} bytes a view, {full / view:.1f} times smaller than all logits in half precision; with '
                      f'the table of tails ({tails / 1e6:.1f} MB a store) '
                      f'{full * d4m / (view * d4m + tails):.1f} times at {d4m} views: '
                      f'{(view * d4m + tails) / 1e6:.0f} MB instead of {full * d4m / 1e9:.1f} GB')
                print(f'writing: {seconds / IMAGES / EPOCHS * 1e6:.0f} us of CPU per view, including the logits')
            measure(store, vectors, EPOCHS // 2)
            if temperature == 20:
                for name, call in (('seeding the transforms', lambda i: seeded(0, i, 0).__enter__()),
                                   ('drawing a mix', lambda i: draw_mix(0, i, 0, IMAGES, (224, 224), 1.0)),
                                   ('reading a label', partial(store.scores, epoch=0))):
                    start = time.process_time()
                    for i in range(IMAGES):
                        call(i)
                    print(f'{name}: {(time.process_time() - start) / IMAGES * 1e6:.0f} us of CPU')


if __name__ == '__main__':
    main()
