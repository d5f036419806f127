"""The adapters that bring the core to MMEngine's runner."""
import mmdistill.registry  # noqa: F401  first: it names the command to run where no host stack is installed

from .hooks import ExportHook, GuidedSynthesisHook, MaskSelectionHook, PreviewHook, SampleGridHook
from .loop import DistillLoop

__all__ = [
    'DistillLoop', 'ExportHook', 'GuidedSynthesisHook', 'MaskSelectionHook', 'PreviewHook', 'SampleGridHook'
]
