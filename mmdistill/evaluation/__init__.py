"""Comparisons of training sets under named protocols: students, metrics of sets, the report."""
import mmdistill.registry  # noqa: F401  first: it says what to install where there is no OpenMMLab package
from mmdistill.lazy import lazy_exports

__getattr__, __all__ = lazy_exports(__name__, {
    'class_accuracy': ['ClassAccuracy'],
    'class_iou': ['ClassIoU'],
    'comparison_runner': ['ComparisonRunner', 'run_comparisons'],
    'results': ['ResultCache', 'markdown', 'rare_classes', 'read_results', 'summarise', 'table_cells'],
    'students': ['train_student'],
    'training_metrics': ['MeanLoss', 'PSNR'],
})
