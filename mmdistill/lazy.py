"""Packages whose modules are imported when a name is first asked for.

mmseg, mmpretrain, diffusers and transformers are each imported only where they are used.
"""
from importlib import import_module
from typing import Any, Callable, Dict, List, Sequence, Tuple


def lazy_exports(package: str, modules: Dict[str, Sequence[str]]) -> Tuple[Callable[[str], Any], List[str]]:
    """``__getattr__`` and ``__all__`` (PEP 562) of a package that exports these names of its ``modules``.

    Example:
        >>> __getattr__, __all__ = lazy_exports(__name__, dict(masks=['DatasetMasks'], labels=['DatasetLabels']))
    """
    places = {name: module for module, names in modules.items() for name in names}

    def __getattr__(name: str) -> Any:
        if name not in places:
            raise AttributeError(f'module {package!r} has no attribute {name!r}')
        return getattr(import_module(f'{package}.{places[name]}'), name)

    return __getattr__, sorted(places)
