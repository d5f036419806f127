"""The index of COCO's JSON, against the reader of pycocotools."""
import contextlib
import io
import json
import pickle

import numpy as np
import pytest
from pycocotools.coco import COCO

from mmdistill.datasets.coco_stuff import index as module
from mmdistill.datasets.coco_stuff.index import JsonIndex, members
from mmdistill.errors import DistillError

NAMES = ('annotations/stuff_train2017.json', 'annotations/instances_train2017.json')


def by_pycocotools(files, image_id, crowds=None):
    """Train ids by the rule of the authors' helper, in a naive implementation."""
    from tests.datasets.coco_stuff.conftest import USED
    label_map = None
    for file in files:
        with contextlib.redirect_stdout(io.StringIO()):
            coco = COCO(file)
        image = coco.imgs[image_id]
        label_map = np.full((image['height'], image['width']), 255) if label_map is None else label_map
        for annotation in coco.loadAnns(coco.getAnnIds(imgIds=image_id, iscrowd=crowds)):
            if annotation['category_id'] == 183:
                continue
            polygons = annotation['segmentation']
            if isinstance(polygons, list):
                annotation = dict(annotation, segmentation=[part for part in polygons if len(part) >= 6])
            label_map[coco.annToMask(annotation) == 1] = USED.index(annotation['category_id'])
    return label_map


@pytest.mark.parametrize('chunk', [1, 37, 1 << 22])
def test_masks_are_those_of_pycocotools(forms, monkeypatch, chunk):
    monkeypatch.setattr(module, '_CHUNK', chunk)
    files = [str(forms.root / name) for name in NAMES]
    if chunk == 1:  # the smaller file alone, with both kinds in it
        content = json.loads((forms.root / NAMES[1]).read_text())
        content['annotations'] = content['annotations'][:3]
        (forms.root / 'small.json').write_text(json.dumps(content))
        files = [str(forms.root / 'small.json')]
    index = JsonIndex(files)
    assert index.ids.tolist() == [9, 25, 30, 34] and index.names[0] == b'000000000009.jpg'
    for image_id in index.ids.tolist():
        expected = by_pycocotools(files, image_id, crowds=False)
        assert index.mask(image_id).dtype == np.uint8 and np.array_equal(index.mask(image_id), expected)
        if chunk > 1:
            assert np.array_equal(expected, forms.train[f'{image_id:012d}'])


def test_crowds_on_request(forms):
    files = [str(forms.root / name) for name in NAMES]
    index = JsonIndex(files, crowds=True)
    assert all(np.array_equal(index.mask(i), by_pycocotools(files, i)) for i in index.ids.tolist())
    assert (index.mask(9) != JsonIndex(files).mask(9)).any()


def test_it_is_small_and_pickles(forms):
    index = JsonIndex([str(forms.root / name) for name in NAMES])
    copy = pickle.loads(pickle.dumps(index))
    assert np.array_equal(copy.mask(30), index.mask(30)) and index.nbytes < 2500


def content(**changes):
    annotations = [dict(id=1, image_id=7, category_id=92, segmentation=[[0, 0, 6, 0, 6, 4, 0, 4]]),
                   dict(id=2, image_id=7, category_id=1, segmentation=[[1, 1, 3, 1, 3, 3, 1, 3]])]
    images = [dict(id=7, file_name='é.jpg', height=4, width=6)]
    return {**dict(info={}, images=images, annotations=annotations, categories=[dict(id=1), dict(id=92)]), **changes}


def write(path, value, **options):
    path.write_text(json.dumps(value, **options))
    return str(path)


@pytest.mark.parametrize('options', [dict(indent=2), dict(separators=(',', ':'), ensure_ascii=False), {}])
@pytest.mark.parametrize('reverse', [False, True])
def test_any_order_and_space(tmp_path, options, reverse):
    """Things cover stuff also if they come first in the file; names may contain any character."""
    value = content(annotations=content()['annotations'][::-1])
    index = JsonIndex([write(tmp_path / 'a.json', dict(sorted(value.items(), reverse=reverse)), **options)])
    mask = index.mask(7)
    assert index.names[0].decode() == 'é.jpg'
    assert (mask == 0).sum() == 4 and (mask == 80).sum() == 20 and (mask[1:3, 1:3] == 0).all()


def test_images_that_are_not_listed_or_cover_nothing(tmp_path):
    annotations = [dict(id=1, image_id=99, category_id=1, segmentation=[]),
                   dict(id=2, image_id=7, category_id=1, segmentation=[[0, 0, 2, 2]])]
    assert (JsonIndex([write(tmp_path / 'a.json', content(annotations=annotations))]).mask(7) == 255).all()
    assert (JsonIndex([write(tmp_path / 'b.json', content(annotations=[]))]).mask(7) == 255).all()


