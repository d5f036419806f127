"""Exports distilled sets to the formats of other programs, with a dataset card. Nothing is uploaded."""
import csv
import io
import json
import os
import re
import shutil
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from mmdistill.errors import DistillError, counted
from mmdistill.files import make_folder, write_atomic
from mmdistill.imagenet import imagenet_ids
from mmdistill.weights.address import Address, licence
from mmdistill.weights.public import public_weights
from .manifest import MANIFEST, read_manifest
from .verify import check_set

#: The file in an exported folder that lists the weight of each image in the loss.
WEIGHTS = 'weights.csv'
#: ImageNet's class ids in DD-Ranking's order of the classes of each subset (its utils/data.py). Folders named by their
#: WordNet ids would silently be numbered in another order.
DD_RANKING = dict(
    ImageNette=(0, 217, 482, 491, 497, 566, 569, 571, 574, 701),
    ImageWoof=(193, 182, 258, 162, 155, 167, 159, 273, 207, 229),
    ImageMeow=(281, 282, 283, 284, 285, 291, 292, 290, 289, 287),
    ImageSquawk=(84, 130, 88, 144, 145, 22, 96, 9, 100, 89),
    ImageFruit=(953, 954, 949, 950, 951, 957, 952, 945, 943, 948),
    ImageYellow=(309, 986, 954, 951, 987, 779, 599, 291, 72, 11))


def export_set(root: Union[str, Path], out: Union[str, Path], form: str, shard_images: int = 1000,
               tables: Sequence[str] = ()) -> str:
    """Export a distilled set to another format, with a README.md about it.

    Args:
        root: The data root of the set; its files must pass :func:`~mmdistill.datasets.verify.check_set`.
        out: A new or empty folder.
        form: ``'imagefolder'``: a folder per class, ``train/03_name/``, in the sorted order of the class ids
            (torchvision's ``ImageFolder``), and ``weights.csv`` if the images have weights. ``'ddranking'``: the same,
            but in DD-Ranking's order of the classes.
            ``'webdataset'``: tar files of ``KEY.jpg`` (or ``.png``), ``KEY.cls`` or ``KEY.mask.png``, and ``KEY.json``.
        shard_images: Images per tar file, at least 1.
        tables: Markdown tables of results, for the README.

    Returns:
        str: A sentence about what was written.

    Raises:
        DistillError: The set is damaged, it has masks but the format has class folders, or ``out`` is not empty.
    """
    root, out = Path(root), Path(out)
    if out.resolve().is_relative_to(root.resolve()):
        raise DistillError(f'{out} is inside the set {root}, which it would damage: give another folder')
    check_set(root)
    manifest = read_manifest(root)
    if form != 'webdataset' and manifest['task'] != 'classification':
        raise DistillError(f'{root} is a set for {manifest["task"]}, which cannot be exported as a folder per class: '
                           'use --to webdataset')
    if os.path.lexists(out) and not out.is_dir():
        raise DistillError(f'{out} is not a folder: give a new one')
    if out.is_dir() and any(out.iterdir()):
        raise DistillError(f'{out} is not empty: give a new folder')
    make_folder(out, f'cannot write into {out}', 'choose another folder')
    order, note = class_order(manifest['classes'], form)
    try:
        if form == 'webdataset':
            count = _write_shards(root, out, manifest, shard_images)
            note = f'{count} tar files'
        else:
            _write_folders(root, out, manifest, _folders(manifest['classes'], order))
        write_atomic(out / 'README.md', card(manifest, form, note, tables).encode())
        write_atomic(out / Path(MANIFEST).name, (root / MANIFEST).read_bytes())
    except BaseException:  # incomplete output is removed
        shutil.rmtree(out, ignore_errors=True)
        raise
    return f'{out}: {counted(len(manifest["images"]), "image")}, {note}; see {out / "README.md"} before you publish it'


def class_order(classes: Sequence[str], form: str) -> Tuple[List[int], str]:
    """Class ids in the order of an export format, and a note about the order."""
    unchanged = list(range(len(classes)))
    if form != 'ddranking':
        return unchanged, "classes in the set's own order"
    if (ids := imagenet_ids(classes)) is None:
        return unchanged, "classes in the set's own order, since they are no WordNet ids: compare it with DD-Ranking's"
    for name, wanted in DD_RANKING.items():
        if sorted(wanted) == sorted(ids):
            return [ids.index(label) for label in wanted], f"classes in DD-Ranking's order of {name}"
    return sorted(unchanged, key=lambda label: ids[label]), 'classes in the order of their WordNet ids'


def _folders(classes: Sequence[str], order: Sequence[int]) -> Dict[int, str]:
    """Folder name of each class; sorted, the names are in this order."""
    width = len(str(len(order) - 1))
    names = [re.sub(r'[^\w.-]+', '_', name)[:60] for name in classes]
    return {label: f'{place:0{width}d}_{names[label]}' for place, label in enumerate(order)}


def _write_folders(root: Path, out: Path, manifest: Mapping[str, Any], folders: Mapping[int, str]) -> None:
    """Write a folder of images per class and, if the images have weights, ``weights.csv``."""
    weights = []
    for image in manifest['images']:
        name = f'train/{folders[image["classes"][0]]}/{image["image"].replace("/", "_")}'
        write_atomic(out / name, (root / image['image']).read_bytes())
        weights += [(name, image['weight'])] if 'weight' in image else []
    if weights:
        stream = io.StringIO()
        csv.writer(stream, lineterminator='\n').writerows([('image', 'weight'), *weights])
        write_atomic(out / WEIGHTS, stream.getvalue().encode())


