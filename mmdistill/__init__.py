"""mmdistill: distil a large labelled dataset into a small synthetic one.

Importing this package loads nothing else. The core (``selection``, ``generation``, ``guidance``) needs no OpenMMLab
package; ``mmdistill.registry`` and the adapters on top of it (``engine``, ``datasets``, ``models``) do.
"""
from .version import __version__

__all__ = ['__version__']
