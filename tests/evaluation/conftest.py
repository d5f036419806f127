"""A small finished distillation run."""
import pytest

from mmdistill.datasets import SegWriter, StreetScenes, write_manifest
from mmdistill.datasets.street_scenes import CLASSES, PALETTE, street_scene
from mmdistill.plan import Plan, Request


@pytest.fixture
def run(tmp_path):
    """A work dir with three pairs, the scenes themselves, written as a distilled set."""
    requests = tuple(Request(id=f'{i:06d}', seed=i, source_index=i, source='', classes=(0, 2)) for i in range(3))
    plan = Plan('D3S2', 'hash', 0, CLASSES, PALETTE, 10, requests, dict(selector=dict(type='<S&lector>')))
    writer = SegWriter(tmp_path / 'distilled', 'source', StreetScenes(1, pipeline=[], lazy_init=True))
    for request in requests:
        writer.write(request.id, *street_scene(request.source_index, 'train', 64))
    write_manifest(tmp_path / 'distilled', plan, writer.layout, dict(unet='weights/unet'))
    return tmp_path
