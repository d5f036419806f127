"""mmdistill: distil a large labelled dataset into a small synthetic one.

Importing this package loads no other module. The core (``selection``, ``generation``, ``guidance``) needs no OpenMMLab
package; ``mmdistill.registry`` and the packages that use it (``engine``, ``datasets``, ``models``) do.
"""
from .version import __version__

__all__ = ['__version__']
