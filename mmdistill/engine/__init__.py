"""The adapters that bring the core to MMEngine's runner."""
import mmdistill.registry  # noqa: F401  first: it names the command to run where no host stack is installed

from .hooks import (ClassPlanHook, ExportHook, GuidedSynthesisHook, MaskSelectionHook, PreviewHook, PrototypeHook,
                    SampleGridHook)
from .loop import DistillLoop
from .optim import BFloat16OptimWrapper

__all__ = ['BFloat16OptimWrapper', 'ClassPlanHook', 'DistillLoop', 'ExportHook', 'GuidedSynthesisHook',
           'MaskSelectionHook', 'PreviewHook', 'PrototypeHook', 'SampleGridHook']
