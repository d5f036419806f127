"""Objectives that steer the denoising loop, and the guidance that applies them. No host package is needed."""
from .base import Guidance, Objective

__all__ = ['Guidance', 'Objective']
