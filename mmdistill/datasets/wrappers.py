"""Finds the real samples inside dataset wrappers and lists each of them once."""
import os.path as osp
import sys
from typing import Any, Dict, List, NamedTuple, Sequence, Set, Tuple

from mmengine.dataset import ClassBalancedDataset, ConcatDataset, RepeatDataset

from mmdistill.errors import DistillError

_OF_PACKAGES = (('mmseg.datasets', 'MultiImageMixDataset'), ('mmpretrain.datasets', 'KFoldDataset'))
KNOWN = ', '.join(['ConcatDataset', 'RepeatDataset', 'ClassBalancedDataset', *(name for _, name in _OF_PACKAGES)])


class Part(NamedTuple):
    """A dataset that reads files, inside any number of wrappers."""
    key: str  # key of its config inside the outermost config, such as 'datasets.1.dataset'; '' without wrappers
    dataset: Any
    indices: Sequence[int]  # indices of its samples in the configured dataset; a fold has only some of them


class RealSamples:
    """The samples of several wrapped datasets as one dataset, read-only; see :func:`real_dataset`.

    Attributes:
        wrapper: The dataset as it was built.
        parts: The datasets that read the files.
        rows: (index of the part, index in the part) of each sample.
        repeated: Number of samples left out because an earlier part has the same files.
        listed_again: Number of samples left out because their part already has the same files.
    """

    def __init__(self, wrapper: Any, parts: Sequence[Part], distinct: bool) -> None:
        _check_classes(parts)
        self.wrapper, self.parts = wrapper, [part.dataset for part in parts]
        self.rows: List[Tuple[int, int]] = []
        self.repeated = self.listed_again = 0
        seen: Dict[Any, int] = {}
        for number, part in enumerate(self.parts):
            for index in range(len(part)):
                key = _files(part.get_data_info(index)) if distinct else None
                if key is None or key not in seen:
                    self.rows.append((number, index))
                    seen[key] = number
                elif seen[key] == number:
                    self.listed_again += 1
                else:
                    self.repeated += 1
        roots = list(dict.fromkeys(getattr(part, 'data_root', None) for part in self.parts))
        self.data_root = roots[0] if len(roots) == 1 else None

    @property
    def metainfo(self) -> dict:
        """Metainfo of the first part."""
        return self.parts[0].metainfo

    def full_init(self) -> None:
        """Nothing to do: the parts are initialised."""

    def get_data_info(self, index: int) -> dict:
        """The data entry of a sample."""
        number, inner = self.rows[index]
        return self.parts[number].get_data_info(inner)

    def __getitem__(self, index: int) -> Any:
        """A sample, processed by the pipeline of its part."""
        number, inner = self.rows[index]
        return self.parts[number][inner]

    def __len__(self) -> int:
        return len(self.rows)


def is_wrapper(dataset: type) -> bool:
    """Whether a dataset class is one of OpenMMLab's wrappers or a subclass."""
    modules = [(sys.modules.get(module), name) for module, name in _OF_PACKAGES]  # its package has been imported
    classes = [getattr(module, name) for module, name in modules if hasattr(module, name)]
    return issubclass(dataset, (ConcatDataset, RepeatDataset, ClassBalancedDataset, *classes))


def inner_datasets(dataset: Any) -> Dict[str, Any]:
    """The datasets inside a wrapper, by key; empty for another dataset."""
    if not is_wrapper(type(dataset)):
        return {}
    if isinstance(dataset, ConcatDataset):
        return {f'datasets.{number}': inner for number, inner in enumerate(dataset.datasets)}
    return dict(dataset=dataset.dataset)


def parts_of(dataset: Any, key: str = '') -> List[Part]:
    """The datasets inside a built dataset's wrappers, in order; the dataset itself if it is not a wrapper."""
    if isinstance(dataset, RealSamples):
        dataset = dataset.wrapper
    dataset.full_init()
    if not (inner := inner_datasets(dataset)):
        return [Part(key, dataset, range(len(dataset)))]
    parts = [part for name, one in inner.items() for part in parts_of(one, f'{key}.{name}'.lstrip('.'))]
    if hasattr(dataset, '_ori_indices'):  # a KFoldDataset, whose dataset has been replaced by the fold
        parts = [part._replace(indices=[dataset._ori_indices[index] for index in part.indices]) for part in parts]
    return parts


def real_dataset(dataset: Any, distinct: bool = True) -> Any:
    """The dataset of real samples: the single dataset inside the wrappers, or :class:`RealSamples` for several.

    Repetition and class balancing are undone and folds are kept, so that each real sample occurs once, in the order of
    the files.

    Args:
        dataset: A built dataset.
        distinct: Whether to leave out a sample whose files occurred before, in the same dataset or in another one. The
            same image with another mask or class is a different sample.

    Raises:
        DistillError: Two datasets do not have the same classes in the same order.
    """
    if isinstance(dataset, RealSamples):
        return dataset
    parts = parts_of(dataset)
    if len(parts) > 1:
        return RealSamples(dataset, parts, distinct)
    if distinct and _may_repeat(parts[0].dataset) and (samples := RealSamples(dataset, parts, distinct)).listed_again:
        return samples
    return parts[0].dataset


