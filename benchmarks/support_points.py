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
import torch
from mmcv.image import imfrombytes
from mmengine.fileio import get

from mmdistill.evaluation.training_sets import build_dataset
from mmdistill.generation.weights import encode, load_vae
from mmdistill.selection import ClassClusters


def latents(vae, paths) -> np.ndarray:
    """(N, D) L2-normalised latents."""
    pixels = np.stack([imfrombytes(get(path), channel_order='rgb') for path in paths]).astype(np.float32)
    with torch.no_grad():
        rows = encode(vae, torch.from_numpy(pixels).permute(0, 3, 1, 2) / 127.5 - 1).flatten(1).double().numpy()
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def main(vae: str, points: str, *work_dirs: str) -> None:
    vae, clusters = load_vae(vae).eval(), ClassClusters.load(points)
    for work_dir in work_dirs:
        dataset = build_dataset(dict(type='mmdistill.DistilledDataset', data_root=f'{work_dir}/distilled'), 'mmpretrain')
        infos = [dataset.get_data_info(i) for i in range(len(dataset))]
        distances = []
        for label, centers in clusters.centers.items():
            rows = latents(vae, [info['img_path'] for info in infos if info['gt_label'] == label])
            target = centers.reshape(len(centers), -1).astype(float)
            target /= np.linalg.norm(target, axis=1, keepdims=True)
            share = np.full(len(rows), 1 / len(rows))
            distances.append(ot.emd2(share, clusters.masses[label], ot.dist(rows, target, metric='euclidean')))
        print(f'{Path(work_dir).name:24} mean {np.mean(distances):.3f}  ' + ' '.join(f'{d:.3f}' for d in distances))


if __name__ == '__main__':
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
