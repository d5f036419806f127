"""Hooks: how a user composes a run. No algorithm lives here."""
from .export import ExportDiffusersHook, SampleGridHook

__all__ = ['ExportDiffusersHook', 'SampleGridHook']
