"""Tasks: everything that is specific to segmentation or to classification."""
import mmdistill.registry  # noqa: F401  first: it says what to install where there is no OpenMMLab package
from .base import Source, Task, all_tasks, task_of_dataset, task_of_datasets, task_of_manifest, task_of_scope
from .resources import Resources, declared_needs

__all__ = ['Resources', 'Source', 'Task', 'all_tasks', 'declared_needs', 'task_of_dataset', 'task_of_datasets',
           'task_of_manifest', 'task_of_scope']
