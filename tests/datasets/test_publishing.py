"""Exported sets: the order of the classes, tar files, the card, and what is refused."""
import csv
import io
import json
import tarfile

import numpy as np
import pytest
from PIL import Image
from torchvision.datasets import ImageFolder

from mmdistill import cli
from mmdistill.datasets import ClassWriter, write_manifest
from mmdistill.datasets.publishing import DD_RANKING, export_set
from mmdistill.datasets.verify import verify_set
from mmdistill.errors import DistillError
from mmdistill.imagenet import imagenet_wnids
from mmdistill.plan import Plan, Request

WOOF = [imagenet_wnids()[label] for label in sorted(DD_RANKING['ImageWoof'])]  # as folders of WordNet ids sort


@pytest.fixture
def make(tmp_path):
    """``make(classes)``: a set of two images per class, the red of each being its class id."""
    def run(classes, weights=None, image_weights=(), extra=None, **settings):
        root = tmp_path / 'distilled'
        writer, requests = ClassWriter(root, **settings), []
        for label, name in enumerate(classes):
            for number in range(2):
                requests.append(Request(id=f'c{label}/{number:05d}', seed=number, source_index=0, source='a',
                                        classes=(label, ), prompt=f'a photo of {name}'))
                writer.write(requests[-1].id, np.full((8, 8, 3), (20 * label, 0, 0), np.uint8))
        plan = Plan('D4M', 'hash', 0, tuple(classes), (), 100, tuple(requests), {})
        write_manifest(root, plan, writer.layout, weights or {}, extra, getattr(writer, 'files', None),
                       {one.id: weight for one, weight in zip(requests, image_weights)})
        return root

    return run


def labels_by_red(folder):
    """Class id that ImageFolder gives → the id that the image was made for."""
    dataset = ImageFolder(folder)
    return {label: round(np.asarray(image)[0, 0, 0] / 20) for image, label in (dataset[i] for i in range(len(dataset)))}


def test_sorted_folders_have_the_ids_of_the_set(make, tmp_path):
    names = [f'class {label}' for label in (9, 3, 11, 0, 1, 10, 2, 8, 7, 5, 6)]  # neither sorted, nor one digit each
    export_set(make(names), tmp_path / 'out', 'imagefolder')
    assert labels_by_red(tmp_path / 'out/train') == {label: label for label in range(11)}
    assert len(list((tmp_path / 'out/train').rglob('*.JPEG'))) == 22


@pytest.mark.parametrize('form', ['imagefolder', 'ddranking', 'webdataset'])
def test_png_files_stay_as_they_are(make, tmp_path, form):
    root = make(['a', 'b'], image_format='PNG')
    export_set(root, tmp_path / 'out', form)
    if form == 'webdataset':
        with tarfile.open(tmp_path / 'out/train-000000.tar') as archive:
            found = [archive.extractfile(one).read() for one in archive if one.name.endswith('.png')]
    else:
        assert labels_by_red(tmp_path / 'out/train') == {0: 0, 1: 1}
        found = [path.read_bytes() for path in sorted((tmp_path / 'out/train').rglob('*.png'))]
    images = [(root / f'train/c{label}/0000{number}.png').read_bytes() for label in range(2) for number in range(2)]
    assert found == images and all(data.startswith(b'\x89PNG') for data in images)


def test_dd_ranking_numbers_the_classes_of_imagewoof_in_its_own_order(make, tmp_path, capsys):
    """Its loader gives the real test images these labels: the position of ImageNet's id in its list."""
    cli.main(['export', str(make(WOOF)), str(tmp_path / 'out'), '--to', 'ddranking'])
    assert "DD-Ranking's order of ImageWoof" in capsys.readouterr().out
    found = labels_by_red(tmp_path / 'out/train')
    wanted = {place: WOOF.index(imagenet_wnids()[label]) for place, label in enumerate(
        [193, 182, 258, 162, 155, 167, 159, 273, 207, 229])}
    assert found == wanted != {label: label for label in range(10)}


def test_a_change_of_a_copy_does_not_change_the_set(make, tmp_path):
    root = make(['日本', 'café noir'])
    export_set(root, tmp_path / 'out', 'imagefolder')
    assert sorted(path.name for path in (tmp_path / 'out/train').iterdir()) == ['0_日本', '1_café_noir']
    for path in (tmp_path / 'out/train').rglob('*.JPEG'):
        with open(path, 'ab') as file:
            file.write(b'x')
    assert verify_set(root) == []


