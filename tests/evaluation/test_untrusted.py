"""Altered results, metrics and manifests: one line, and never foreign markup on the page."""
import json
import socket
import zipfile

import pytest
from PIL import Image

from mmdistill.errors import DistillError
from mmdistill.evaluation.report import write_report

EVIL = '"></td><script>x</script><img src=http://x/y onerror=z>'
RESULTS = [
    (('task', ), EVIL), (('task', ), 3), (('classes', ), EVIL), (('classes', ), []), (('classes', 0), 5),
    (('metric', ), 'other'), (('metric', ), 7), (('notes', ), 'text'), (('notes', 0), 3), (('sets', ), []),
    (('sets', 'distilled'), 5), (('sets', ), {'other': None}), (('rows', ), {}), (('rows', 0), EVIL),
    (('rows', 0, 'mean'), EVIL), (('rows', 0, 'std'), None), (('rows', 0, 'seeds'), EVIL), (('rows', 0, 'seeds'), 1.5),
    (('rows', 0, 'images'), EVIL), (('rows', 0, 'image_sets'), EVIL), (('rows', 0, 'seconds'), EVIL),
    (('rows', 0, 'set'), 'unknown'), (('runs', ), None), (('runs', 0), None), (('runs', 0, 'seed'), EVIL),
    (('runs', 0, 'image_set'), EVIL), (('runs', 0, 'set'), 'unknown'), (('runs', 0, 'metrics'), []),
    (('runs', 0, 'metrics', 'mIoU'), EVIL), (('runs', 0, 'metrics'), {}), (('runs', 0, 'curve'), EVIL),
    (('runs', 0, 'curve', 0), [1]), (('runs', 0, 'curve', 0), [EVIL, 1.0]), (('runs', 0, 'classes'), {}),
    (('runs', 0, 'classes', 'sky'), EVIL), (('runs', 0, 'seconds'), -1), (('runs', 0, 'config_hash'), 4)]
METRICS = [
    (('encoder', ), 5), (('encoder', ), '[]'), (('encoder', ), EVIL), (('sets', ), []), (('sets', 'distilled'), EVIL),
    (('sets', 'distilled', 'rows'), EVIL), (('sets', 'distilled', 'rows', 0), EVIL),
    (('sets', 'distilled', 'rows', 0, 'transport'), EVIL), (('sets', 'distilled', 'rows', 0, 'class'), []),
    (('sets', 'distilled', 'balance'), {}), (('sets', 'distilled', 'balance', 'real'), {}),
    (('sets', 'distilled', 'balance', 'real', 'sky'), EVIL),
    (('sets', 'distilled', 'balance', 'total_variation'), EVIL),
    (('sets', 'distilled', 'judge', 'mIoU'), EVIL), (('sets', 'distilled', 'judge'), [])]
MANIFEST = [
    (('palette', 0), ['0);background:url(http://x/y', 0, 0]), (('palette', 0), 'red'), (('method', ), [EVIL]),
    (('source_size', ), EVIL), (('images', 0, 'image'), '/etc/passwd'), (('images', 0, 'mask'), '../../../x.png'),
    (('images', 0, 'classes'), [99]), (('layout', 'label_map'), EVIL), (('layout', 'reduce_zero_label'), EVIL),
    (('layout', 'unknown'), 1), (('extra', ), {'cleaning': EVIL}),
    (('extra', ), {'cleaning': {'ignored': {'x': EVIL}}}),
    (('extra', ), {'cleaning': {'ignored': {'x': {'share': EVIL, 'classes': {}}}}}), (('weights', ), EVIL),
    (('libraries', ), {'torch': [EVIL]}), (('provenance', ), EVIL)]


def alter(file, path, value):
    document = part = json.loads(file.read_text())
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    file.write_text(json.dumps(document))


@pytest.mark.parametrize('name,cases', [('results.json', RESULTS), ('set_metrics.json', METRICS),
                                        ('distilled.json', MANIFEST)])
def test_one_line_and_no_page(measured, run, name, cases):
    file = run / 'distilled/meta/distilled.json' if name == 'distilled.json' else measured / name
    whole = file.read_text()
    for path, value in cases:
        file.write_text(whole)
        alter(file, path, value)
        with pytest.raises(DistillError) as caught:
            write_report([measured])
        assert '\n' not in str(caught.value), (path, value)
        assert any(word in str(caught.value) for word in (name, 'manifest', 'is of task')), (path, value)
        assert not (measured / 'report.html').exists()


def test_other_values_than_those_of_our_generators(measured, run):
    alter(run / 'distilled/meta/distilled.json', ('weights', ), {'weights': EVIL, 'scheduler': [EVIL], 'x': {'y': 1}})
    text = write_report([measured]).read_text()
    assert EVIL not in text and 'http://x/y' in text


def test_the_page_allows_no_script_and_no_address(measured):
    text = write_report([measured]).read_text()
    policy = text[text.index('Content-Security-Policy'):].partition('>')[0]
    assert "default-src 'none'" in policy and 'http' not in policy and 'script' not in policy
    assert text.index('Content-Security-Policy') < text.index('<title>')


@pytest.fixture
def server():
    """An address, and the requests that came there."""
    with socket.create_server(('127.0.0.1', 0)) as listener:
        listener.setblocking(False)
        yield listener


def shown(run, measured, source, data_roots=(), **extra):
    """How many real images are on the page, where the first of the set's three images is from ``source``."""
    file = run / 'distilled/meta/distilled.json'
    for number, path in enumerate([source, None, None]):
        alter(file, ('images', number, 'source'), path)
    alter(file, ('extra', ), extra)
    return write_report([measured], data_roots=data_roots).read_text().count('<img alt="real"')


def test_real_images_are_read_from_the_given_folders_alone(measured, run, tmp_path, server):
    data, picture = tmp_path / 'data', Image.new('RGB', (64, 64), 'red')
    for folder in (data, tmp_path / 'data2', tmp_path):
        folder.mkdir(exist_ok=True)
        picture.save(folder / 'a.png')
    with zipfile.ZipFile(tmp_path / 'a.zip', 'w') as archive:
        archive.write(data / 'a.png', 'a.png')
    (data / 'link.png').symlink_to(tmp_path / 'a.png')
    inside = str(data / 'a.png')
    assert shown(run, measured, inside) == 0 and shown(run, measured, inside, [data]) == 1
    assert shown(run, measured, 'streets://train/64/images/000001.png') == 1
    address = 'http://127.0.0.1:%d/a.png' % server.getsockname()[1]
    for source in (address, str(tmp_path / 'a.png'), f'{data}/../a.png', str(tmp_path / 'data2/a.png'), '/etc/passwd',
                   str(data / 'link.png'), f'file://{inside}', 'streets://train/99999/images/1.png', 'a\0b', '',
                   'petrel://bucket/a.png', str(data), str(data / 'none.png')):
        assert shown(run, measured, source, [data]) == 0, source
    for args in (dict(backend='http'), dict(backend='local'), dict(backend='zip', path=str(tmp_path / 'a.zip')), 'zip',
                 dict(backend='petrel'), [1]):
        assert shown(run, measured, inside, [data], reading=dict(backend_args=args)) == 0, args
    for reading in (dict(imdecode_backend='x'), dict(unknown=1), dict(color_type=5)):
        assert shown(run, measured, inside, [data], reading=reading) in (0, 1)
    with pytest.raises(BlockingIOError):
        server.accept()