def _write_shards(root: Path, out: Path, manifest: Mapping[str, Any], size: int) -> int:
    """Write tar files of ``size`` images, reproducible to the byte; return their number."""
    images = manifest['images']
    shards = [images[start:start + size] for start in range(0, len(images), size)]
    for number, shard in enumerate(shards):
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode='w', format=tarfile.USTAR_FORMAT) as tar:
            for place, image in enumerate(shard, number * size):
                for suffix, data in _parts(root, image):
                    member = tarfile.TarInfo(f'{place:08d}.{suffix}')
                    member.size, member.mode = len(data), 0o644
                    tar.addfile(member, io.BytesIO(data))
        write_atomic(out / f'train-{number:06d}.tar', stream.getvalue())
    return len(shards)


def _parts(root: Path, image: Mapping[str, Any]) -> List[Tuple[str, bytes]]:
    """The members of a tar file for an image, as (suffix, bytes)."""
    suffix = Path(image['image']).suffix.lower().replace('.jpeg', '.jpg')
    parts = [(suffix[1:], (root / image['image']).read_bytes())]
    if 'mask' in image:
        parts.append((f'mask{Path(image["mask"]).suffix.lower()}', (root / image['mask']).read_bytes()))
    else:
        parts.append(('cls', str(image['classes'][0]).encode()))
    about = {key: image[key] for key in ('id', 'classes', 'prompt', 'weight') if image.get(key) is not None}
    return [*parts, ('json', json.dumps(about, sort_keys=True).encode())]


def card(manifest: Mapping[str, Any], form: str, note: str, tables: Sequence[str] = ()) -> str:
    """A dataset card in Markdown: content, method, weights and results of a set."""
    counts = Counter(label for image in manifest['images'] for label in set(image['classes']))
    least, most = min(counts.values()), max(counts.values())
    weights = manifest.get('weights', {})
    loaded = sorted(set(_ids(weights)))
    classes = ', '.join(_plain(name) for name in manifest['classes'][:20])
    lines = [
        '---', f'task_categories: [image-{_plain(manifest["task"])}]',
        'license: other', 'tags: [dataset-distillation, synthetic]', '---', '',
        f'# Distilled set ({_plain(manifest["method"])})', '',
        f'{len(manifest["images"])} synthetic images for {manifest["source_size"]:,} real ones, made by mmdistill '
        f'{_plain((manifest.get("libraries") or {}).get("mmdistill", ""))}.', '',
        '| | |', '|---|---|', f'| form | {form}: {note} |',
        f'| classes | {len(manifest["classes"])}: {classes}{", …" * (len(manifest["classes"]) > 20)} |',
        f'| images per class | {least}{f" to {most}" * (most > least)} |',
        f'| seed | {manifest.get("seed", "")} |',
        f'| weights | {", ".join(map(_plain, loaded)) or "see meta"} |', *_finishing(manifest, form), '',
        '## Licence', 'The images come from the generator\'s weights and from real data: the licences of both apply. '
        'Read them, and write the result here and above, before you publish this set.', '',
        *(f'- {_plain(name)}: {_licence(name)}' for name in loaded), '- the real data: see its publisher', '',
        '## Provenance', f'`{Path(MANIFEST).name}` has the plan: the mask, start latents, prompt and seed of each '
        'image, as far as the method has them, the SHA-256 of every file of the original set and of the weights.', '']
    if tables:
        lines += ['## Results', *(f'{table}\n' for table in tables)]
    return '\n'.join(lines)


def _finishing(manifest: Mapping[str, Any], form: str) -> List[str]:
    """Lines of the card about the choice among candidates and the weights of the images."""
    lines = []
    if choice := manifest.get('extra', {}).get('choice'):
        lines.append('| choice | each image was chosen from several candidates by '
                     f'{_plain(choice.get("choice", {}).get("type"))} |')
    if weights := [image['weight'] for image in manifest['images'] if 'weight' in image]:
        place = 'weight in the JSON of each image' if form == 'webdataset' else f'`{WEIGHTS}`'
        lines.append(f'| weights of images | {min(weights):.3g} to {max(weights):.3g}: {place}. The loss of a batch is '
                     'the sum of weight × loss of each image over the sum of the weights; training '
                     'without the weights gives other results |')
    return lines


def _licence(weights: str) -> str:
    """The licence of weights by their address, as far as it is known."""
    if weights.startswith('mmdistill://'):
        return 'Apache-2.0, part of mmdistill'
    address = Address.parse(weights)
    known = address and public_weights(address.repo)
    return known.licence if known else licence(weights) or 'see its publisher'


def _ids(weights: Any) -> List[str]:
    """Addresses of the weights in a manifest."""
    if isinstance(weights, Mapping):
        found = [_address(weights['id'])] if isinstance(weights.get('id'), str) else []
        return found + [name for value in weights.values() for name in _ids(value)]
    return []


def _address(weights: str) -> str:
    """An address of weights without the path of a local folder."""
    path = Path(weights)
    trained = path.name == 'export' and path.parent.name  # the folder that a training writes
    if '://' in weights or not (trained or weights.startswith(('/', '.', '~'))):
        return weights
    return trained or path.name


def _plain(text: Optional[Any]) -> str:
    """Text from a manifest, which is not trusted, without the special characters of Markdown and HTML."""
    return re.sub(r'[^\w .,:/@()+-]+', ' ', str(text or ''))[:200].strip()
