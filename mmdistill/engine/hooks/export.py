"""Pictures of what a run or a training makes, and a trained part as a diffusers folder."""
import json
import os.path as osp
from typing import Any, Optional

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from safetensors.torch import save

from mmdistill.files import write_atomic
from mmdistill.registry import HOOKS
from mmdistill.settings import PositiveInt, validated
from mmdistill.weights.checkpoints import CLASSES


def _unwrap(model):
    return model.module if is_model_wrapper(model) else model


def image_grid(images: torch.Tensor, columns: int) -> np.ndarray:
    """Images (N, 3, H, W) in [-1, 1] → uint8 RGB grid with ``columns`` in a row, row by row."""
    pixels = ((images.float().clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    pad = -len(pixels) % columns
    pixels = np.concatenate([pixels, np.zeros((pad, *pixels.shape[1:]), np.uint8)])
    return np.concatenate([np.concatenate(list(row), 1) for row in pixels.reshape(-1, columns, *pixels.shape[1:])], 0)


@HOOKS.register_module()
class PreviewHook(Hook):
    """Sends new images to the visualizer, as the task shows them: beside their mask and an overlay, for example.

    Args:
        interval: Show the first image of each ``interval``-th batch.
    """
    priority = 'LOW'

    @validated
    def __init__(self, interval: PositiveInt = 1) -> None:
        self.interval = interval

    def after_test_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Show one image."""
        if self.every_n_inner_iters(batch_idx, self.interval) and outputs[0] is not None:
            request = data_batch['requests'][0]
            picture = runner.test_loop.source.preview(outputs[0], data_batch, 0)
            runner.visualizer.add_image(f'preview_{request.id.replace("/", "_")}', picture)


@HOOKS.register_module()
class SampleGridHook(Hook):
    """Shows, after each validation, what the model makes of the first validation batch.

    The model's ``sample_images(batch) -> (N, 3, H, W) in [-1, 1]`` makes the pictures; they go to the visualizer. It
    runs before MMEngine's EMA hook puts the raw weights back, so that the averaged ones are shown.

    Args:
        columns: Images in a row.
    """
    priority = 'HIGH'

    def __init__(self, columns: int = 8) -> None:
        self.columns = columns

    def after_val_epoch(self, runner: Runner, metrics=None) -> None:
        """Draw on the main process."""
        if runner.rank == 0:
            batch = next(iter(runner.val_loop.dataloader))
            grid = image_grid(_unwrap(runner.model).sample_images(batch), self.columns)
            runner.visualizer.add_image('samples', grid, step=runner.iter)


@HOOKS.register_module()
class ExportHook(Hook):
    """Writes what was trained, fp16 safetensors, when the training ends.

    A part of a generator becomes a diffusers folder (its ``export(folder)``), any other model ``model.safetensors``, as
    :class:`SegmentorGuide` reads it. The averaged weights are written if an EMA hook keeps them.

    Args:
        out_dir: The folder; ``{work_dir}/export`` by default.
    """
    priority = 'VERY_LOW'

    def __init__(self, out_dir: Optional[str] = None) -> None:
        self.out_dir = out_dir

    def before_train(self, runner: Runner) -> None:
        """Tell the model the dataset's classes, where it records them; a DistillError where they do not fit it."""
        self._tell_classes(runner, _unwrap(runner.model))

    def after_train(self, runner: Runner) -> None:
        """Export on the main process."""
        if runner.rank != 0:
            return
        model = _unwrap(runner.model)
        averaged = next((hook.ema_model.module for hook in runner.hooks if hasattr(hook, 'ema_model')), model)
        folder = self.out_dir or osp.join(runner.work_dir, 'export')
        classes = self._tell_classes(runner, averaged)
        if hasattr(averaged, 'export'):
            averaged.export(folder)
        else:
            state = averaged.state_dict()
            half = {k: (v.half() if v.is_floating_point() else v).cpu().contiguous() for k, v in state.items()}
            metadata = {CLASSES: json.dumps([*map(str, classes)])} if classes else None
            write_atomic(osp.join(folder, 'model.safetensors'), save(half, metadata))
        runner.logger.info(f'Exported to {folder}')

    @staticmethod
    def _tell_classes(runner: Runner, model: Any) -> Any:
        """The names of the classes of the training set, which the model is told, too; None where there are none."""
        metainfo = getattr(runner.train_loop.dataloader.dataset, 'metainfo', None) or {}
        classes = metainfo.get('classes')
        if classes is not None and hasattr(model, 'take_classes'):
            model.take_classes(classes)
        return classes
