"""Datasets that wrap others, and the real samples behind them, each once."""
import os.path as osp
import sys
from typing import Any, Dict, List, NamedTuple, Sequence, Set, Tuple

from mmengine.dataset import ClassBalancedDataset, ConcatDataset, RepeatDataset

from mmdistill.errors import DistillError

_OF_PACKAGES = (('mmseg.datasets', 'MultiImageMixDataset'), ('mmpretrain.datasets', 'KFoldDataset'))
KNOWN = ', '.join(['ConcatDataset', 'RepeatDataset', 'ClassBalancedDataset', *(name for _, name in _OF_PACKAGES)])


class Part(NamedTuple):
    """A dataset that reads files itself, behind any number of wrappers."""
    key: str  # where its config is, below that of the whole dataset: 'datasets.1.dataset'; '' where nothing wraps it
    dataset: Any
    indices: Sequence[int]  # of its samples among those of the config: a fold has only some of them


class RealSamples:
    """The samples of several datasets as one, read-only: what :func:`real_dataset` gives of their wrapper.

    Attributes:
        wrapper: The dataset as it was built.
        parts: The datasets that read the files.
        rows: (part, index in the part) of each sample.
        repeated: Samples that were left out, since an earlier part has the same files.
        listed_again: Samples that were left out, since their part has the same files before.
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
        """The first part's."""
        return self.parts[0].metainfo

    def full_init(self) -> None:
        """The parts have been initialised."""

    def get_data_info(self, index: int) -> dict:
        """The entry of a sample."""
        number, inner = self.rows[index]
        return self.parts[number].get_data_info(inner)

    def __getitem__(self, index: int) -> Any:
        """What the pipeline of its part makes of a sample."""
        number, inner = self.rows[index]
        return self.parts[number][inner]

    def __len__(self) -> int:
        return len(self.rows)


def is_wrapper(dataset: type) -> bool:
    """Whether a dataset class is one of OpenMMLab's wrappers, or derived from one."""
    modules = [(sys.modules.get(module), name) for module, name in _OF_PACKAGES]  # its package has been imported
    classes = [getattr(module, name) for module, name in modules if hasattr(module, name)]
    return issubclass(dataset, (ConcatDataset, RepeatDataset, ClassBalancedDataset, *classes))


def inner_datasets(dataset: Any) -> Dict[str, Any]:
    """The datasets that one wraps, by key; none where it is no wrapper."""
    if not is_wrapper(type(dataset)):
        return {}
    if isinstance(dataset, ConcatDataset):
        return {f'datasets.{number}': inner for number, inner in enumerate(dataset.datasets)}
    return dict(dataset=dataset.dataset)


def parts_of(dataset: Any, key: str = '') -> List[Part]:
    """The datasets behind the wrappers of a built one, in order; itself where it wraps none."""
    if isinstance(dataset, RealSamples):
        dataset = dataset.wrapper
    dataset.full_init()
    if not (inner := inner_datasets(dataset)):
        return [Part(key, dataset, range(len(dataset)))]
    parts = [part for name, one in inner.items() for part in parts_of(one, f'{key}.{name}'.lstrip('.'))]
    if hasattr(dataset, '_ori_indices'):  # a KFoldDataset, whose dataset is the fold by now
        parts = [part._replace(indices=[dataset._ori_indices[index] for index in part.indices]) for part in parts]
    return parts


def real_dataset(dataset: Any, distinct: bool = True) -> Any:
    """What a dataset's real samples are read from: the one dataset behind its wrappers, or :class:`RealSamples`.

    Repetition and balance are undone, a fold stays: each real sample is there once, in the order of the files. With
    ``distinct`` a sample whose files an earlier one has, too, is left out, whether a list names them twice or two
    datasets have them; the same image with another mask or class is another sample.

    Raises:
        DistillError: Two parts have other classes, or the same in another order.
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
    """The datasets that read the files of what :func:`real_dataset` gave."""
    return real.parts if isinstance(real, RealSamples) else [real]


def real_rows(real: Any) -> List[Tuple[int, int]]:
    """(part, index in it) of each sample of what :func:`real_dataset` gave."""
    return real.rows if isinstance(real, RealSamples) else [(0, index) for index in range(len(real))]


def describe(dataset: Any, real: Any = None) -> str:
    """A sentence on how the ``real`` samples were counted, by default those of :func:`real_dataset`; '' where nothing
    wraps the dataset and no sample is listed twice."""
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

    It becomes what it would be if the configs of the datasets behind the wrappers had these ``indices``: the wrappers
    repeat, balance and mix what is left. A dataset without remaining samples is removed from its
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
            _wrap_again(part, left)
        return bool(left)

    restrict(dataset)


def _wrap_again(wrapper: Any, inner: List[Any]) -> None:
    """Have a wrapper count its datasets again."""
    if hasattr(wrapper, '_ori_indices'):  # a fold is not divided once more
        return
    if isinstance(wrapper, ConcatDataset):
        wrapper.datasets = inner
    wrapper._metainfo = inner[0].metainfo
    if hasattr(wrapper, 'num_samples'):  # MultiImageMixDataset counts when it is made
        wrapper.num_samples = len(inner[0])
    wrapper._fully_initialized = False
    wrapper.full_init()


def _may_repeat(dataset: Any) -> bool:
    """Whether a dataset may name a file twice, which one that OpenMMLab's own classes list from folders does not."""
    stock = (type(dataset).load_data_list.__module__ or '').partition('.')[0] in ('mmengine', 'mmseg', 'mmpretrain')
    return bool(not stock or getattr(dataset, 'ann_file', '') or getattr(dataset, '_indices', None) is not None)


def _files(entry: Dict[str, Any]) -> Any:
    """What a sample is told by: its image, mask and class; None where it names no file."""
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
    """How the ``second`` classes differ from the ``first``, '' where they do not; a name may be a number."""
    if len(first) != len(second):
        return f'{len(second)} in place of {len(first)}'
    return next((f'id {index} is {there!r} in place of {here!r}'
                 for index, (here, there) in enumerate(zip(first, second)) if str(here) != str(there)), '')


def wrapper_names(dataset: Any) -> Set[str]:
    """Names of the classes of a dataset and of all that it wraps."""
    return {type(dataset).__name__}.union(*map(wrapper_names, inner_datasets(dataset).values()))


def _chain(dataset: Any) -> str:
    """Names of the wrappers and of what they wrap: ``RepeatDataset of DRIVEDataset``."""
    inner = list(dict.fromkeys(map(_chain, inner_datasets(dataset).values())))
    return type(dataset).__name__ + (f' of {" and ".join(inner)}' if inner else '')