def real_parts(real: Any) -> List[Any]:
    """The datasets that read the files of a :func:`real_dataset`."""
    return real.parts if isinstance(real, RealSamples) else [real]


def real_rows(real: Any) -> List[Tuple[int, int]]:
    """(index of the part, index in the part) of each sample of a :func:`real_dataset`."""
    return real.rows if isinstance(real, RealSamples) else [(0, index) for index in range(len(real))]


def describe(dataset: Any, real: Any = None) -> str:
    """A sentence about how the real samples were counted.

    Args:
        dataset: A built dataset.
        real: Its :func:`real_dataset`, if it is already known.

    Returns:
        The sentence; '' if the dataset has no wrapper and no sample is listed twice.
    """
    real = real_dataset(dataset) if real is None else real
    if not inner_datasets(dataset) and real is dataset:
        return ''
    sizes = ' + '.join(str(len(part)) for part in real_parts(real))
    counted = f'{len(real)} real images' if sizes == str(len(real)) else f'{len(real)} real images of {sizes}'
    twice = f'; {real.repeated} are listed by two of its datasets' if getattr(real, 'repeated', 0) else ''
    again = f'; repeated entries left out: {real.listed_again}' if getattr(real, 'listed_again', 0) else ''
    return f'{_chain(dataset)}: {counted}, each counted once{twice}{again}'


def keep_samples(dataset: Any, indices: Sequence[int]) -> None:
    """Restrict a built dataset, in place, to samples of its :func:`real_dataset`.

    The result is the same as with these ``indices`` in the configs of the datasets inside the wrappers: the wrappers
    repeat, balance and mix the remaining samples. A dataset without remaining samples is removed from its
    ``ConcatDataset``.
    """
    parts = parts_of(dataset)
    kept: List[List[int]] = [[] for _ in parts]
    rows = real_rows(real_dataset(dataset))
    for index in indices:
        number, inner = rows[index]
        kept[number].append(inner)
    remaining = iter(kept)

    def restrict(part: Any) -> bool:
        inner = inner_datasets(part)
        if not inner:
            if chosen := next(remaining):
                part.get_subset_(chosen)
            return bool(chosen)
        left = [one for one in inner.values() if restrict(one)]
        if left:
            _refresh(part, left)
        return bool(left)

    restrict(dataset)


def _refresh(wrapper: Any, inner: List[Any]) -> None:
    """Reinitialise a wrapper after its datasets have changed."""
    if hasattr(wrapper, '_ori_indices'):  # a fold must not be split again
        return
    if isinstance(wrapper, ConcatDataset):
        wrapper.datasets = inner
    wrapper._metainfo = inner[0].metainfo
    if hasattr(wrapper, 'num_samples'):  # MultiImageMixDataset counts its samples in __init__
        wrapper.num_samples = len(inner[0])
    wrapper._fully_initialized = False
    wrapper.full_init()


def _may_repeat(dataset: Any) -> bool:
    """Whether a dataset may contain a file twice. OpenMMLab's own datasets cannot if they list a folder."""
    stock = (type(dataset).load_data_list.__module__ or '').partition('.')[0] in ('mmengine', 'mmseg', 'mmpretrain')
    return bool(not stock or getattr(dataset, 'ann_file', '') or getattr(dataset, '_indices', None) is not None)


def _files(entry: Dict[str, Any]) -> Any:
    """Identity of a sample: its image, mask and class; None if it has no file."""
    files = [entry.get('img_path'), entry.get('seg_map_path')]
    if not files[0]:
        return None
    paths = [osp.normpath(path) if isinstance(path, str) and '://' not in path else str(path)
             for path in files]
    return (*paths, str(entry.get('gt_label')))


def _check_classes(parts: Sequence[Part]) -> None:
    first = parts[0]
    classes = tuple(first.dataset.metainfo.get('classes') or ())
    for part in parts[1:]:
        if difference := other_classes(classes, tuple(part.dataset.metainfo.get('classes') or ())):
            raise DistillError(f'{part.key} ({type(part.dataset).__name__}) has other classes than {first.key} '
                               f'({type(first.dataset).__name__}): {difference}; give both the same metainfo.classes, '
                               'in the same order')


def other_classes(first: Sequence[str], second: Sequence[str]) -> str:
    """How the ``second`` classes differ from the ``first``; '' if they do not. Names may be numbers."""
    if len(first) != len(second):
        return f'{len(second)} instead of {len(first)}'
    return next((f'id {index} is {there!r} instead of {here!r}'
                 for index, (here, there) in enumerate(zip(first, second)) if str(here) != str(there)), '')


def wrapper_names(dataset: Any) -> Set[str]:
    """Names of the Python classes of a dataset and of all datasets inside it."""
    return {type(dataset).__name__}.union(*map(wrapper_names, inner_datasets(dataset).values()))


def _chain(dataset: Any) -> str:
    """Names of the wrappers and the datasets inside: ``RepeatDataset of DRIVEDataset``."""
    inner = list(dict.fromkeys(map(_chain, inner_datasets(dataset).values())))
    return type(dataset).__name__ + (f' of {" and ".join(inner)}' if inner else '')
