"""Cached clusters of the real images' latents per class: prototypes and support points."""
import shutil
from functools import cached_property, partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, Literal, Mapping, Optional, Sequence, Tuple

import numpy as np
from mmengine.dist import barrier, broadcast_object_list, get_rank, get_world_size, is_main_process

from mmdistill.bars import ProgressBar
from mmdistill.cache import shared_entry
from mmdistill.errors import DistillError
from mmdistill.files import config_hash
from mmdistill.plan import groups_of
from mmdistill.selection import ClassClusters, LatentClusters, NearestLatents
from mmdistill.selection.clusters import CLUSTERS_VERSION
from mmdistill.settings import NonNegativeInt, PositiveInt, check_settings
from .latents import RealLatents
from .resources import Resources

SUPPORTS = 'support_points.safetensors'
Strategy = Literal['kmeans', 'medoids', 'density']
_Latents = Callable[[Mapping[int, np.ndarray]], Iterator[Tuple[int, np.ndarray]]]  # see RealLatents.of


class ClassResources(Resources):
    """Resources of classification: support points of each class among the real latents.

    Args:
        support: ``n_clusters`` per class (default 10; None: the largest number of images per class in the plan), and
            ``strategy``, ``crop``, ``batch_size`` and ``random_state`` of :func:`class_clusters`. By default, the last
            three have the values of ``PrototypeHook``, so that image k starts at point k.
    """

    def __init__(self, run: Any, /, support: Optional[dict] = None) -> None:
        super().__init__(run)
        prototypes = run.composition.planner.prototypes
        self._start = prototypes.get('strategy')
        self._settings = {**{key: value for key, value in prototypes.items() if key != 'strategy'}, **(support or {})}

    @classmethod
    def check(cls, settings: Mapping[str, Any], needs: Mapping[str, Sequence[str]], where: str) -> None:
        super().check(settings, needs, where)
        support = {key: value for key, value in (settings.get('support') or {}).items()
                   if (key, value) != ('n_clusters', None)}
        check_settings(class_clusters, support, f'{where}.support', ('run', 'name', 'n_clusters'))

    @cached_property
    def _clusters(self) -> ClassClusters:
        source, settings = self.run.source, dict(self._settings)
        wanted = settings.pop('n_clusters', 10)
        if wanted is None:
            wanted = max(map(len, groups_of(self.run.plan.requests).values()))
            strategy = settings.get('strategy', 'kmeans')
            if self._start is not None and 'density' in (strategy, self._start) and strategy != self._start:
                self.run.logger.warning(
                    f'Image k starts from prototype k ({self._start}) and is guided to support point k ({strategy}), '
                    f'which belongs to other images: set custom_hooks.GuidedSynthesisHook.support.strategy='
                    f'{self._start}')
        if short := few_images(source, wanted):
            self.run.logger.warning(f'Fewer than {wanted} real images, so each is a support point (a single one draws '
                                    f'all samples of its class): {short}')
        return class_clusters(self.run, SUPPORTS, wanted, **settings)

    def supports(self) -> Dict[int, np.ndarray]:
        """Class id → support points (n, C, h, w), cached in the work dir."""
        return self._clusters.centers

    def masses(self) -> Dict[int, np.ndarray]:
        """Class id → weights of the support points (n,), which sum to 1."""
        return self._clusters.masses

    @classmethod
    def real_images(cls, settings: Mapping[str, Any], needs: Sequence[str], run: Any) -> Dict[str, int]:
        if not {'supports', 'masses'} & {*needs} or Path(run.work_dir, SUPPORTS).is_file():
            return {}
        support = settings.get('support') or {}
        wanted = support.get('n_clusters', 10) or max(map(len, groups_of(run.plan.requests).values()))
        return dict(encoded=encoded_images(run.source, wanted, support.get('strategy', 'kmeans')))

    def describe(self) -> Dict[str, Any]:
        return dict(support=self._settings)


def few_images(source: Any, wanted: int) -> str:
    """Names of the classes with fewer than ``wanted`` real images, with their counts; '' if there are none."""
    return ', '.join(f'{name} {count}' for name, count in zip(source.classes, source.counts) if count < wanted)


def encoded_images(source: Any, wanted: int, strategy: str) -> int:
    """Number of real images that :func:`class_clusters` encodes, without the second pass of streamed medoids."""
    return sum(min(count, wanted) if strategy == 'density' else count for count in source.counts)


