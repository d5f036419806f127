"""Latents that stand for the classes of the real set, made once and kept: prototypes and support points."""
import os.path as osp
import shutil
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Tuple, Union

import numpy as np
import torch
from mmengine.dist import barrier, is_main_process
from mmengine.runner import Runner
from mmengine.utils import ProgressBar
from torch.utils.data import DataLoader

from mmdistill.datasets import DatasetLabels
from mmdistill.errors import DistillError
from mmdistill.weights.hub import network_digest
from mmdistill.files import config_hash
from mmdistill.selection import ClassClusters, LatentClusters

STRATEGIES = ('kmeans', 'density')


def class_clusters(runner: Runner, name: str, n_clusters: int, *, strategy: str = 'kmeans', crop: bool = True,
                   batch_size: int = 32, random_state: int = 0) -> ClassClusters:
    """The clusters of ``{work_dir}/{name}`` where they are of this run's data and weights; else the ranks make them.

    Those of another file of the work dir serve as well where they are the same, as prototypes and support points
    often are.

    Every rank encodes its share of the classes, and the result does not depend on the number of ranks. A run that is
    broken off keeps the classes that it finished. The run's seed does not matter: runs that differ in it alone may
    share the file (copy it into the new work dir), for encoding a large set takes longer than the images.

    Args:
        runner: Of a distillation run, on every rank.
        name: File name, ending in ``.safetensors``.
        n_clusters: Of each class; a class with fewer images has one for each.
        strategy: ``'kmeans'`` of all real images' latents, or ``'density'``: the latents of real images drawn at
            random without replacement, all of one mass; they are dense where the class is.
        crop: Whether images are scaled to cover the generator's size and cropped at the centre, or squashed to it.
        batch_size: Real images that the autoencoder sees at once.
        random_state: Seed of k-means, or of the draw.

    Raises:
        DistillError: An image cannot be read, or an unknown strategy.
    """
    if strategy not in STRATEGIES:
        raise DistillError(f'strategy={strategy!r} of {name} is unknown: set it to one of {", ".join(STRATEGIES)}')
    loop, generator = runner.test_loop, runner.model.generator
    path = osp.join(runner.work_dir, name)
    parts = osp.splitext(path)[0]
    fingerprint = config_hash([
        loop.source.fingerprint(), network_digest(generator.vae), list(generator.image_size), str(generator.dtype),
        generator.device.type, n_clusters, strategy, crop, batch_size, random_state])
    labels = range(len(loop.source.classes))
    part = {label: osp.join(parts, f'{label}.safetensors') for label in labels}
    own, others = _load(path, fingerprint), sorted(Path(runner.work_dir).glob('*.safetensors'))
    clusters = own or next(filter(None, (_load(file, fingerprint) for file in others)), None)
    barrier()  # all ranks look before any rank writes
    if clusters:
        if clusters is not own and is_main_process():
            clusters.save(path)
        return clusters
    pending = [label for label in labels if _load(part[label], fingerprint) is None]
    barrier()
    images = {label: _images(loop, label, n_clusters if strategy == 'density' else None, random_state)
              for label in pending[runner.rank::runner.world_size]}
    count = len(loop.source) if strategy == 'kmeans' else f'up to {n_clusters * len(labels)}'
    runner.logger.info(f'Encoding {count} real images, {len(pending)} of {len(labels)} classes to do: {path}')
    bar = ProgressBar(sum(map(len, images.values()))) if is_main_process() and images else None
    for label, batches in groupby(_latents(loop, generator, images, crop, batch_size), key=itemgetter(0)):
        # One cluster more than images: each image is then a centre, as it is.
        model = LatentClusters(n_clusters if strategy == 'kmeans' else n_clusters + 1, random_state=random_state)
        for _, latents in batches:
            model.partial_fit(latents, [label] * len(latents))
            if bar:
                bar.update(len(latents))
        clusters = model.finish([label])
        clusters.metadata['fingerprint'] = fingerprint
        clusters.save(part[label])
    if bar:
        bar.file.write('\n')
    barrier()
    if is_main_process():
        done = [ClassClusters.load(part[label]) for label in labels]
        ClassClusters(
            centers=_merged(done, 'centers'), counts=_merged(done, 'counts'), inertia=_merged(done, 'inertia'),
            n_clusters=n_clusters, metadata=dict(fingerprint=fingerprint)).save(path)
        shutil.rmtree(parts)
        runner.logger.info(f'{strategy} of each class: {path}')
    barrier()
    return ClassClusters.load(path)


def _images(loop, label: int, drawn: Optional[int], random_state: int) -> np.ndarray:
    """Indices of a class's images: all, or so many at random."""
    indices = loop.source.of_class(label)
    if drawn is None or drawn >= len(indices):
        return indices
    rng = np.random.default_rng((random_state, label))
    return np.sort(rng.choice(indices, drawn, replace=False))


def _latents(loop, generator, images: Dict[int, np.ndarray], crop: bool,
             size: int) -> Iterator[Tuple[int, np.ndarray]]:
    """Class id and (B, C, h, w) float32 latents, in order; no batch has two classes.

    A latent so does not depend on which other classes this rank has. On a GPU the last batch of a class is filled up
    with repeats: kernels are chosen once for one shape.
    """
    source = loop.source
    batches = [indices[start:start + size] for indices in images.values() for start in range(0, len(indices), size)]
    pictures = _Images(source, generator.image_size, crop)
    loader = DataLoader(pictures, batch_sampler=batches, num_workers=loop.num_workers, collate_fn=list)
    for indices, batch in zip(batches, loader):
        for error in (image for image in batch if isinstance(image, DistillError)):
            raise error
        empty = 0 if generator.device.type == 'cpu' else size - len(batch)
        pixels = torch.from_numpy(np.stack(batch + batch[-1:] * empty)).to(generator.device)
        latents = generator.encode(pixels.permute(0, 3, 1, 2).float() / 127.5 - 1)
        yield int(source.labels[indices[0]]), latents[:len(batch)].cpu().numpy()


class _Images:
    """The images of a data set, read when they are asked for; for torch's DataLoader."""

    def __init__(self, source: DatasetLabels, size: Tuple[int, int], crop: bool) -> None:
        self.source, self.size, self.crop = source, size, crop

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Union[np.ndarray, DistillError]:
        try:
            return self.source.image(int(index), self.size, self.crop)
        except DistillError as error:  # handed over: a worker's exception would come with its traceback as the message
            return error


def _load(path: Union[str, Path], fingerprint: str) -> Optional[ClassClusters]:
    """The clusters at ``path`` if they are there, readable, and of these data and weights."""
    try:
        clusters = ClassClusters.load(path)
    except DistillError:
        return None
    return clusters if clusters.metadata.get('fingerprint') == fingerprint else None


def _merged(clusters: List[ClassClusters], name: str) -> Dict[int, Tuple]:
    return {label: value for one in clusters for label, value in getattr(one, name).items()}
