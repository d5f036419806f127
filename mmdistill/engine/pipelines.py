"""Checks of the data pipelines in a config, before the datasets are built."""
from typing import Any, Mapping, Optional, Sequence

from mmcv.transforms import LoadAnnotations

from mmdistill.components import resolve
from mmdistill.config import member_names
from mmdistill.datasets.wrapped_configs import in_scope, inner_configs
from mmdistill.errors import DistillError
from mmdistill.registry import TRANSFORMS


def check_pipelines(cfg: Mapping[str, Any], where: str, package: str) -> None:
    """Check that the transforms of a dataset, and of the datasets that it wraps, are registered.

    Args:
        cfg: Config of the dataset. Types without a scope are looked up in mmdistill.
        where: Key of the dataset in the config.
        package: Scope of the OpenMMLab package that reads the dataset.

    Raises:
        DistillError: The type of a transform is missing or unknown, or it needs the scope of its package.
    """
    if isinstance(pipeline := cfg.get('pipeline'), (list, tuple)):
        _check(pipeline, f'{where}.pipeline', cfg.get('_scope_'), package, f"set {where}._scope_='{package}'")
    for name, member in inner_configs(cfg).items():
        check_pipelines(in_scope(member, cfg.get('_scope_')), f'{where}.{name}', package)


def _check(steps: Sequence[Any], where: str, scope: Optional[str], package: str, advice: str) -> None:
    for key, step in zip(member_names(steps), steps):
        key = f'{where}.{key}'
        if isinstance(step, (list, tuple)):  # as in RandomChoice
            _check(step, key, scope, package, advice)
        if not isinstance(step, Mapping):
            continue
        step = in_scope(step, scope)
        name: Any = step.get('type')
        theirs = _of_package(step, package)
        if theirs and TRANSFORMS.get(name) is None:
            raise DistillError(f'{key}.type={name!r} is a transform of {package}, but names without a scope are looked '
                               f"up in MMEngine, mmcv and mmdistill only: write '{theirs}', or {advice}")
        if resolve(step, TRANSFORMS, key) is LoadAnnotations and package == 'mmseg' and not step.get('with_seg'):
            raise DistillError(f"{key}.type={name!r} is mmcv's, which does not read masks as mmseg does: write "
                               f"'mmseg.LoadAnnotations'{f', or {advice}' if theirs else ''}")
        if isinstance(inner := step.get('transforms'), (list, tuple)):
            _check(inner, f'{key}.transforms', step.get('_scope_'), package, advice)


def _of_package(step: Mapping[str, Any], package: str) -> str:
    """The name, with scope, of a transform that is written without scope; '' if the package does not have it."""
    name, ours = step.get('type'), TRANSFORMS.scope
    if not isinstance(name, str) or not name or '.' in name or step.get('_scope_', ours) != ours:
        return ''
    full = f'{package}.{name}'
    return '' if TRANSFORMS.get(full) is None else full
