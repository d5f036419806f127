"""Configs of datasets inside wrappers; for built datasets, see :mod:`mmdistill.datasets.wrappers`."""
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

Config = Mapping[str, Any]


def inner_configs(cfg: Config) -> Dict[str, Config]:
    """The configs that a wrapper's config contains, by key; empty for the config of another dataset."""
    found = {'dataset': cfg.get('dataset')}
    if isinstance(members := cfg.get('datasets'), (list, tuple)):
        found.update({f'datasets.{number}': member for number, member in enumerate(members)})
    return {key: inner for key, inner in found.items() if isinstance(inner, Mapping)}


def _wraps(cfg: Config) -> bool:
    return 'datasets' in cfg or 'dataset' in cfg


def map_inner(cfg: Config, change: Callable[[Config], Config]) -> Dict[str, Any]:
    """A copy of a wrapper's config with ``change`` applied to the inner configs."""
    new = dict(cfg)
    if isinstance(cfg.get('dataset'), Mapping):
        new['dataset'] = change(cfg['dataset'])
    if isinstance(cfg.get('datasets'), (list, tuple)):
        new['datasets'] = [change(member) if isinstance(member, Mapping) else member for member in cfg['datasets']]
    return new


def part_configs(cfg: Config, key: str = '') -> Iterator[Tuple[str, Config]]:
    """Yield (key, config) of each dataset inside the wrappers, in the order of
    :func:`~mmdistill.datasets.wrappers.parts_of`. Each config inherits the ``_scope_`` of its outer config."""
    inner = inner_configs(cfg)
    if not inner:
        yield key, cfg
    for name, member in inner.items():
        yield from part_configs(in_scope(member, cfg.get('_scope_')), f'{key}.{name}'.lstrip('.'))


def in_scope(cfg: Config, scope: Optional[str]) -> Config:
    """A config with the ``_scope_`` of its outer config, unless it has its own."""
    return cfg if scope is None or '_scope_' in cfg else dict(cfg, _scope_=scope)


def part_config(cfg: Config, key: str) -> Config:
    """The config at a key of :func:`part_configs`."""
    return dict(part_configs(cfg))[key]


def with_pipeline(cfg: Config, pipeline: Sequence) -> Dict[str, Any]:
    """A copy of a dataset's config, with this pipeline for each dataset inside the wrappers that has none.

    The pipeline of a wrapper is kept.
    """
    if not _wraps(cfg) or 'pipeline' in cfg:
        return {'pipeline': list(pipeline), **cfg}
    return map_inner(cfg, lambda inner: with_pipeline(inner, pipeline))


def without_pipeline(cfg: Config) -> Dict[str, Any]:
    """A copy of a dataset's config without pipelines, also in wrapped configs."""
    return {key: value for key, value in map_inner(cfg, without_pipeline).items() if key != 'pipeline'}


def bare(cfg: Config) -> Dict[str, Any]:
    """A copy of a dataset's config with empty pipelines, also in wrapped configs, to list files only."""
    new = map_inner(cfg, bare)
    return dict(new, pipeline=[]) if 'pipeline' in cfg or not _wraps(cfg) else new


def scoped(cfg: Config, scope: str) -> Dict[str, Any]:
    """A copy of a dataset's config with ``scope.`` before all types without a scope, also in wrapped configs."""
    name, new = cfg.get('type'), map_inner(cfg, lambda inner: scoped(inner, scope))
    return dict(new, type=f'{scope}.{name}') if isinstance(name, str) and '.' not in name else new


def pipeline_of(cfg: Config) -> List[Any]:
    """The pipeline of a dataset's config, or of the first dataset inside its wrappers."""
    _, first = next(part_configs(cfg), ('', cfg))
    return list(first.get('pipeline', ()))
