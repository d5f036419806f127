"""A self-contained HTML report of finished work dirs: results, sets, images and their provenance."""
from .report import write_report
from .work_dirs import DistilledSet, WorkDir, read_work_dir

__all__ = ['DistilledSet', 'WorkDir', 'read_work_dir', 'write_report']
