"""Soft labels from a teacher for training on a distilled set: online, stored for replayed views, or one per image."""
import mmdistill.registry  # noqa: F401  first: it says what to install where there is no OpenMMLab package
from mmdistill.lazy import lazy_exports

__getattr__, __all__ = lazy_exports(__name__, {
    'hooks': ['OnlineLabelsHook', 'ReplayedLabelsHook'],
    'replay': ['ReplayedViews', 'set_fingerprint'],
    'store': ['LabelStore', 'LabelWriter'],
    'teacher': ['Teacher'],
    'views': ['draw_mix', 'seeded'],
})
