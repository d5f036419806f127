"""Configs of datasets inside of wrappers; for built ones see :mod:`mmdistill.datasets.wrappers`."""
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

Config = Mapping[str, Any]


def inner_configs(cfg: Config) -> Dict[str, Config]:
    """The configs of the datasets that a dataset's config wraps, by key; none where it wraps none."""
    found = {'dataset': cfg.get('dataset')}
    if isinstance(members := cfg.get('datasets'), (list, tuple)):
        found.update({f'datasets.{number}': member for number, member in enumerate(members)})
    return {key: inner for key, inner in found.items() if isinstance(inner, Mapping)}


def _wraps(cfg: Config) -> bool:
    return 'datasets' in cfg or 'dataset' in cfg


def map_inner(cfg: Config, change: Callable[[Config], Config]) -> Dict[str, Any]:
    """A copy of a wrapper's config whose inner ones are changed."""
    new = dict(cfg)
    if isinstance(cfg.get('dataset'), Mapping):
        new['dataset'] = change(cfg['dataset'])
    if isinstance(cfg.get('datasets'), (list, tuple)):
        new['datasets'] = [change(member) if isinstance(member, Mapping) else member for member in cfg['datasets']]
    return new


def part_configs(cfg: Config, key: str = '') -> Iterator[Tuple[str, Config]]:
    """(key, config) of each dataset behind the wrappers, as :func:`~mmdistill.datasets.wrappers.parts_of` orders them;
    those of an outer ``_scope_`` are given it, too."""
    inner = inner_configs(cfg)
    if not inner:
        yield key, cfg
    for name, member in inner.items():
        yield from part_configs(in_scope(member, cfg.get('_scope_')), f'{key}.{name}'.lstrip('.'))


def in_scope(cfg: Config, scope: Optional[str]) -> Config:
    """A config as it is read inside of one with this ``_scope_``."""
    return cfg if scope is None or '_scope_' in cfg else dict(cfg, _scope_=scope)


def part_config(cfg: Config, key: str) -> Config:
    """The config at a key that :func:`part_configs` gives."""
    return dict(part_configs(cfg))[key]


def with_pipeline(cfg: Config, pipeline: Sequence) -> Dict[str, Any]:
    """A copy of a dataset's config in which each dataset behind the wrappers that has no pipeline gets this one; the
    pipeline of a wrapper stays."""
    if not _wraps(cfg) or 'pipeline' in cfg:
        return {'pipeline': list(pipeline), **cfg}
    return map_inner(cfg, lambda inner: with_pipeline(inner, pipeline))


def without_pipeline(cfg: Config) -> Dict[str, Any]:
    """A copy of a dataset's config, and of those that it wraps, without pipelines."""
    return {key: value for key, value in map_inner(cfg, without_pipeline).items() if key != 'pipeline'}


def bare(cfg: Config) -> Dict[str, Any]:
    """A copy of a dataset's config, and of those that it wraps, with empty pipelines: only files are listed."""
    new = map_inner(cfg, bare)
    return dict(new, pipeline=[]) if 'pipeline' in cfg or not _wraps(cfg) else new


def scoped(cfg: Config, scope: str) -> Dict[str, Any]:
    """A copy of a dataset's config, and of those that it wraps, whose types are an OpenMMLab package's where they name
    no other."""
    name, new = cfg.get('type'), map_inner(cfg, lambda inner: scoped(inner, scope))
    return dict(new, type=f'{scope}.{name}') if isinstance(name, str) and '.' not in name else new


def pipeline_of(cfg: Config) -> List[Any]:
    """The pipeline of a dataset's config, or of the first dataset behind its wrappers."""
    _, first = next(part_configs(cfg), ('', cfg))
    return list(first.get('pipeline', ()))
