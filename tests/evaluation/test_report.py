"""The page is self-contained and works in any browser without requests."""
import base64
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

from mmdistill.datasets.manifest import MANIFEST_VERSION
from mmdistill.toy.street_scenes import PALETTE, street_scene
from mmdistill.cli import main
from mmdistill.errors import DistillError
from mmdistill.evaluation.report import write_report

SECTIONS = ['Results', 'Learning curves', 'Each class', 'What was selected', 'Metrics of the sets', 'Features',
            'The images', 'Where it came from', 'Commands']


class Page(HTMLParser):
    """Tags, their sources and the text of a page; checks that all tags are closed and all links have a target."""
    VOID = {'meta', 'img', 'br', 'link', 'wbr'}

    def __init__(self, path):
        super().__init__()
        text = path.read_text()
        assert not re.search(r'(?:src|href)="(?!data:|#)|url\((?!#)|@import|https?://', text)
        self.open, self.images, self.headings, self.text = [], [], [], ''
        self.ids, self.links = [], set()
        self.feed(text)
        assert not self.open
        assert self.links <= set(self.ids) and len(self.ids) == len(set(self.ids))

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        assert tag not in ('script', 'link', 'iframe') and not any(name.startswith('on') for name in attrs)
        if 'href' in attrs:
            self.links.add(attrs['href'][1:])
        self.ids += [attrs['id']] if 'id' in attrs else []
        if tag == 'img':
            self.images.append((attrs['alt'], attrs['src']))
        if tag == 'h2':
            self.headings.append('')
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if 'h2' in self.open:
            self.headings[-1] += data


def _pixels(uri):
    assert uri.startswith('data:image/')
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(',')[1]))).convert('RGB'))


def test_a_comparison_has_every_section(measured):
    path = write_report([measured], title='A < B', remarks=[['a & b']])
    assert path == measured / 'report.html'
    page = Page(path)
    assert page.headings == SECTIONS
    for part in ('A < B', 'a & b', '2 training sets, 2 students, 8 runs', '71.0 ± 1.4', 'random & real', 's<2>',
                 'Protocol tiny: a note.', 'training step', '3 of 10 images', 'Coverage', '61.5',
                 'principal components', '3 instead of 10', '<S&lector>', 'weights/unet', 'LatentEncoder',
                 'mmdistill evaluate tiny.py', f'mmdistill report {measured}'):
        assert part in page.text, part
    assert path.read_text() == write_report([measured], title='A < B', remarks=[['a & b']]).read_text()


def test_a_comparison_without_the_optional_files(comparison):
    page = Page(write_report([comparison]))
    assert page.headings == [name for name in SECTIONS if name not in ('What was selected', 'Features',
                                                                       'Metrics of the sets')]


def test_a_comparison_of_real_images_shows_how_often_the_classes_are_in_each_set(measured):
    file = measured / 'results.json'
    results = json.loads(file.read_text())
    results['sets'] = dict.fromkeys(results['sets'])
    file.write_text(json.dumps(results))
    page = Page(write_report([measured]))
    assert 'Class frequencies' in page.headings
    assert not {'The images', 'What was selected'} & set(page.headings)


def test_one_evaluation_makes_no_curve_and_one_run_no_spread(comparison):
    file = comparison / 'results.json'
    results = json.loads(file.read_text())
    for run in results['runs']:
        run['curve'] = run['curve'][-1:]
    for row in results['rows']:
        row['seeds'] = 1
    file.write_text(json.dumps(results))
    page = Page(write_report([comparison]))
    assert 'Learning curves' not in page.headings and 'Spread' not in page.text


def test_a_set_that_was_moved_away_is_told_on_the_page(comparison, run):
    run.rename(run.with_name('elsewhere'))
    page = Page(write_report([comparison]))
    assert 'The images of distilled are not shown' in page.text and 'The images' not in page.headings


