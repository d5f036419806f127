"""Resources of objectives for masks: the segmentor, its features, and statistics of the real set."""
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mmdistill.datasets.masks import DatasetMasks
from mmdistill.engine.guiding import GuidanceSettings
from mmdistill.errors import DistillError
from mmdistill.guidance import ClassStatistics
from mmdistill.tasks.segmentation import Segmentation
from mmdistill.tasks.statistics import STATISTICS, MaskResources, real_batches
from mmdistill.toy.streets import StreetScenes
from tests.engine.conftest import guide  # noqa: F401


@pytest.fixture(scope='module')
def source():
    return DatasetMasks(StreetScenes(num_scenes=10, size=32, pipeline=[]))


def run_in(folder, source):
    logger = SimpleNamespace(info=lambda *_: None, warning=lambda *_: None)
    return SimpleNamespace(source=source, work_dir=str(folder), logger=logger, plan=SimpleNamespace(requests=()),
                           generator=SimpleNamespace(image_size=(32, 32)))


def test_real_batches_are_what_a_network_takes(source):
    """RGB in [-1, 1], pixel for pixel equal to the image, and its mask."""
    batches = list(real_batches(source, (32, 32), batch_size=4))
    assert [len(images) for images, _ in batches] == [4, 4, 2]
    images, masks = (torch.cat(parts) for parts in zip(*batches))
    for index in (0, 9):
        image, mask = source.pair(index, (32, 32))
        expected = 2 * (torch.from_numpy(image).permute(2, 0, 1).double() / 255) - 1
        torch.testing.assert_close(images[index].double(), expected, atol=1e-6, rtol=0)
        assert np.array_equal(masks[index].numpy(), mask)
    assert images.min() < -0.5 and images.max() > 0.5


@pytest.mark.parametrize('min_area', [0.02, 0.2])
def test_statistics_are_those_of_the_real_set(source, guide, tmp_path, min_area):  # noqa: F811
    """The objective of a config gets them, of the classes that cover ``min_area`` of an image."""
    run = run_in(tmp_path, source)
    settings = GuidanceSettings([dict(type='ClassFeatureMatching', min_area=min_area)], None, dict(segmentor=guide))
    settings.check(Segmentation(), dict(type='LayoutUNetGenerator'), False)
    guidance = settings.build(MaskResources(run, segmentor=guide))
    statistics = guidance.objectives['ClassFeatureMatching'].statistics
    network = MaskResources(run, segmentor=guide).segmentor()
    classes, sums = len(source.classes), None
    counts, mass = torch.zeros(classes, dtype=torch.long), torch.zeros(classes, dtype=torch.float64)
    for index in range(len(source)):
        image, mask = source.pair(index, (32, 32))
        with torch.no_grad():
            layer = network.features(torch.from_numpy(image).permute(2, 0, 1)[None].float() / 127.5 - 1)[1][0].double()
        sums = torch.zeros(classes, len(layer), dtype=torch.float64) if sums is None else sums
        for label in range(classes):
            region = torch.from_numpy(mask == label)
            if region.double().mean() >= min_area:
                counts[label] += 1
                mass[label] += region.sum()
                sums[label] += layer[:, region].sum(1)
    assert statistics.images_.tolist() == counts.tolist() and 0 < (counts > 0).sum() < classes
    seen = counts > 0
    torch.testing.assert_close(statistics.layers[1][0][seen], sums[seen] / mass[seen, None], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('cached', [False, True])
def test_statistics_are_measured_once(source, guide, tmp_path, monkeypatch, cached):  # noqa: F811
    """An interrupted computation continues; with a cache, other work dirs share the statistics, and a damaged entry is
    replaced. The result is the same to the byte."""
    plain = run_in(tmp_path / 'plain', source)
    MaskResources(plain, segmentor=guide).statistics()
    expected = (tmp_path / 'plain' / STATISTICS).read_bytes()
    if cached:
        monkeypatch.setenv('MMDISTILL_CACHE', str(tmp_path / 'cache'))
    monkeypatch.setattr('mmdistill.tasks.statistics._BLOCK', 4)
    monkeypatch.setattr('mmdistill.tasks.statistics.real_batches', partial(real_batches, batch_size=4))
    seen = []

    def measure(name, limit=99):
        resources, lines = MaskResources(run := run_in(tmp_path / name, source), segmentor=guide), []
        run.logger.info = lines.append
        network = resources.segmentor()
        monkeypatch.setattr(network, 'features', partial(features, network.features, limit))
        resources.statistics()
        assert (tmp_path / name / STATISTICS).read_bytes() == batched
        return '\n'.join(lines)

    def features(wrapped, limit, images):
        if len(seen) >= limit:
            raise KeyboardInterrupt
        seen.append(len(images))
        return wrapped(images)

    reference = ClassStatistics(len(source.classes), fingerprint=ClassStatistics.load(
        tmp_path / 'plain' / STATISTICS).fingerprint)
    network = MaskResources(plain, segmentor=guide).segmentor()
    for images, masks in real_batches(source, (32, 32), batch_size=4):
        with torch.no_grad():
            reference.fit(network.features(images), masks)
    reference.save(tmp_path / 'reference')
    batched = (tmp_path / 'reference').read_bytes()
    assert len(expected) == len(batched)
    with pytest.raises(KeyboardInterrupt):
        measure('a', limit=2)
    assert '2 of 10 real images' in measure('a') and seen == [4, 4, 2]
    line = measure('b')
    assert seen == ([4, 4, 2] if cached else [4, 4, 2, 4, 4, 2])
    assert ('is read from the cache' in line) is cached
    for file in tmp_path.rglob('*.safetensors'):
        if file.parent.name == 'statistics':
            file.write_bytes(file.read_bytes()[:-4] + b'oops')
    assert 'Measuring' in measure('c') and seen[-3:] == [4, 4, 2]
    assert measure('c') == ''


def test_a_segmentor_of_other_classes(source, guide, tmp_path):  # noqa: F811
    run = run_in(tmp_path, SimpleNamespace(classes=source.classes[:4]))
    with pytest.raises(DistillError, match='segmentor has 11 classes, the dataset 4'):
        MaskResources(run, segmentor=guide).segmentor()
