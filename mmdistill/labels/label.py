"""Computes the soft labels for a training config: a store of labels for views, or one label per image."""
import inspect
import pickle
from collections import deque
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Callable, Deque, Iterator, List, Mapping, Optional, Sequence, Tuple

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from scipy.special import log_softmax
from torch import Tensor

from mmdistill.bars import ProgressBar
from mmdistill.batches import read_batches
from mmdistill.components import resolve
from mmdistill.datasets.distilled import has_weights
from mmdistill.datasets.wrapped_configs import inner_configs, map_inner, part_configs
from mmdistill.datasets.wrappers import real_dataset, real_parts
from mmdistill.engine.check_data import check_dataset
from mmdistill.errors import DistillError
from mmdistill.files import write_atomic
from mmdistill.lock import locked
from mmdistill.registry import DATASETS
from mmdistill.settings import Positive, PositiveInt, check_settings
from .replay import ReplayedViews
from .store import LabelStore, LabelWriter
from .teacher import NORMALISED, Teacher

_SAVE_EVERY = 100  # batches between saves
_CHECKED = 1000  # views used to estimate the error of the stored labels


@dataclass(frozen=True)
class Labels:
    """The key ``labels`` of a training config."""
    teacher: dict  #: Arguments of :class:`~mmdistill.labels.Teacher`.
    #: Probabilities stored per view, for replayed views. None stores all logits, which is smaller for up to 16 classes.
    top_k: Optional[PositiveInt] = 10
    dataset: Optional[dict] = None  #: For one label per image: the set without labels, with the teacher's pipeline.
    temperature: Optional[Positive] = None  #: For one label per image: the temperature.


def label(cfg: Config, batch_size: int = 64, workers: int = 0, device: Optional[str] = None) -> str:
    """Label the training set of a config according to its ``labels`` (:class:`Labels`).

    Args:
        cfg: The training config. Its ``train_dataloader.dataset`` is a ``ReplayedViews``, or a ``BaseDataset`` whose
            ``ann_file`` will be written.
        batch_size: Views per forward pass of the teacher.
        workers: Processes that load images; 0 loads them in the calling process.
        device: Device of the teacher; default: a GPU if there is one.

    Returns:
        str: One line about the labels, their size and their effect on the loss.

    Raises:
        DistillError: The config has no ``labels``, the teacher does not fit, or existing labels do not belong to this
            config.
    """
    options, by_views = check_labels(cfg)
    init_default_scope(cfg.get('default_scope', 'mmpretrain'))
    import mmpretrain.datasets  # noqa: F401  registers them
    dataset = cfg.train_dataloader.dataset
    if by_views:
        source = DATASETS.build(dataset)
    else:
        _, labelled = next(part_configs(dataset))
        source = real_dataset(DATASETS.build(_with_root(options.dataset or {}, labelled.get('data_root', ''))))
    teacher = Teacher(**{'device': device, **options.teacher})
    teacher.check_classes(source.metainfo['classes'])
    settings = dict(batch_size=batch_size, workers=workers)
    command = f'mmdistill label {cfg.filename}'
    if by_views:
        with locked(source.store, command):
            return _label_views(source, teacher, cfg.train_cfg.max_epochs, options.top_k, settings)
    # The path from which mmpretrain will read the labels.
    path = DATASETS.build(dict(labelled, lazy_init=True, pipeline=[])).ann_file
    with locked(Path(path).parent, command):
        return _label_images(source, teacher, options.temperature or 1.0, path, settings)


def _with_root(cfg: Mapping[str, Any], data_root: str) -> Mapping[str, Any]:
    """A dataset's config, also of wrapped datasets, with another ``data_root``."""
    if inner_configs(cfg):
        return map_inner(cfg, lambda inner: _with_root(inner, data_root))
    return dict(cfg, data_root=data_root)


def check_labels(cfg: Config) -> Tuple[Labels, bool]:
    """Check the ``labels`` of a training config without reading any dataset or weight.

    Returns:
        The labels, and whether they are for replayed views (True) or one per image (False).

    Raises:
        DistillError: The config has no valid ``labels``, or its training set does not read soft labels.
    """
    options, scope = cfg.get('labels'), cfg.get('default_scope', 'mmpretrain')
    if not options or 'teacher' not in options:
        raise DistillError(f'{cfg.filename} has no labels=dict(teacher=dict(config=..., checkpoint=...)): add it')
    check_settings(Labels, options, 'labels')
    check_settings(Teacher, options['teacher'], 'labels.teacher', ('device', ))
    where = 'train_dataloader.dataset'
    dataset = dict((cfg.get('train_dataloader') or {}).get('dataset') or {}, _scope_=scope)
    component = resolve(dataset, DATASETS, where)
    by_views = inspect.isclass(component) and issubclass(component, ReplayedViews)
    parts = list(part_configs(dataset))
    if not by_views and (len(parts) > 1 or not str(parts[0][1].get('ann_file', '')).endswith('.pkl')):
        raise DistillError(f'{where} reads no soft labels: it has to be a mmdistill.ReplayedViews, or one BaseDataset '
                           "with ann_file='meta/train.pkl'")
    check_dataset(dataset, where)
    if by_views:
        check_dataset(dict(dataset['dataset'], _scope_=scope), f'{where}.dataset')
        train_cfg = cfg.get('train_cfg')
        if not isinstance(train_cfg, Mapping) or not train_cfg.get('max_epochs'):
            raise DistillError('train_cfg has no max_epochs: labels of replayed views are stored per epoch: set it')
    elif not {'dataset', 'temperature'} <= options.keys():
        raise DistillError('one label per image needs labels.dataset, the set without labels, and labels.temperature')
    else:
        check_dataset(dict(options['dataset'], _scope_=scope), 'labels.dataset')
    return Labels(**options), by_views


