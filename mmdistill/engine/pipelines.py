"""Names in the pipelines of a source, checked before its datasets are built."""
from typing import Any, Mapping, Optional, Sequence

from mmcv.transforms import LoadAnnotations

from mmdistill.components import resolve
from mmdistill.datasets.wrapped_configs import in_scope, inner_configs
from mmdistill.errors import DistillError
from mmdistill.registry import TRANSFORMS


def check_pipelines(cfg: Mapping[str, Any], where: str, package: str) -> None:
    """Check that the transforms of a dataset, and of those that it wraps, are known.

    Args:
        cfg: The dataset's config, at key ``where`` of a config whose scope is ours.
        where: Its key.
        package: The scope of the OpenMMLab package that reads it.

    Raises:
        DistillError: A transform has no type or an unknown one, or one that needs the name of its package.
    """
    if isinstance(pipeline := cfg.get('pipeline'), (list, tuple)):
        _check(pipeline, f'{where}.pipeline', cfg.get('_scope_'), package, f"set {where}._scope_='{package}'")
    for name, member in inner_configs(cfg).items():
        check_pipelines(in_scope(member, cfg.get('_scope_')), f'{where}.{name}', package)


def _check(steps: Sequence[Any], where: str, scope: Optional[str], package: str, advice: str) -> None:
    for number, step in enumerate(steps):
        key = f'{where}.{number}'
        if isinstance(step, (list, tuple)):  # of RandomChoice
            _check(step, key, scope, package, advice)
        if not isinstance(step, Mapping):
            continue
        step = in_scope(step, scope)
        name: Any = step.get('type')
        theirs = _of_package(step, package)
        if theirs and TRANSFORMS.get(name) is None:
            raise DistillError(f'{key}.type={name!r} is a transform of {package}, and names without a package are of '
                               f"MMEngine, mmcv and mmdistill here: write '{theirs}', or {advice}")
        if resolve(step, TRANSFORMS, key) is LoadAnnotations and package == 'mmseg' and not step.get('with_seg'):
            raise DistillError(f"{key}.type={name!r} is mmcv's, which reads no masks as mmseg does: write "
                               f"'mmseg.LoadAnnotations'{f', or {advice}' if theirs else ''}")
        if isinstance(inner := step.get('transforms'), (list, tuple)):
            _check(inner, f'{key}.transforms', step.get('_scope_'), package, advice)


def _of_package(step: Mapping[str, Any], package: str) -> str:
    """The full name of a transform that is written without a scope, if the package has one of this name; else ''."""
    name, ours = step.get('type'), TRANSFORMS.scope
    if not isinstance(name, str) or not name or '.' in name or step.get('_scope_', ours) != ours:
        return ''
    full = f'{package}.{name}'
    return '' if TRANSFORMS.get(full) is None else full
