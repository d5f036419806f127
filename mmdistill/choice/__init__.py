"""What happens to finished images: which of several candidates are kept, and what each weighs in a training."""
from .coverage import Chosen, CoverageChoice
from .shares import ClusterShares, count_nearest

__all__ = ['Chosen', 'ClusterShares', 'CoverageChoice', 'count_nearest']
