"""Data sets, writers and the manifest: how images and labels come in and go out."""
from .streets import StreetScenes

__all__ = ['StreetScenes']
