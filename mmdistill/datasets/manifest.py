"""The manifest ``meta/distilled.json``: the source, prompt, seed and checksums of every image of a distilled set.

It is written last, so a set without a manifest is unfinished.
"""
import hashlib
import json
import math
import platform
from contextlib import suppress
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, Callable, Dict, List, Mapping, Optional, TypedDict, Union

from mmdistill.documents import check_paths, check_record, inside, read_document
from mmdistill.errors import DistillError, counted
from mmdistill.files import file_digest, remove_temporary, write_atomic, write_json
from mmdistill.plan import Colour, Plan, Seed, check_classes, check_entries
from mmdistill.settings import NonNegativeInt, Range
from mmdistill.version import __version__
from .layouts import OF_TASK, ClassLayout, SegLayout

MANIFEST_VERSION = 2
MANIFEST = 'meta/distilled.json'
RESTORE = 'copy the set again, or run mmdistill distill … --resume, which writes damaged and missing files again'
# Distribution names. OpenMMLab's packages are installed as the maintained forks (onedl-*) or as the originals.
_OPENMMLAB = ('mmengine', 'mmcv', 'mmsegmentation', 'mmpretrain', 'mmdetection', 'mmdet')
_LIBRARIES = ('torch', 'torchvision', 'numpy', 'pillow', 'diffusers', 'transformers', 'scikit-learn', 'POT',
              *(f'onedl-{name}' for name in _OPENMMLAB), *_OPENMMLAB)
Weight = Annotated[float, Range(0, math.inf, below=True)]


class _Origin(TypedDict, total=False):
    mask: str
    latents: str
    sha256: Dict[str, str]
    seed: Seed
    source_index: Optional[NonNegativeInt]
    source: Optional[str]
    source_mask: Optional[str]
    prompt: Optional[str]
    latent: Optional[str]
    weight: Weight


class _Image(_Origin):
    id: str
    image: str
    classes: List[NonNegativeInt]


class _Layout(TypedDict):
    name: str


class _Ignored(TypedDict):
    share: float
    classes: Dict[str, Optional[float]]


class _Cleaning(TypedDict, total=False):
    ignored: Dict[str, _Ignored]


class _Choice(TypedDict, total=False):
    choice: Dict[str, Any]


class _Extra(TypedDict, total=False):
    cleaning: _Cleaning
    choice: _Choice
    reading: Dict[str, Any]
    files: Dict[str, Any]


class _Optional(TypedDict, total=False):
    checksum: str
    config_hash: str
    seed: NonNegativeInt
    weights: Dict[str, Any]
    provenance: Dict[str, Any]
    extra: _Extra
    libraries: Dict[str, str]


class _Manifest(_Optional):
    task: str
    method: str
    classes: List[str]
    palette: List[Colour]
    layout: _Layout
    source_size: NonNegativeInt
    images: List[_Image]


def library_versions() -> Dict[str, str]:
    """Versions of Python, mmdistill and the installed libraries that can affect the generated images."""
    versions = dict(python=platform.python_version(), mmdistill=__version__)
    for name in _LIBRARIES:
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions


