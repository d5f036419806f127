"""Optimal transport distance from distilled to real images per class, which DMGD minimises.

    python benchmarks/support_points.py VAE POINTS WORK_DIR [WORK_DIR …] [--real CONFIG [--data-root FOLDER]]
    cd work_dirs/quickstart/objects
    python ../../../benchmarks/support_points.py mmdistill://objects dmgd/support_points.safetensors unguided dmgd \\
        --real mmdistill::_base_/datasets/objects.py

VAE: diffusers folder or hub id. POINTS: support_points.safetensors or prototypes.safetensors of a run with the same
real set and autoencoder; they are the targets, and define the size at which images are encoded. With --real, the
targets are all images in train_dataset of the config instead. The written images are encoded again, so the result
includes losses by decoding and JPEG. POT computes the exact transport with Euclidean distances (0 to 2) between
L2-normalised latents, as in the loss of DMGD. Prints each class and the mean.
"""
import argparse
from pathlib import Path

import numpy as np
import ot

from mmdistill.cli import run
from mmdistill.config import merge_options, read_config
from mmdistill.evaluation.encoders import LatentEncoder, encode_dataset
from mmdistill.evaluation.building import build_dataset
from mmdistill.generation.autoencoders import load_vae, vae_factor
from mmdistill.selection import ClassClusters
from mmdistill.tasks.classification import Classification


def unit(rows: np.ndarray) -> np.ndarray:
    """Normalised rows (N, D), float64."""
    rows = rows.reshape(len(rows), -1).astype(float)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def latents(encoder, spec: dict):
    """Latents (N, D) and labels (N,) of a dataset."""
    dataset = build_dataset(spec, 'mmpretrain')
    return unit(encode_dataset(encoder, dataset)), Classification().labels(dataset)


def measure(args) -> None:
    """Print the distances."""
    clusters = ClassClusters.load(args.points)
    height, width = next(iter(clusters.centers.values())).shape[-2:]
    factor = vae_factor(load_vae(args.vae))
    encoder = LatentEncoder(args.vae, (height * factor, width * factor))
    if args.real:
        cfg = read_config(args.real)
        if args.data_root:
            merge_options(cfg, dict(data_root=args.data_root))
        rows, labels = latents(encoder, cfg.train_dataset)
        targets = {label: (rows[labels == label], ot.unif((labels == label).sum())) for label in clusters.centers}
    else:
        targets = {label: (unit(rows), clusters.masses[label]) for label, rows in clusters.centers.items()}
    for work_dir in args.work_dirs:
        rows, labels = latents(encoder, dict(type='mmdistill.DistilledDataset', data_root=f'{work_dir}/distilled'))
        distances = []
        for label, (points, masses) in targets.items():
            cost = ot.dist(rows[labels == label], points, metric='euclidean')
            distances.append(ot.emd2(ot.unif(len(cost)), masses, cost))
        print(f'{work_dir.name:24} mean {np.mean(distances):.3f}  ' + ' '.join(f'{d:.3f}' for d in distances))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('vae')
    parser.add_argument('points')
    parser.add_argument('work_dirs', nargs='+', type=Path)
    parser.add_argument('--real', metavar='CONFIG')
    parser.add_argument('--data-root', metavar='FOLDER', help='data root of the dataset of --real')
    run(measure, parser.parse_args())


if __name__ == '__main__':
    main()
