"""What MMEngine's runner needs for a distillation run: the loop and the hooks."""
import mmdistill.registry  # noqa: F401  first: it says what to install where there is no OpenMMLab package
from mmdistill.lazy import lazy_exports

__getattr__, __all__ = lazy_exports(__name__, {
    'hooks.export': ['ExportHook', 'PreviewHook', 'SampleGridHook'],
    'hooks.composing': ['ClassPlanHook', 'GuidedSynthesisHook', 'MaskSelectionHook', 'PrototypeHook'],
    'inherited': ['distillation_config'],
    'loop': ['DistillLoop'],
    'training': ['BFloat16OptimWrapper'],
})