@pytest.mark.parametrize('sets,rows,message', [
    (dict(a='elsewhere', real=None), [], r'distilled is not one of the compared sets, elsewhere: give the comparison'),
    (dict(real=None), [], 'is not one of the compared sets, which are all real'),
    (None, [], 'has no readable table'), (dict(a=['here']), [1], 'has no readable table'), ({}, None, 'no readable')])
def test_results_of_other_sets_and_damaged_ones(make, tmp_path, sets, rows, message):
    root = make(['a'])
    (tmp_path / 'results.json').write_text(json.dumps(dict(hash='', runs=[], sets=sets, rows=rows, notes=[])))
    with pytest.raises(SystemExit, match=message):
        cli.main(['export', str(root), str(tmp_path / 'out'), '--results', str(tmp_path)])
    assert not (tmp_path / 'out').exists()


def test_dd_ranking_with_other_classes(make, tmp_path):
    assert 'they are no WordNet ids' in export_set(make(['cat', 'ant']), tmp_path / 'a', 'ddranking')
    assert labels_by_red(tmp_path / 'a/train') == {0: 0, 1: 1}


def test_wordnet_ids_of_no_known_subset_are_sorted(make, tmp_path):
    export_set(make([imagenet_wnids()[5], imagenet_wnids()[3]]), tmp_path / 'b', 'ddranking')
    assert labels_by_red(tmp_path / 'b/train') == {0: 1, 1: 0}


def test_tar_files(make, tmp_path):
    root = make(['a', 'b', 'c'])
    for out in ('one', 'two'):
        export_set(root, tmp_path / out, 'webdataset', shard_images=4)
    names = sorted(path.name for path in (tmp_path / 'one').glob('*.tar'))
    assert names == ['train-000000.tar', 'train-000001.tar']
    assert all((tmp_path / 'one' / name).read_bytes() == (tmp_path / 'two' / name).read_bytes() for name in names)
    samples = {}
    for name in names:
        with tarfile.open(tmp_path / 'one' / name) as tar:
            for member in tar:
                key, _, suffix = member.name.partition('.')
                samples.setdefault(key, {})[suffix] = tar.extractfile(member).read()
    assert len(samples) == 6 and all(set(sample) == {'jpg', 'cls', 'json'} for sample in samples.values())
    for sample in samples.values():
        label = int(sample['cls'])
        assert round(np.asarray(Image.open(io.BytesIO(sample['jpg'])))[0, 0, 0] / 20) == label
        assert json.loads(sample['json'])['prompt'] == f'a photo of {"abc"[label]}'


def test_masks_go_into_tar_files_alone(run_of_masks, tmp_path):
    with pytest.raises(DistillError, match='a set for segmentation, .* use --to webdataset'):
        export_set(run_of_masks, tmp_path / 'out', 'imagefolder')
    export_set(run_of_masks, tmp_path / 'out', 'webdataset')
    with tarfile.open(tmp_path / 'out/train-000000.tar') as tar:
        assert {name.partition('.')[2] for name in tar.getnames()} == {'png', 'mask.png', 'json'}


@pytest.fixture
def run_of_masks(tmp_path):
    from mmdistill.datasets import SegWriter
    from mmdistill.toy.street_scenes import CLASSES, PALETTE, street_scene
    from mmdistill.toy.streets import StreetScenes
    image, mask = street_scene(0, 'train', 32)
    request = Request(id='0', seed=0, source_index=0, source='a', classes=tuple(map(int, np.unique(mask))))
    writer = SegWriter(tmp_path / 'masks', 'source', StreetScenes(1, size=32, pipeline=[], lazy_init=True))
    writer.write('0', image, mask)
    write_manifest(tmp_path / 'masks', Plan('D3S2', 'hash', 0, CLASSES, PALETTE, 10, (request, ), {}), writer.layout,
                   {})
    return tmp_path / 'masks'


