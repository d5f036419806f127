"""The page holds everything that it shows."""
import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from mmdistill.datasets import DatasetMasks, StreetScenes
from mmdistill.datasets.street_scenes import PALETTE, street_scene
from mmdistill.errors import DistillError
from mmdistill.evaluation import summarise
from mmdistill.evaluation.report import write_report


class Page(HTMLParser):
    """Tags, their sources and the text of a page; every tag has to be closed."""
    VOID = {'meta', 'img', 'br', 'link'}

    def __init__(self, text):
        super().__init__()
        self.open, self.images, self.text = [], [], ''
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        assert tag not in ('script', 'link', 'iframe')
        assert 'href' not in attrs
        if tag == 'img':
            self.images.append((attrs['alt'], attrs['src']))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def _pixels(uri):
    assert uri.startswith('data:image/')
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(',')[1]))).convert('RGB'))


def test_the_page_holds_images_table_and_provenance(run):
    masks = DatasetMasks(StreetScenes(10, pipeline=[]))
    rows = summarise(dict(distilled=[dict(mIoU=71.26, seconds=3.0)], random_real=[dict(mIoU=60.0, seconds=3.0)] * 2),
                     ['mIoU'])
    Image.new('RGB', (8, 8)).save(run / 'selection.png')
    path = write_report(run, rows, masks, title='A < B', histograms=masks.histograms(workers=0),
                        notes=['a & b'], commands=[('Again', 'run $it "now" <here>')])
    text = path.read_text()
    assert path == run / 'report.html'
    assert not re.search(r'(?:src|href)="(?!data:)|url\(|@import|https?://', text)
    page = Page(text)
    for part in ('A < B', 'a & b', 'run $it "now" <here>', '71.3', '60.0 ± 0.0', '3 images in place of 10',
                 '<S&lector>', 'weights/unet', 'sky, road'):
        assert part in page.text
    names = [name for name, _ in page.images]
    assert names[1:] == ['real', 'mask', 'distilled'] * 3
    palette = np.array(PALETTE, np.uint8)
    for index in range(3):
        image, mask = street_scene(index, 'train', 64)
        for (_, uri), expected in zip(page.images[1 + 3 * index:], (image, palette[mask], image)):
            np.testing.assert_array_equal(_pixels(uri), expected)


def test_a_page_without_results_or_real_set(run):
    page = Page(write_report(run, []).read_text())
    assert [name for name, _ in page.images] == ['mask', 'distilled'] * 3


def test_an_unfinished_set_or_a_lost_image_is_told(run):
    next((run / 'distilled/images').iterdir()).unlink()
    with pytest.raises(DistillError, match='cannot read images'):
        write_report(run, [])
    (run / 'distilled/meta/distilled.json').unlink()
    with pytest.raises(DistillError, match='unfinished'):
        write_report(run, [])
    assert not (run / 'report.html').exists()