@pytest.mark.parametrize('change, say', [
    (dict(annotations=[dict(id=5, image_id=7, category_id=12)]), r'a\.json: annotation 5 has category id 12, which'),
    (dict(annotations=[dict(id=5, image_id=7, caption='x')]), "a.json is not a stuff or instances file.*'category_id'"),
    (dict(images=[]), 'lists no images'),
    (dict(categories=[dict(id=92)]), 'no category of things: give instances'),
])
def test_files_that_are_something_else(tmp_path, change, say):
    with pytest.raises(DistillError, match=say):
        JsonIndex([write(tmp_path / 'a.json', content(**change))])


@pytest.mark.parametrize('key, name, value', [
    ('images', 'id', 'abc'), ('images', 'id', 2**70), ('images', 'id', None), ('images', 'id', 7.5),
    ('images', 'height', 2**40), ('images', 'width', 0), ('images', 'height', '4'), ('images', 'width', float('inf')),
    ('images', 'height', -4), ('annotations', 'image_id', 2**70), ('annotations', 'image_id', '7'),
    ('annotations', 'category_id', 3.5), ('annotations', 'category_id', [1]), ('categories', 'id', 3.5),
    ('categories', 'id', 'abc')])
def test_ids_and_sizes_that_are_no_numbers_or_out_of_range(tmp_path, key, name, value):
    wrong = content()
    wrong[key][0][name] = value
    with pytest.raises(DistillError, match=rf'a\.json is not a .* its {key} have {name}=.* no whole number') as said:
        JsonIndex([write(tmp_path / 'a.json', wrong)])
    assert '\n' not in str(said.value)


def test_whole_numbers_with_a_point(tmp_path):
    wrong = content()
    wrong['images'][0].update(id=7.0, height=4.0)
    wrong['annotations'][1].update(category_id=1.0, image_id=7.0)
    index, expected = (JsonIndex([write(tmp_path / 'a.json', one)]) for one in (wrong, content()))
    write(tmp_path / 'a.json', wrong)
    found = index.mask(7)
    write(tmp_path / 'a.json', content())
    assert np.array_equal(found, expected.mask(7))


@pytest.mark.parametrize('segmentation', [
    dict(size=[4, 6], counts=[-1, 25]), dict(size=[4, 6], counts=[2**40]), [[0, 0, 1e300, 0, 6, 4]],
    [[0, 0, float('nan'), 0, 6, 4]], 5])
def test_segmentations_out_of_range(tmp_path, segmentation):
    annotations = [dict(id=5, image_id=7, category_id=92, segmentation=segmentation)]
    index = JsonIndex([write(tmp_path / 'a.json', content(annotations=annotations))])
    with pytest.raises(DistillError, match=r'a\.json: annotation 5 of image 7 has no readable segmentation'):
        index.mask(7)


@pytest.mark.parametrize('cut', [1, 20, 100, 260])
def test_a_file_that_was_cut_off(tmp_path, cut):
    text = json.dumps(content())[:-cut]
    (tmp_path / 'a.json').write_text(text)
    with pytest.raises(DistillError, match=r'a\.json is not a JSON object .* at byte \d+ of \d+'):
        JsonIndex([str(tmp_path / 'a.json')])


@pytest.mark.parametrize('text', ['', '[]', '{"images": [1, 2}', '{"a" 1}', 'null', '{"a": ' + '[' * 100000])
def test_no_object(tmp_path, text):
    (tmp_path / 'a.json').write_text(text)
    with pytest.raises(DistillError, match='is not a JSON object'):
        list(members(str(tmp_path / 'a.json')))


def test_files_of_two_splits(tmp_path, monkeypatch):
    lines = []
    monkeypatch.setattr('mmdistill.datasets.coco_stuff.index.print_log', lambda text, *_, **__: lines.append(text))
    other = content(images=[dict(id=8, file_name='b.jpg', height=4, width=6)])
    with pytest.raises(DistillError, match='have no image in common: give the two files of one split'):
        JsonIndex([write(tmp_path / 'a.json', content()), write(tmp_path / 'b.json', other)])
    both = content(images=content()['images'] + other['images'])
    JsonIndex([write(tmp_path / 'a.json', both), write(tmp_path / 'b.json', other)])
    assert any('1 of the 2 images' in line for line in lines)


def test_a_segmentation_of_another_size(tmp_path):
    annotations = [dict(id=5, image_id=7, category_id=92, segmentation=dict(size=[6, 4], counts=[24]))]
    index = JsonIndex([write(tmp_path / 'a.json', content(annotations=annotations))])
    with pytest.raises(DistillError, match=r'a\.json: annotation 5 of image 7 has no readable segmentation'):
        index.mask(7)
    with pytest.raises(DistillError, match='has no image 8'):
        index.mask(8)


def test_a_file_that_changes(tmp_path):
    index = JsonIndex([write(tmp_path / 'a.json', content())])
    write(tmp_path / 'a.json', content(info=dict(description='other')))
    with pytest.raises(DistillError, match='was changed while it was in use'):
        index.mask(7)