def test_the_card_says_what_the_set_is_and_trusts_nothing(make, tmp_path):
    weights = dict(generator=dict(id='owner/name'), guide=dict(id='/data/own/guide'), other=dict(id='x|<script>'))
    weights['known'] = dict(id='facebook/DiT-XL-2-256@main')
    weights['own'] = dict(id='mmdistill://objects')
    weights['trained'] = dict(id='/data/layout-unet/export', vae=dict(id='../taesd-decoder/export'))
    root = make(['a', '<b>|'], weights)
    export_set(root, tmp_path / 'out', 'imagefolder', tables=['| set |\n|---|\n| d |'])
    text = (tmp_path / 'out/README.md').read_text()
    assert '4 synthetic images for 100 real ones' in text and '| images per class | 2 |' in text
    assert '| d |' in text and 'owner/name' in text and 'guide' in text
    assert '- layout-unet: see its publisher\n- ' in text and '- taesd-decoder: see' in text and '- export' not in text
    assert '/data/' not in text and '<' not in text and 'x script' in text
    assert 'licences of both apply' in text and '- owner/name: see its publisher\n' in text
    assert '- facebook/DiT-XL-2-256@main: CC-BY-NC-4.0: not for commercial use\n' in text
    assert '- mmdistill://objects: Apache-2.0, part of mmdistill\n' in text


@pytest.mark.parametrize('form', ['imagefolder', 'ddranking', 'webdataset'])
def test_weights_and_choice(make, tmp_path, form):
    root = make([WOOF[1], 'a, "b"'] if form != 'ddranking' else WOOF[:2], image_weights=[0, 0.5, 1.25, 2],
                extra=dict(choice=dict(choice=dict(type='Coverage<Choice|'), means={})))
    export_set(root, tmp_path / 'out', form)
    text = (tmp_path / 'out/README.md').read_text()
    assert '| choice | each image was chosen from several candidates by Coverage Choice |' in text
    place = 'weight in the JSON of each image' if form == 'webdataset' else '`weights.csv`'
    assert f'| weights of images | 0 to 2: {place}. The loss' in text
    if form == 'webdataset':
        assert not (tmp_path / 'out/weights.csv').exists()
        return
    with open(tmp_path / 'out/weights.csv', newline='') as file:
        rows = {row['image']: float(row['weight']) for row in csv.DictReader(file)}
    assert {path.relative_to(tmp_path / 'out').as_posix() for path in (tmp_path / 'out/train').rglob('*.*')} == {*rows}
    for name, weight in rows.items():
        label = round(np.asarray(Image.open(tmp_path / 'out' / name))[0, 0, 0] / 20)
        assert weight == [[0, 0.5], [1.25, 2]][label][int(name[-6])]


def test_without_weights_and_choice_the_card_is_silent(make, tmp_path):
    export_set(make(['a']), tmp_path / 'out', 'imagefolder')
    text = (tmp_path / 'out/README.md').read_text()
    assert 'choice' not in text and 'weights of images' not in text and not (tmp_path / 'out/weights.csv').exists()


def test_a_rejected_export_leaves_no_files(make, tmp_path):
    root = make(['a', 'b'])
    (tmp_path / 'full').mkdir()
    (tmp_path / 'full/file').write_text('')
    with pytest.raises(DistillError, match='full is not empty: give a new folder'):
        export_set(root, tmp_path / 'full', 'imagefolder')
    with pytest.raises(DistillError, match='full/file is not a folder: give a new one'):
        export_set(root, tmp_path / 'full/file', 'imagefolder')
    with pytest.raises(DistillError, match='cannot write into .*full/file/out .*: choose another folder'):
        export_set(root, tmp_path / 'full/file/out', 'imagefolder')
    (tmp_path / 'link').symlink_to(tmp_path / 'gone')
    with pytest.raises(DistillError, match='link is not a folder'):
        export_set(root, tmp_path / 'link', 'imagefolder')
    for inside in (root, root / 'new', root / 'train/more'):
        with pytest.raises(DistillError, match='is inside the set .*, which it would damage'):
            export_set(root, inside, 'webdataset')
    assert verify_set(root) == []
    with pytest.raises(SystemExit, match='there is no results.json'):
        cli.main(['export', str(root), str(tmp_path / 'out'), '--results', str(tmp_path)])
    next(root.rglob('*.JPEG')).write_bytes(b'')
    with pytest.raises(DistillError, match='is incomplete or damaged'):
        export_set(root, tmp_path / 'out', 'imagefolder')
    assert not (tmp_path / 'out').exists()
