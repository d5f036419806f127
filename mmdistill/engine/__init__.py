"""The loop and the hooks of a distillation run, for MMEngine's runner."""
import mmdistill.registry  # noqa: F401  must be first: its error names the packages to install
from mmdistill.lazy import lazy_exports

__getattr__, __all__ = lazy_exports(__name__, {
    'hooks.export': ['ExportHook', 'PreviewHook', 'SampleGridHook'],
    'hooks.composing': ['ClassPlanHook', 'GuidedSynthesisHook', 'MaskSelectionHook', 'PrototypeHook'],
    'inherited': ['distillation_config'],
    'loop': ['DistillLoop'],
    'training': ['BFloat16OptimWrapper'],
})