def test_a_distilled_set_alone(run, histograms):
    np.savez(run / 'class_histograms.npz', counts=histograms)
    (run / 'my.py').write_text('')
    path = write_report([run], run / 'pages/page.html')
    page = Page(path)
    assert page.headings == ['What was selected', 'The images', 'Where it came from', 'Commands']
    assert 'D3S2: 3 images instead of 10' in page.text
    assert f'mmdistill distill {run / "my.py"}' in page.text
    assert [name for name, _ in page.images] == ['real', 'mask', 'distilled'] * 3
    palette = np.array(PALETTE, np.uint8)
    shown = [re.search('0*([0-2])', text)[1] for text in re.findall(r'<figcaption><b>(\d+)', path.read_text())]
    assert sorted(shown) == ['0', '1', '2']
    for place, index in enumerate(map(int, shown)):
        image, mask = street_scene(index, 'train', 64)
        for (_, uri), expected in zip(page.images[3 * place:], (image, palette[mask], image)):
            np.testing.assert_array_equal(_pixels(uri), expected)


def test_images_without_masks_stand_under_their_class(tmp_path):
    (tmp_path / 'distilled/meta').mkdir(parents=True)
    images = [dict(id=f'cat/{i}', image=f'{i}.png', classes=[1], source_index=None, source=None) for i in range(2)]
    for i in range(2):
        Image.new('RGB', (8, 8)).save(tmp_path / f'distilled/{i}.png')
    manifest = dict(version=MANIFEST_VERSION, task='classification', method='M', source_size=50,
                    classes=['dog', 'cat'], palette=[], layout=dict(name='a tree'), images=images)
    (tmp_path / 'distilled/meta/distilled.json').write_text(json.dumps(manifest))
    np.savez(tmp_path / 'class_histograms.npz', counts=np.ones((50, 2), np.int64))
    page = Page(write_report([tmp_path]))
    assert page.headings == ['The images', 'Where it came from', 'Commands']
    assert 'grouped by class.' in page.text and 'cat2 images' in page.text
    assert [name for name, _ in page.images] == ['distilled'] * 2


def test_several_work_dirs_stand_one_after_another(comparison, run):
    path = write_report([run, comparison], commands=[('Both', 'make $it <now>')])
    page = Page(path)
    assert path == run / 'report.html'
    assert page.headings.index('run') < page.headings.index('The images') < page.headings.index('comparison')
    assert page.headings.count('Where it came from') == 2
    named = Page(write_report([run, comparison], headings=['One & 1', 'Two'], remarks=[[], ['Said of the second.']]))
    assert [name for name in named.headings if name in ('One & 1', 'Two', 'run')] == ['One & 1', 'Two']
    assert 'Said of the second.' in named.text
    assert 'make $it <now>' in page.text
    assert 'mmdistill report' not in page.text


def test_the_quickstart_s_work_dir_is_its_comparison(comparison, tmp_path):
    (tmp_path / 'results.json').write_text('[]')
    assert 'Results' in Page(write_report([tmp_path])).headings


def test_names_from_files_are_escaped_everywhere(measured, run):
    evil = '\'"></text></svg><script>x_x</script><img src=x onerror=y>'
    names = {'"random & real"': 4, '"s<2>"': 3, '"sign"': 5, '"000001"': 1, '"D3S2"': 1}
    for file in (measured / 'results.json', measured / 'set_metrics.json', run / 'distilled/meta/distilled.json'):
        text = file.read_text()
        for name in names:
            text = text.replace(name, json.dumps(name + evil))
        file.write_text(text)
    features = load_file(measured / 'features.safetensors')
    save_file({f'"{name}"{evil}' if '&' in name else name: value for name, value in features.items()},
              measured / 'features.safetensors')
    page = Page(write_report([measured], title=evil, headings=[evil], remarks=[[evil]], commands=[(evil, evil)]))
    for name, least in names.items():
        assert page.text.count(name + evil) >= least, name


def test_no_page_of_nothing(run):
    with pytest.raises(DistillError, match='at least one work dir'):
        write_report([])
    next((run / 'distilled/images').iterdir()).unlink()
    with pytest.raises(DistillError, match='cannot read images'):
        write_report([run])
    assert not (run / 'report.html').exists()


def test_a_data_root_that_does_not_exist(comparison, tmp_path):
    with pytest.raises(SystemExit, match=f'error: --data-root {tmp_path}/nowhere: there is no such folder'):
        main(['report', str(comparison), '--data-root', str(tmp_path), '--data-root', str(tmp_path / 'nowhere')])
    assert not (comparison / 'report.html').exists()