def _label_views(views: ReplayedViews, teacher: Teacher, epochs: int, top_k: Optional[int], settings: dict) -> str:
    header = dict(views.header(), num_classes=teacher.num_classes, top_k=top_k, images=len(views), epochs=epochs,
                  teacher=teacher.fingerprint())
    writer = LabelWriter(views.store, header)

    def load(index: int) -> Tensor:
        return views.view(index % len(views), index // len(views))['inputs']

    last: Deque[np.ndarray] = deque(maxlen=_CHECKED)
    for count, logits in enumerate(_logits(teacher, load, range(writer.done, writer.total), **settings), 1):
        writer.append(logits.numpy())
        last.extend(logits.numpy())
        if count % _SAVE_EVERY == 0:
            writer.save()
    store = writer.finish()
    return (f'{store.path}: labels of {writer.done} views ({len(views)} images, {store.header["epochs"]} epochs), '
            f'{store.nbytes / 1e6:.2f} MB, all logits in half precision take '
            f'{2 * teacher.num_classes * writer.done / 1e6:.2f} MB{_error(store, last)}')


def _error(store: LabelStore, last: Deque[np.ndarray]) -> str:
    """A text about the error of the stored labels: the cross-entropy of a student that equals the teacher."""
    if not last:
        return ''
    images, epochs = store.header['images'], store.header['epochs']
    views = range(images * epochs - len(last), images * epochs)
    stored = np.stack([store.scores(view % images, view // images) for view in views])
    log_scores = log_softmax(np.stack(last).astype(np.float64) / store.header['temperature'], axis=1)
    exact, found = (-(scores * log_scores).sum(1).mean() for scores in (np.exp(log_scores), stored))
    return (f'; a student that equals the teacher has a loss of {found:.4f} with them and of {exact:.4f} with all '
            f'logits ({found / exact - 1:+.2%})')


def _label_images(dataset, teacher: Teacher, temperature: float, path: str, settings: dict) -> str:
    """Write one label per image to ``path``, which mmpretrain's ``BaseDataset`` reads as ``gt_score``.

    Image paths are saved relative to the set's ``img_prefix``.

    Raises:
        DistillError: An image is outside ``img_prefix``, the set has image weights, or a logit is not finite.
    """
    if has_weights(dataset):
        raise DistillError('labels.dataset has weights=True, and a file with one label per image cannot store weights: '
                           'leave weights out')
    batches = _logits(teacher, lambda index: dataset[index]['inputs'], range(len(dataset)), **settings)
    scores = (torch.cat(list(batches)) / temperature).softmax(1).numpy()
    if not np.isfinite(scores).all():
        raise DistillError('the teacher gives logits that are not finite: check its weights and its preprocessing')
    folders = sorted({str(part.img_prefix) for part in real_parts(dataset)})
    if len(folders) > 1:
        raise DistillError(f'labels.dataset has images in {folders[0]} and {folders[1]}: give datasets with the same '
                           'folder of images')
    entries = []
    for i, row in enumerate(scores):
        entry = dataset.get_data_info(i)
        try:
            name = str(PurePosixPath(entry['img_path']).relative_to(folders[0]))
        except ValueError:
            raise DistillError(f"{entry['img_path']} is outside the set's folder {folders[0]}") from None
        entries.append(dict(img_path=name, gt_label=int(entry['gt_label']), gt_score=row.copy()))
    labels = dict(temperature=temperature, teacher=teacher.fingerprint())
    annotations = dict(metainfo=dict(classes=list(dataset.metainfo['classes']), labels=labels), data_list=entries)
    write_atomic(path, pickle.dumps(annotations, protocol=4))
    right = sum(int(entry['gt_score'].argmax()) == entry['gt_label'] for entry in entries)
    return f'{path}: one label for each of {len(scores)} images; the teacher agrees with {right} of their classes'


def _logits(teacher: Teacher, load: Callable[[int], Tensor], indices: Sequence[int], batch_size: int, workers: int
            ) -> Iterator[Tensor]:
    """Yield batches of logits (B, K), on the CPU, for the images that ``load`` returns for the indices."""
    bar = ProgressBar(len(indices), 'views')
    batches = [indices[start:start + batch_size] for start in range(0, len(indices), batch_size)]
    # Workers are forked, so the dataset need not be picklable.
    for pixels in read_batches(lambda batch: _stack([load(index) for index in batch]), batches, workers,
                               multiprocessing_context='fork' if workers else None):
        yield teacher(pixels.flip(1)).cpu()  # mmpretrain loads BGR
        bar.update(len(pixels))
    bar.close()


def _stack(views: List[Tensor]) -> Tensor:
    sizes = sorted({tuple(view.shape) for view in views})
    if len(sizes) > 1:
        raise DistillError(f'views of {sizes[0]} and {sizes[1]}: end the pipeline with a transform that gives one size')
    if views[0].dtype != torch.uint8:
        raise DistillError(NORMALISED)
    return torch.stack(views)
