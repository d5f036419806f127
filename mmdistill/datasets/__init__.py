"""Data sets, writers and the manifest: how images and labels come in and go out."""
import mmdistill.registry  # noqa: F401  first: it names the command to run where no host stack is installed

from .factories import distilled_dataset, imagenet_subset
from .labels import DatasetLabels
from .manifest import read_manifest, write_manifest
from .masks import DatasetMasks
from .objects import ObjectPictures
from .streets import StreetScenes
from .transforms import ShufflePatches
from .writers import ClassWriter, SegWriter

__all__ = ['ClassWriter', 'DatasetLabels', 'DatasetMasks', 'ObjectPictures', 'SegWriter', 'ShufflePatches',
           'StreetScenes', 'distilled_dataset', 'imagenet_subset', 'read_manifest', 'write_manifest']
