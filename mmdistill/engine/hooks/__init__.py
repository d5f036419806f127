"""Hooks: how a user composes a run. No algorithm lives here."""
from .export import ExportHook, SampleGridHook
from .guidance import GuidedSynthesisHook
from .preview import PreviewHook
from .selection import MaskSelectionHook

__all__ = ['ExportHook', 'GuidedSynthesisHook', 'MaskSelectionHook', 'PreviewHook', 'SampleGridHook']