def write_manifest(root: Union[str, Path], plan: Plan, layout: Union[SegLayout, ClassLayout],
                   weights: Mapping[str, Any], extra: Optional[Mapping[str, Any]] = None,
                   files: Optional[Callable[[str], Dict[str, str]]] = None,
                   image_weights: Optional[Mapping[str, float]] = None) -> Path:
    """Finish a distilled set: write the layout's list of images, if any, and then the manifest, atomically.

    The content depends only on the arguments and the installed libraries: it has no times and no paths but the plan's.

    Args:
        root: The data root of the set, with every image and mask of the plan.
        plan, layout: The plan and the layout of the set.
        weights: Sources of the weights of the generator and the guides (JSON values).
        extra: More JSON values for the manifest.
        files: Function from a request id to the files that were written, as {type of file: path relative to the root};
            default: the layout's. The manifest contains their SHA-256.
        image_weights: Request id → weight of its image in training, >= 0.

    Returns:
        Path of the manifest.

    Raises:
        DistillError: Images or masks are missing or empty, or the folder cannot be written.
    """
    root = Path(root)
    images: List[Dict[str, Any]] = []
    missing: List[str] = []
    for request in plan.requests:
        names = (files or layout.files)(request.id)
        absent = [name for name in names.values() if not is_written(root / name)]
        missing += absent
        digests = {} if absent else {kind: file_digest(root / name) for kind, name in names.items()}
        images.append(dict(
            id=request.id, **names, sha256=digests, seed=request.seed, source_index=request.source_index,
            source=request.source, source_mask=request.mask, classes=request.classes, prompt=request.prompt,
            latent=request.latent, **(dict(weight=image_weights[request.id]) if image_weights else {})))
    if missing:
        raise DistillError(f'{root} lacks {counted(len(missing), "file")} of its plan, the first is {missing[0]}: run '
                           'mmdistill distill with --resume')
    remove_temporary(root)
    if layout.ann_file:
        write_atomic(root / layout.ann_file, layout.ann_text(plan).encode())
    content = dict(
        version=MANIFEST_VERSION, task=layout.task, method=plan.method, config_hash=plan.config_hash, seed=plan.seed,
        classes=plan.classes, palette=plan.palette, layout=asdict(layout), weights=dict(weights),
        source_size=plan.source_size, provenance=plan.provenance, extra=dict(extra or {}),
        libraries=library_versions(), images=images)
    write_json(root / MANIFEST, dict(content, checksum=manifest_checksum(content)))
    return root / MANIFEST


def manifest_checksum(manifest: Mapping[str, Any]) -> str:
    """SHA-256 of a manifest's content except ``checksum``, independent of the order of keys and of white space."""
    content = json.loads(json.dumps({key: value for key, value in manifest.items() if key != 'checksum'}))
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(',', ':')).encode()).hexdigest()


def is_written(path: Path) -> bool:
    """Whether a file exists and is not empty."""
    return path.is_file() and path.stat().st_size > 0


def content_digest(root: Union[str, Path]) -> str:
    """Hash of the names and bytes of all files of a distilled set."""
    digest = hashlib.sha256()
    for path in sorted(path for path in Path(root).rglob('*') if path.is_file()):
        digest.update(str(path.relative_to(root)).encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def read_manifest(root: Union[str, Path]) -> Dict[str, Any]:
    """Read the manifest of a finished distilled set, written by :func:`write_manifest`.

    Raises:
        DistillError: There is no set, it is unfinished, or the manifest is invalid: damaged, of another version, with
            values of a wrong type or range, duplicate ids, paths out of the folder, an invalid layout, or images
            without the mask or the single class that the task needs.
    """
    path = Path(root) / MANIFEST
    if not Path(root).is_dir():
        raise DistillError(f'no distilled set at {root}: give the folder that mmdistill distill wrote')
    try:
        manifest = read_document(inside(root, MANIFEST))
        if manifest.get('version') != MANIFEST_VERSION:
            raise ValueError('written by another version of mmdistill')
        check_record(manifest, _Manifest)
        check_classes(manifest['classes'], manifest['palette'])
        layout = OF_TASK.get(manifest['task'])  # None for a task of another package
        check_entries(manifest['images'], len(manifest['classes']), layout and layout.annotation)
        if layout:
            layout.from_dict(manifest['layout'])
        for image in manifest['images']:
            check_paths(*(image[key] for key in ('image', 'mask', 'latents') if key in image))
    except FileNotFoundError:
        raise DistillError(_no_manifest(Path(root))) from None
    except ValueError as error:
        raise DistillError(f'{path} is not a readable manifest ({error}): {RESTORE}') from None
    return manifest


def _no_manifest(root: Path) -> str:
    if (root / 'distilled').is_dir():
        return f'{root} is a work dir, not a distilled set: give {root / "distilled"}'
    if ((root.parent if root.name == 'distilled' else root) / 'plan.json').is_file():
        return f'{root} has no {MANIFEST}, so it is unfinished: run mmdistill distill … --resume'
    return (f'{root} is not a distilled set: it has no {MANIFEST}, and there is no plan.json of an unfinished run; '
            'give the folder "distilled" of a work dir of mmdistill distill')
