"""Lazy imports: modules of a package are imported when one of their names is first used.

mmseg, mmpretrain, diffusers and transformers are only imported if they are needed.
"""
from importlib import import_module
from typing import Any, Callable, Dict, List, Sequence, Tuple


def lazy_exports(package: str, modules: Dict[str, Sequence[str]]) -> Tuple[Callable[[str], Any], List[str]]:
    """``__getattr__`` and ``__all__`` (PEP 562) for a package that exports names of its modules lazily.

    Args:
        package: Name of the package.
        modules: Module → names to export.

    Example:
        >>> __getattr__, __all__ = lazy_exports(__name__, dict(masks=['DatasetMasks'], labels=['DatasetLabels']))
    """
    places = {name: module for module, names in modules.items() for name in names}

    def __getattr__(name: str) -> Any:
        if name not in places:
            raise AttributeError(f'module {package!r} has no attribute {name!r}')
        return getattr(import_module(f'{package}.{places[name]}'), name)

    return __getattr__, sorted(places)