def class_clusters(run: Any, name: str, n_clusters: PositiveInt, *, strategy: Strategy = 'kmeans', crop: bool = True,
                   batch_size: PositiveInt = 32, random_state: NonNegativeInt = 0) -> ClassClusters:
    """Cluster the real latents of each class, or read the clusters from ``{work_dir}/{name}`` if they are up to date.

    Identical clusters in another file of the work dir are reused, since prototypes and support points are often the
    same. With a shared cache (:mod:`mmdistill.cache`), all runs share the clusters of each class, and the latents, from
    which other numbers of clusters are computed. The clusters do not depend on the run's seed.

    Every rank encodes its share of the classes; the result does not depend on the number of ranks. An interrupted run
    keeps its finished classes.

    Args:
        run: The distillation run, a :class:`~mmdistill.engine.loop.DistillLoop`.
        name: File name, ending in ``.safetensors``.
        n_clusters: Clusters per class; a class with fewer images has one per image.
        strategy: ``'kmeans'``: the k-means centres of all real latents. ``'medoids'``: the real latents nearest to
            these centres, with the weights of the centres. ``'density'``: latents of randomly drawn real images, with
            equal weights, so that they follow the density of the class.
        crop, batch_size: See :class:`~mmdistill.tasks.latents.RealLatents`.
        random_state: Seed of k-means or of the random draw.
    """
    path, latents = Path(run.work_dir, name), RealLatents(run, crop, batch_size)
    settings = config_hash([latents.key, n_clusters, strategy, random_state, CLUSTERS_VERSION])
    fingerprint = config_hash([run.source.fingerprint(), settings])
    kept = _load(path, fingerprint)
    clusters = kept or next(filter(None, (_load(file, fingerprint) for file in
                                          sorted(Path(run.work_dir).glob('*.safetensors')))), None)
    barrier()  # all ranks read before any rank writes
    if clusters:
        if clusters is not kept and is_main_process():
            clusters.save(path)
        return clusters
    parts = _parts(run, path.with_suffix(''), settings)
    # Rank 0 decides for all ranks, since another run may add classes to a shared cache at any time.
    broadcast_object_list(lists := [[label for label, part in parts.items() if _load(*part) is None]])
    pending = lists[0]
    images = {label: _images(run, label, n_clusters if strategy == 'density' else None, random_state)
              for label in pending[get_rank()::get_world_size()]}
    others = f', the others are in {parts[0][0].parent}' if len(pending) < len(parts) else ''
    run.logger.info(f'{path.name}: {len(pending)} of {len(parts)} classes to do{others}')
    _cluster(images, partial(latents.of, keep=strategy != 'density'), parts,
             partial(LatentClusters, n_clusters, random_state=random_state), strategy == 'medoids')
    barrier()
    if is_main_process():
        _merge([ClassClusters.load(file) for file, _ in parts.values()], fingerprint).save(path)
        shutil.rmtree(path.with_suffix(''), ignore_errors=True)
        run.logger.info(f'{strategy} of each class: {path}')
    barrier()
    return ClassClusters.load(path)


def _parts(run: Any, folder: Path, settings: str) -> Dict[int, Tuple[Path, str]]:
    """Class id → (file of its clusters, in the shared cache or in ``folder``; their fingerprint)."""
    prints = [config_hash([settings, one]) for one in run.source.class_fingerprints]
    return {label: (shared_entry('clusters', settings, f'{label}-{one}.safetensors')
                    or folder / f'{label}.safetensors', one) for label, one in enumerate(prints)}


def _cluster(images: Mapping[int, np.ndarray], latents: _Latents, parts: Mapping[int, Tuple[Path, str]],
             make: Callable[..., LatentClusters], medoids: bool) -> None:
    """Cluster one class after another, and write a file for each."""
    bar: Optional[ProgressBar] = None  # created after the log messages
    for label, batches in groupby(latents(images), key=itemgetter(0)):
        model = make(label=label)
        for _, batch in batches:
            model.partial_fit(batch)
            if is_main_process():
                bar = bar or ProgressBar(sum(map(len, images.values())))
                bar.update(len(batch))
        points = model.finish().centers_
        if medoids:
            nearest = NearestLatents(points)
            again = latents({label: images[label]}) if model.latents_ is None else [(label, model.latents_)]
            for _, batch in again:
                nearest.partial_fit(batch)
            points = nearest.latents_
        path, fingerprint = parts[label]
        ClassClusters({label: points}, {label: model.counts_}, {label: model.inertia_},
                      dict(fingerprint=fingerprint)).save(path)
    if bar:
        bar.close()


def _merge(clusters: Sequence[ClassClusters], fingerprint: str) -> ClassClusters:
    """Combine the clusters of all classes."""
    centers, counts, inertia = ({label: value for part in clusters for label, value in getattr(part, name).items()}
                                for name in ('centers', 'counts', 'inertia'))
    return ClassClusters(centers, counts, inertia, dict(fingerprint=fingerprint))


def _images(run, label: int, drawn: Optional[int], random_state: int) -> np.ndarray:
    """Indices of a class's images: all, or ``drawn`` random ones."""
    indices = run.source.of_class(label)
    if drawn is None or drawn >= len(indices):
        return indices
    return np.sort(np.random.default_rng((random_state, label)).choice(indices, drawn, replace=False))


def _load(path: Path, fingerprint: str) -> Optional[ClassClusters]:
    """The clusters at ``path`` if they are readable and have this fingerprint; otherwise None."""
    try:
        clusters = ClassClusters.load(path)
    except DistillError:
        return None
    return clusters if clusters.metadata.get('fingerprint') == fingerprint else None
