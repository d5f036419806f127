"""Plans and manifests are not trusted: each wrong value is reported in one line that names it."""
import copy
import dataclasses
import json
from functools import partial

import numpy as np
import pytest

from mmdistill.datasets.layouts import SegLayout
from mmdistill.datasets.manifest import MANIFEST, read_manifest, write_manifest
from mmdistill.datasets.writers import SegWriter
from mmdistill.documents import inside, is_plain
from mmdistill.errors import DistillError
from mmdistill.plan import Plan, Request


@pytest.fixture
def plan():
    requests = tuple(Request(f'{i:03d}', 2**62 + i, i, f'data/i{i}.jpg', f'data/m{i}.png', (0, 1)) for i in range(2))
    return Plan('D3S2', 'cafe', 5, ('sky', 'road'), ((0, 0, 0), (1, 2, 3)), 30, requests, dict(selector='greedy'))


def changed(document, path, value):
    document = copy.deepcopy(document)
    *keys, last = path
    part = document
    for key in keys:
        part = part[key]
    if value is DELETE:
        del part[last]
    else:
        part[last] = value
    return document


DELETE = object()
WRONG = [  # of plans and manifests alike: path in the plan, value, what the line says
    (('version', ), 99, 'another version'), (('version', ), DELETE, 'another version'),
    (('method', ), 3, 'method=3 has to be a string'), (('method', ), DELETE, 'method is missing'),
    (('classes', ), 'sky', "classes='sky' has to be a list"), (('classes', ), [], 'classes are missing'),
    (('classes', ), ['sky', ''], 'without a name'), (('classes', 0), 7, "has an item 7 that has to be a string"),
    (('palette', ), [[0, 0, 0]], '1 colours for 2 classes'), (('palette', 1), [0, 0, 256], 'out of range'),
    (('palette', 1), ['red;background:url(x)', 0, 0], 'has to be a whole number'), (('palette', 1), [1, 2], '3 values'),
    (('source_size', ), -1, 'out of range'), (('source_size', ), '<b>', 'has to be a whole number'),
    (('seed', ), '5', 'has to be a whole number'), (('seed', ), -5, 'out of range'),
    (('provenance', ), [], 'has to be a dict')]
ENTRIES = [
    ((), [], 'contains no images'), ((), {}, 'has to be a list'), ((0, ), 'x', 'is not an object'),
    ((0, ), None, 'is not an object'),
    ((0, 'id'), '001', 'the id 001 occurs twice'), ((0, 'id'), DELETE, 'id is missing'), ((0, 'id'), 7, 'a string'),
    ((0, 'id'), '', 'plain names'), ((0, 'id'), '../../x', 'plain names'), ((0, 'id'), '/etc/x', 'plain names'),
    ((0, 'id'), 'a\x00b', 'plain names'), ((0, 'id'), 'a\\..\\b', 'plain names'), ((0, 'id'), 'a' * 256, 'plain names'),
    ((0, 'id'), 'a/' * 600 + 'b', 'plain names'), ((0, 'id'), './a', 'plain names'), ((0, 'id'), 'a\nb', 'plain names'),
    ((0, 'seed'), 2**63, 'out of range'), ((0, 'seed'), -1, 'out of range'), ((0, 'seed'), 1.5, 'a whole number'),
    ((0, 'seed'), True, 'a whole number'), ((0, 'seed'), None, 'a whole number'),
    ((0, 'classes'), [0, 2], 'ascending ids below 2'), ((0, 'classes'), [1, 0], 'ascending'),
    ((0, 'classes'), [1, 1], 'ascending'), ((0, 'classes'), [-1], 'out of range'), ((0, 'classes'), 1, 'a list'),
    ((0, 'source_index'), 'x', 'a whole number'), ((0, 'source_index'), -1, 'out of range'),
    ((0, 'source'), ['a'], 'a string'), ((0, 'prompt'), {}, 'a string'),
    ((0, 'latent'), '/etc/passwd#0/1', 'not an address'), ((0, 'latent'), 'p.safetensors', 'not an address'),
    ((0, 'latent'), 'p.safetensors#0/-1', 'not an address')]
OF_PLANS = [(('requests', *path), value, line) for path, value, line in ENTRIES] + [
    (('other', ), 1, 'other is unknown'), (('requests', 0, 'other'), 1, 'requests.0.other is unknown'),
    (('requests', ), DELETE, 'requests is missing'), (('requests', 0, 'mask'), 4, 'a string')]
