"""Hooks that draw samples, and a hook that exports a trained network."""
import json
import os.path as osp
from typing import Any, Optional

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from safetensors.torch import save

from mmdistill.engine.training import unwrap
from mmdistill.files import write_atomic
from mmdistill.registry import HOOKS
from mmdistill.settings import PositiveInt, validated
from mmdistill.weights.checkpoints import CLASSES


def image_grid(images: torch.Tensor, columns: int) -> np.ndarray:
    """Arrange images in a grid, row by row.

    Args:
        images: Images (N, 3, H, W) in [-1, 1].
        columns: Images per row.

    Returns:
        RGB image (rows * H, columns * W, 3) uint8. Unused cells are black.
    """
    pixels = ((images.float().clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    pad = -len(pixels) % columns
    pixels = np.concatenate([pixels, np.zeros((pad, *pixels.shape[1:]), np.uint8)])
    return np.concatenate([np.concatenate(list(row), 1) for row in pixels.reshape(-1, columns, *pixels.shape[1:])], 0)


@HOOKS.register_module()
class PreviewHook(Hook):
    """Sends generated images to the visualizer; for segmentation, next to the mask and an overlay.

    Args:
        interval: Show the first image of every ``interval``-th batch.

    Example:
        >>> custom_hooks = [dict(type='ClassPlanHook', ipc=10), dict(type='PreviewHook', interval=10)]
    """
    priority = 'LOW'

    @validated
    def __init__(self, interval: PositiveInt = 1) -> None:
        self.interval = interval

    def after_test_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Show the first image of the batch."""
        if self.every_n_inner_iters(batch_idx, self.interval) and outputs[0] is not None:
            request = data_batch['requests'][0]
            picture = runner.test_loop.source.preview(outputs[0], data_batch, 0)
            runner.visualizer.add_image(f'preview_{request.id.replace("/", "_")}', picture)


@HOOKS.register_module()
class SampleGridHook(Hook):
    """Sends samples for the first validation batch to the visualizer, after each validation.

    The method ``sample_images(batch) -> (N, 3, H, W) in [-1, 1]`` of the model generates them. The hook runs before
    MMEngine's EMA hook restores the training weights, so the samples are generated with the averaged weights.

    Args:
        columns: Images per row.

    Example:
        >>> custom_hooks = [dict(type='mmdistill.SampleGridHook', columns=8)]
    """
    priority = 'HIGH'

    def __init__(self, columns: int = 8) -> None:
        self.columns = columns

    def after_val_epoch(self, runner: Runner, metrics=None) -> None:
        """Draw the samples, in the main process."""
        if runner.rank == 0:
            batch = next(iter(runner.val_loop.dataloader))
            grid = image_grid(unwrap(runner.model).sample_images(batch), self.columns)
            runner.visualizer.add_image('samples', grid, step=runner.iter)


@HOOKS.register_module()
class ExportHook(Hook):
    """Writes the trained weights as float16 safetensors after the training.

    A model with a method ``export(folder)``, such as a part of a generator, writes a diffusers folder; any other model
    is written to ``model.safetensors``, which :class:`SegmentorGuide` can read. If there is an EMA hook, its averaged
    weights are written.

    Args:
        out_dir: The folder; default: ``{work_dir}/export``.

    Example:
        >>> custom_hooks = [dict(type='mmdistill.ExportHook')]
    """
    priority = 'VERY_LOW'

    def __init__(self, out_dir: Optional[str] = None) -> None:
        self.out_dir = out_dir

    def before_train(self, runner: Runner) -> None:
        """Pass the class names of the dataset to models that record them, which may raise a DistillError."""
        self._tell_classes(runner, unwrap(runner.model))

    def after_train(self, runner: Runner) -> None:
        """Export the model, in the main process."""
        if runner.rank != 0:
            return
        model = unwrap(runner.model)
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
        """Pass the class names of the training set to the model. Returns them, or None if there are none."""
        metainfo = getattr(runner.train_loop.dataloader.dataset, 'metainfo', None) or {}
        classes = metainfo.get('classes')
        if classes is not None and hasattr(model, 'take_classes'):
            model.take_classes(classes)
        return classes
