"""Pictures of a distillation run as it goes."""

import numpy as np
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmdistill.masks import resize_mask
from mmdistill.registry import HOOKS


def preview(image: np.ndarray, mask: np.ndarray, palette) -> np.ndarray:
    """Mask in its colours, image, and overlay side by side: uint8 RGB (H, 3W, 3); unlabelled pixels are black."""
    colours = np.zeros((256, 3), np.uint8)
    colours[:len(palette)] = palette
    layer = colours[resize_mask(mask, image.shape[:2])]
    overlay = (image.astype(np.uint16) + layer) // 2
    return np.concatenate([layer, image, overlay.astype(np.uint8)], 1)


@HOOKS.register_module()
class PreviewHook(Hook):
    """Sends new images to the visualizer, beside their mask and an overlay where they have one.

    Args:
        interval: Show the first image of each ``interval``-th batch.
    """
    priority = 'LOW'

    def __init__(self, interval: int = 1) -> None:
        self.interval = interval

    def after_test_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Show one image."""
        if self.every_n_inner_iters(batch_idx, self.interval) and outputs[0] is not None:
            request, picture = data_batch['requests'][0], outputs[0]
            if 'masks' in data_batch:
                picture = preview(picture, data_batch['masks'][0], runner.test_loop.plan.palette)
            runner.visualizer.add_image(f'preview_{request.id.replace("/", "_")}', picture)
