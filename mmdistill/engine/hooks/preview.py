"""Pictures of a distillation run as it goes."""
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmdistill.registry import HOOKS
from mmdistill.settings import PositiveInt, validated


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
