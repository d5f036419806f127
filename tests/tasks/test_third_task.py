"""A third task outside of the package: its classes are registered, and mmdistill is not changed."""
import json
from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.runner import Runner
from PIL import Image

from mmdistill.datasets.manifest import is_written, read_manifest
from mmdistill.engine.composition import ComposingHook
from mmdistill.engine.planning import Planner
from mmdistill.errors import DistillError
from mmdistill.generation import Synthesis
from mmdistill.plan import Request, request_seed
from mmdistill.registry import DATASETS, GENERATORS, HOOKS, TASKS, WRITERS
from mmdistill.tasks import Resources, Source, Task, task_of_manifest


class DepthDataset(BaseDataset):
    """Images with one distance each."""
    METAINFO = dict(classes=('near', 'far'))

    def __init__(self, count: int, **kwargs):
        self.count = count
        super().__init__(**kwargs)

    def load_data_list(self):
        return [dict(img_path=f'{i}.png', distance=float(i)) for i in range(self.count)]


class DepthSource(Source):
    def __init__(self, dataset):
        dataset.full_init()
        self.dataset, self.classes = dataset, tuple(dataset.metainfo['classes'])
        self.images = [dataset.get_data_info(i)['img_path'] for i in range(len(dataset))]

    def fingerprint(self):
        return str(len(self))

    def inputs(self, requests, size):
        return dict(masks=[self.dataset.get_data_info(r.source_index)['distance'] for r in requests])

    def annotation(self, inputs, row):
        return dict(distance=inputs['masks'][row])


class DepthPlanner(Planner):
    annotation = 'distances'

    def __init__(self, count):
        self.count = count

    def requests(self, run):
        return [Request(f'{i:03d}', request_seed(run.seed, str(i)), i, run.source.images[i], classes=(i % 2, ))
                for i in range(self.count)]

    def describe(self):
        return dict(count=self.count)


class DepthPlanHook(ComposingHook):
    def __init__(self, count: int):
        self.count = count

    def compose(self, composition):
        composition.set_planner(DepthPlanner(self.count))


class Flat:
    """A generator without diffusion: the shade is the distance."""
    annotation = 'distances'
    needs = ('classes', )
    image_size, sources, micro_batch = (8, 8), {}, 4

    def __init__(self, classes, shade: int = 10):
        self.classes, self.shade = classes, shade

    def to(self, device):
        return self

    def describe(self):
        return dict(type='Flat', classes=list(self.classes))

    def synthesize(self, requests, distances, guidance=None, latents=None, upcoming=None):
        for request, distance in zip(requests, distances):
            yield Synthesis(request, None, np.full((8, 8, 3), int(distance) * self.shade, np.uint8), None)


class TiltedFlat(Flat):
    """A subclass that passes its settings on."""

    def __init__(self, tilt: float = 0.0, **kwargs):
        super().__init__(**kwargs)


@dataclass(frozen=True)
class DepthLayout:
    task: ClassVar[str] = 'depth'
    name: str = 'depth'
    ann_file: str = 'distances.txt'

    def files(self, stem):
        return dict(image=f'{stem}.png', distance=f'{stem}.txt')

    def ann_text(self, plan):
        return ''.join(f'{request.id}\n' for request in plan.requests)

    def to_dict(self):
        return asdict(self)


class DepthWriter:
    annotation = 'distances'
    needs = ('dataset', )

    def __init__(self, root, dataset=None):
        self.root, self.layout = root, DepthLayout()
        assert isinstance(dataset, DepthDataset)

    def done(self, request_id):
        from pathlib import Path
        return is_written(Path(self.root) / f'{request_id}.txt')

    def write(self, request_id, image, distance):
        from pathlib import Path
        Path(self.root).mkdir(exist_ok=True)
        Image.fromarray(image).save(f'{self.root}/{request_id}.png')
        Path(f'{self.root}/{request_id}.txt').write_text(f'{distance}\n')


class Depth(Task):
    name, scope, annotation, dataset_base = 'depth', 'mmdepth', 'distances', (__name__, 'DepthDataset')
    plan_hook, writer, resources = 'DepthPlanHook', 'DepthWriter', Resources
    metric, evaluator, class_metric = 'rmse', dict(type='RMSE'), 'rmse'

    def owns(self, dataset):
        return issubclass(dataset, DepthDataset)

    def source(self, dataset):
        return DepthSource(dataset)


@pytest.fixture
def registered():
    parts = ((DATASETS, DepthDataset), (HOOKS, DepthPlanHook), (GENERATORS, Flat), (GENERATORS, TiltedFlat),
             (WRITERS, DepthWriter), (TASKS, Depth))
    for registry, part in parts:
        registry.register_module(module=part)
    yield
    for registry, part in parts:
        registry.module_dict.pop(part.__name__)


def config(work_dir, **generator):
    cfg = Config(dict(
        default_scope='mmdistill', work_dir=str(work_dir), log_level='WARNING',
        experiment_name=f'depth_{work_dir.name}',
        model=dict(type='Distiller', generator=dict(type='TiltedFlat', **generator)),
        test_dataloader=dict(batch_size=2, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
                             dataset=dict(type='DepthDataset', count=6)),
        test_cfg=dict(type='DistillLoop', method='flat'), test_evaluator=[],
        custom_hooks=[dict(type='DepthPlanHook', count=5)]))
    return cfg


def test_a_third_task_runs_through_the_same_loop(registered, tmp_path):
    Runner.from_cfg(config(tmp_path, shade=20)).test()
    manifest = read_manifest(tmp_path / 'distilled')
    assert manifest['task'] == 'depth' and task_of_manifest(manifest, 'x').metric == 'rmse'
    assert [image['distance'] for image in manifest['images']] == [f'{i:03d}.txt' for i in range(5)]
    assert (tmp_path / 'distilled/004.txt').read_text() == '4.0\n'
    assert np.asarray(Image.open(tmp_path / 'distilled/004.png')).max() == 80
    assert manifest['weights'] == dict(type='Flat', classes=['near', 'far'])
    plan = json.loads((tmp_path / 'plan.json').read_text())
    assert plan['provenance']['count'] == 5


@pytest.mark.parametrize('change, say', [
    (dict(model=dict(generator=dict(shads=1))), r'model\.generator\.shads: unknown setting of TiltedFlat; did you mean '
     r'shade\?'),
    (dict(model=dict(generator=dict(tilt='steep'))), "model.generator.tilt='steep' has to be a number"),
    (dict(test_cfg=dict(writer=dict(type='ClassWriter'))), 'ClassWriter is for classes, .* depth: use DepthWriter'),
    (dict(custom_hooks=[dict(type='ClassPlanHook', ipc=1)]), 'plan is made from classes.*depth: use DepthPlanHook'),
    (dict(custom_hooks=[dict(type='DepthPlanHook', count=1), dict(type='GuidedSynthesisHook', objectives=[
        dict(type='SegmentationConsistency')])]), 'SegmentationConsistency is for masks, but the dataset .* depth'),
])
def test_and_through_the_same_checks(registered, tmp_path, change, say):
    cfg = config(tmp_path)
    cfg.merge_from_dict(change)
    with pytest.raises(DistillError, match=say):
        Runner.from_cfg(cfg).test()
    assert not (tmp_path / 'distilled').exists()