OF_MANIFESTS = [(('images', *path), value, line) for path, value, line in ENTRIES] + [
    (('images', ), DELETE, 'images is missing'), (('task', ), DELETE, 'task is missing'), (('layout', ), 'x', 'layout'),
    (('layout', ), {}, 'layout.name is missing'), (('libraries', ), dict(torch=2), 'a string'),
    *((('layout', key), value, 'is not a path') for key in ('image_dir', 'mask_dir', 'ann_file')
      for value in ('/etc', '../x', 'i/../../x', 'i\0')),
    (('images', 0, 'mask'), DELETE, 'has no mask'), (('images', 1, 'mask'), None, 'a string'),
    *((('images', 1, key), value, 'plain names') for key in ('image', 'mask')
      for value in ('../../x.jpg', '/etc/passwd', '', 'a//b', '~/../x', 'http://x/y.jpg'))]
TEXTS = ['', '{"version": 2', '[]', 'null', '3', '"x"', '[' * 100000, '{"version": 2}', 'nonsense', '\x00' * 50]


def refused(read, line):
    with pytest.raises(DistillError) as caught:
        read()
    assert line in str(caught.value) and '\n' not in str(caught.value) and len(str(caught.value)) < 500


@pytest.mark.parametrize('path,value,line', [*WRONG, *OF_PLANS])
def test_plans(tmp_path, plan, path, value, line):
    file = tmp_path / 'plan.json'
    plan.save(file)
    assert Plan.load(file) == plan
    file.write_text(json.dumps(changed(json.loads(file.read_text()), path, value)))
    refused(lambda: Plan.load(file), line)


@pytest.mark.parametrize('path,value,line', [*WRONG, *OF_MANIFESTS])
def test_manifests(tmp_path, plan, path, value, line):
    layout = SegLayout('source', 'i', 'm')
    for request in plan.requests:
        SegWriter(tmp_path, layout).write(request.id, np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.uint8))
    file = write_manifest(tmp_path, plan, layout, {})
    file.write_text(json.dumps(changed(json.loads(file.read_text()), path, value)))
    refused(lambda: read_manifest(tmp_path), line)


@pytest.mark.parametrize('annotation,key,values,line', [
    ('masks', 'mask', (None, DELETE), '000 has no mask: segmentation needs one'),
    ('classes', 'classes', ([], [0, 1], DELETE), '000 shows classes .*: classification needs exactly one')])
def test_plans_of_a_task(tmp_path, plan, annotation, key, values, line):
    file = tmp_path / 'plan.json'
    requests = tuple(dataclasses.replace(one, classes=(1, )) for one in plan.requests)
    dataclasses.replace(plan, requests=requests).save(file)
    whole = json.loads(file.read_text())
    assert Plan.load(file, annotation) == Plan.load(file)
    for value in values:
        file.write_text(json.dumps(changed(whole, ('requests', 0, key), value)))
        Plan.load(file)  # another package's task may need neither
        with pytest.raises(DistillError, match=f'plan.json is not a readable plan .{line}'):
            Plan.load(file, annotation)


@pytest.mark.parametrize('text', TEXTS)
def test_other_files(tmp_path, text):
    (tmp_path / 'meta').mkdir()
    for file in (tmp_path / 'plan.json', tmp_path / MANIFEST):
        file.write_text(text)
    refused(lambda: Plan.load(tmp_path / 'plan.json'), 'is not a readable plan')
    refused(lambda: read_manifest(tmp_path), 'is not a readable manifest')


def test_bytes_and_folders(tmp_path):
    file = tmp_path / 'plan.json'
    file.write_bytes(b'\xff\xfe{}')
    refused(lambda: Plan.load(file), 'is not a readable plan')
    file.unlink()
    file.mkdir()
    refused(lambda: Plan.load(file), 'it is a folder')


def test_larger_than_any_plan(tmp_path):
    file = tmp_path / 'plan.json'
    with open(file, 'wb') as stream:
        stream.truncate(1 << 31)  # sparse
    refused(lambda: Plan.load(file), 'larger than 1024 MiB')


@pytest.mark.parametrize('path,plain', [
    ('a', True), ('n01440764/00003', True), ('straße/日本\u3000\u00a01', True), ('..a/b', True), ('a/..', False),
    ('/a', False), ('a/', False), ('.', False), ('', False), ('a\tb', False), (None, False), ('日' * 86, False)])
def test_plain_paths(path, plain):
    assert is_plain(path) is plain


def test_links_that_leave_the_folder(tmp_path):
    root, outside = tmp_path / 'set', tmp_path / 'outside.jpg'
    root.mkdir()
    outside.write_bytes(b'x')
    (root / 'a.jpg').write_bytes(b'x')
    (root / 'link.jpg').symlink_to('a.jpg')
    (root / 'out.jpg').symlink_to(outside)
    (root / 'dir').symlink_to(tmp_path)
    assert inside(root, 'a.jpg') == root / 'a.jpg' and inside(root, 'link.jpg') == root / 'link.jpg'
    for name in ('out.jpg', 'dir/outside.jpg', '../outside.jpg'):
        refused(partial(inside, root, name), 'is outside')
    (tmp_path / 'moved').symlink_to(root)  # the set itself may be a link
    assert inside(tmp_path / 'moved', 'a.jpg')
