"""What a training leaves behind."""
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.model import BaseModel, ExponentialMovingAverage
from safetensors.torch import load_file

from mmdistill.engine.hooks.export import ExportHook, SampleGridHook, image_grid
from mmdistill.weights.checkpoints import load_checkpoint, read_meta, trained_classes


class Net(BaseModel):
    """A model that has nothing to export but its weights."""

    def __init__(self, value):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1, bias=False)
        self.layer.weight.data.fill_(value)
        self.register_buffer('count', torch.tensor(7))

    def forward(self, inputs, data_samples=None, mode='tensor'):
        return inputs


class Part(Net):
    """A part of a generator: it writes a folder of its own."""

    def export(self, folder):
        torch.save(self.layer.weight.data, f'{folder}/own.pth')


def run(model, tmp_path, averaged=False, rank=0, out_dir=None, metainfo=None):
    hooks = [SimpleNamespace()]
    if averaged:
        ema = ExponentialMovingAverage(model, momentum=0.5)
        ema.update_parameters(model)
        model.layer.weight.data.fill_(3.0)
        ema.update_parameters(model)  # (1 + 3) / 2
        hooks.append(SimpleNamespace(ema_model=ema))
    loop = SimpleNamespace(dataloader=SimpleNamespace(dataset=SimpleNamespace(metainfo=metainfo)))
    runner = SimpleNamespace(model=model, hooks=hooks, rank=rank, work_dir=str(tmp_path), logger=MMLogger('export'),
                             train_loop=loop)
    ExportHook(out_dir).after_train(runner)


@pytest.mark.parametrize('averaged', [False, True])
@pytest.mark.parametrize('kind', [Net, Part])
def test_the_averaged_weights_are_exported(tmp_path, averaged, kind):
    (tmp_path / 'export').mkdir()
    run(kind(1.0), tmp_path, averaged)
    wanted = 2.0 if averaged else 1.0
    if kind is Part:
        assert [path.name for path in (tmp_path / 'export').iterdir()] == ['own.pth']
        assert float(torch.load(tmp_path / 'export/own.pth')) == wanted
    else:
        state = load_file(tmp_path / 'export/model.safetensors')
        assert state['layer.weight'].dtype is torch.float16 and float(state['layer.weight']) == wanted
        assert state['count'].dtype is torch.int64 and int(state['count']) == 7


def test_the_classes_of_the_training_set_are_recorded(tmp_path):
    run(Net(1.0), tmp_path)
    path = str(tmp_path / 'export/model.safetensors')
    assert read_meta(path) is None
    run(Net(1.0), tmp_path, metainfo=dict(classes=('cat', 2)))
    assert trained_classes(read_meta(path)) == trained_classes(load_checkpoint(path)['meta']) == ['cat', '2']


def test_where_and_by_whom(tmp_path):
    run(Net(1.0), tmp_path, rank=1)
    assert not list(tmp_path.iterdir())
    run(Net(1.0), tmp_path, out_dir=str(tmp_path / 'elsewhere'))
    assert [path.name for path in tmp_path.iterdir()] == ['elsewhere']


def test_sample_grid(tmp_path):
    """Row by row, the last row filled up with black; only the main process draws."""
    images = torch.stack([torch.full((3, 2, 2), value) for value in (-1.0, 0.0, 1.0, 2.0, 0.5)])
    images[0, 0] = 1  # red
    grid = image_grid(images, 2)
    assert grid.shape == (6, 4, 3) and grid.dtype == np.uint8
    assert grid[::2, ::2].tolist() == [[[255, 0, 0], [128] * 3], [[255] * 3] * 2, [[191] * 3, [0] * 3]]
    drawn = []
    model = Net(1.0)
    model.sample_images = lambda batch: images[batch]
    runner = SimpleNamespace(
        rank=0, iter=9, model=model, val_loop=SimpleNamespace(dataloader=[[0, 2], [1, 3]]),
        visualizer=SimpleNamespace(add_image=lambda name, image, step: drawn.append((name, image, step))))
    SampleGridHook(columns=2).after_val_epoch(runner)
    runner.rank = 1
    SampleGridHook(columns=2).after_val_epoch(runner)
    (name, image, step), = drawn
    assert (name, step) == ('samples', 9) and image[0, ::2].tolist() == [[255, 0, 0], [255] * 3]
