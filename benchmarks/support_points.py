"""Optimal transport from the images of distilled sets to the support points of their classes, which DMGD lowers.

    python benchmarks/support_points.py VAE POINTS WORK_DIR [WORK_DIR …]
    python benchmarks/support_points.py mmdistill://objects work_dirs/quickstart/objects/dmgd/support_points.safetensors \\
        work_dirs/quickstart/objects/unguided work_dirs/quickstart/objects/dmgd

VAE: diffusers folder or hub id; POINTS: support_points.safetensors or prototypes.safetensors of a run on the same real
set by that autoencoder. The written images are encoded again, so what decoding and JPEG lose counts. Exact transport by
POT, Euclidean distances (0 to 2) of L2-normalised latents, as in DMGD's loss. Prints each class and the mean.
"""
import sys
from pathlib import Path

import numpy as np
import ot

from mmdistill.evaluation.encoders import LatentEncoder, encode_dataset
from mmdistill.evaluation.training_sets import build_dataset
from mmdistill.generation.weights import load_vae, vae_factor
from mmdistill.selection import ClassClusters


def unit(rows: np.ndarray) -> np.ndarray:
    """(N, D) float64 of length 1."""
    rows = rows.reshape(len(rows), -1).astype(float)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def main(vae: str, points: str, *work_dirs: str) -> None:
    clusters = ClassClusters.load(points)
    height, width = next(iter(clusters.centers.values())).shape[-2:]
    factor = vae_factor(load_vae(vae))
    encoder = LatentEncoder(vae, (height * factor, width * factor))
    for work_dir in work_dirs:
        spec = dict(type='mmdistill.DistilledDataset', data_root=f'{work_dir}/distilled')
        dataset = build_dataset(spec, 'mmpretrain')
        latents, labels, distances = unit(encode_dataset(encoder, dataset, progress=False)), dataset.get_gt_labels(), []
        for label, centers in clusters.centers.items():
            rows = latents[labels == label]
            share = np.full(len(rows), 1 / len(rows))
            distances.append(ot.emd2(share, clusters.masses[label], ot.dist(rows, unit(centers), metric='euclidean')))
        print(f'{Path(work_dir).name:24} mean {np.mean(distances):.3f}  ' + ' '.join(f'{d:.3f}' for d in distances))


if __name__ == '__main__':
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
