"""K-means of latents: quality and time of full and streamed k-means, and the memory of a stream.

    OMP_NUM_THREADS=1 python benchmarks/clusters.py quality         # built-in pictures, built-in autoencoder
    OMP_NUM_THREADS=1 python benchmarks/clusters.py seconds         # a class of ImageNet, random latents
    OMP_NUM_THREADS=1 python benchmarks/clusters.py memory [LATENTS …]

quality: inertia divided by the best inertia of 20 initialisations, mean ± standard deviation over classes and 3 seeds,
and CPU milliseconds per class. ``LatentClusters`` is the algorithm of mmdistill: streamed, as for a class that does not
fit into memory, and full with several numbers of initialisations.
memory: peak memory for a stream of 10 000 and of 100 000 latents with 1 024 dimensions. Batches are generated one by
one, so only the memory of the clusters can grow. Each size runs in a separate process. Prints the
peak of the allocations of Python and numpy (tracemalloc) and the peak of the resident memory.
"""
import argparse
import multiprocessing
import resource
import time
import tracemalloc
from unittest import mock

import numpy as np
import torch
from sklearn.cluster import KMeans

from mmdistill.generation.autoencoders import encode, load_vae
from mmdistill.selection import LatentClusters, clusters
from mmdistill.toy.object_pictures import object_picture

SHAPE, IPC, BATCH = (4, 16, 16), 10, 64


def settings(images: int, streamed: bool, starts: int):
    """Context that replaces the limit for streaming, the k-means steps of small classes, and the initialisations."""
    return mock.patch.multiple(clusters, _MAX_BYTES=0 if streamed else 1 << 40, _MIN_STEP=min(256, images),
                               _STARTS=starts)


def fitted(latents: np.ndarray, count: int, seed: int, streamed: bool = False, starts: int = 3):
    """Centres (K, D) and CPU seconds."""
    with settings(len(latents), streamed, starts):
        begin, model = time.process_time(), LatentClusters(count, random_state=seed)
        for start in range(0, len(latents), BATCH):
            model.partial_fit(latents[start:start + BATCH])
        return model.finish().centers_, time.process_time() - begin


def inertia(latents: np.ndarray, centers: np.ndarray) -> float:
    """Sum of the squared distances of the latents to their nearest centres."""
    rows, points = (values.reshape(len(values), -1).astype(float) for values in (latents, centers))
    return ((rows**2).sum(1)[:, None] - 2 * rows @ points.T + (points**2).sum(1)).min(1).sum()


@torch.no_grad()
def pictures(vae, label: int, count: int) -> np.ndarray:
    """Latents (count, 4, 16, 16) of the built-in pictures of a class."""
    images = np.stack([object_picture(10 * number + label, 'train', 64)[0] for number in range(count)])
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1
    return torch.cat([encode(vae, batch) for batch in pixels.split(100)]).numpy()


def quality() -> None:
    vae = load_vae('mmdistill://objects')
    cases = {'streamed': dict(streamed=True), **{f'full, {n} starts': dict(starts=n) for n in (1, 3, 10)}}
    for images, count, classes in ((200, 10, 10), (200, 50, 4), (1300, 10, 4), (1300, 50, 2)):
        results: dict = {name: [] for name in cases}
        for label in range(classes):
            latents = pictures(vae, label, images)
            best = KMeans(count, n_init=20, random_state=0).fit(latents.reshape(images, -1)).cluster_centers_
            for name, case in cases.items():
                for seed in range(3):
                    centers, seconds = fitted(latents, count, seed, **case)
                    results[name].append((inertia(latents, centers) / inertia(latents, best), seconds))
        print(f'{images} images, {count} clusters, {classes} classes')
        for name, rows in results.items():
            ratios, seconds = np.transpose(rows)
            print(f'  {name:16} {ratios.mean():.4f} ± {ratios.std():.4f}  {1e3 * seconds.mean():5.0f} ms', flush=True)


def seconds() -> None:
    for name, shape in (('DiT, 256 pixels', (4, 32, 32)), ('Stable Diffusion, 512 pixels', (4, 64, 64))):
        latents = np.random.default_rng(0).standard_normal((1300, *shape), np.float32)
        for count in (10, 50):
            taken = [f'{"streamed" if streamed else "full"} {fitted(latents, count, 0, streamed)[1]:.1f} s'
                     for streamed in (True, False)]
            print(f'{name}, 1300 images, {count} clusters: {", ".join(taken)} of CPU', flush=True)


def stream(count: int):
    """Latents float32 (64, 4, 16, 16) of eight modes."""
    modes = np.random.default_rng(0).normal(size=(8, *SHAPE)).astype(np.float32)
    for start in range(0, count, BATCH):
        rng = np.random.default_rng((1, start))
        size = min(BATCH, count - start)
        yield modes[rng.integers(8, size=size)] + rng.standard_normal((size, *SHAPE), np.float32)


def memory(count: int) -> None:
    """Print time and memory for one size."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # Linux counts in KiB
    for traced in (False, True):  # tracing is slow, so time and resident memory are measured first
        if traced:
            tracemalloc.start()
        cpu, model = time.process_time(), LatentClusters(IPC)
        with settings(count, streamed=True, starts=1):
            for latents in stream(count):
                model.partial_fit(latents)
            model.finish()
        if not traced:
            resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before
            taken = time.process_time() - cpu
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    assert model.counts_.sum() == count
    print(f'{count} latents ({count * 4096 / 2**20:.0f} MiB): peak {peak:.1f} MiB allocated, {resident:.0f} MiB '
          f'resident above the start; {taken:.1f} s of CPU (with the stream)', flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('what', choices=['quality', 'seconds', 'memory'])
    parser.add_argument('latents', nargs='*', type=int, default=[10000, 100000])
    args = parser.parse_args()
    if args.what != 'memory':
        return dict(quality=quality, seconds=seconds)[args.what]()
    for count in args.latents:
        process = multiprocessing.get_context('spawn').Process(target=memory, args=(count, ))
        process.start()
        process.join()


if __name__ == '__main__':
    main()
