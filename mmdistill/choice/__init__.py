"""Choice among candidate images, and weights of images for trainings."""
from .coverage import Chosen, CoverageChoice
from .shares import ClusterShares, count_nearest

__all__ = ['Chosen', 'ClusterShares', 'CoverageChoice', 'count_nearest']
