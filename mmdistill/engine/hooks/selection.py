"""Choosing real masks: the plan of a distillation run, or the subset of a training run."""
import copy
import os
import os.path as osp
from typing import Optional

from mmengine.dist import barrier, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.utils import track_iter_progress

from mmdistill.datasets import DatasetMasks
from mmdistill.errors import DistillError
from mmdistill.plan import Plan, Request, request_seed
from mmdistill.registry import HOOKS, SELECTORS
from mmdistill.selection import format_table, plot_selection, selection_table


@HOOKS.register_module()
class MaskSelectionHook(Hook):
    """Selects masks of the real data set.

    In a distillation run (``DistillLoop``) the selected masks become the plan. In a stock mmseg training config the
    run is restricted to the selected real samples: the coreset baseline.

    Args:
        selector: Config of a registered selector.
        workers: Processes that read masks; the number of cores by default, 0 reads in this one.

    Example:
        >>> custom_hooks = [dict(type='mmdistill.MaskSelectionHook',
        >>>                      selector=dict(type='ClassBalancedGreedy', budget=0.01))]
    """
    priority = 'HIGH'

    def __init__(self, selector: dict, workers: Optional[int] = None) -> None:
        self.selector = selector
        self.workers = workers

    def _select(self, runner: Runner, masks: DatasetMasks):
        """Indices in the order picked; every rank reads the histograms that the main process cached."""
        cache = osp.join(runner.work_dir, 'class_histograms.npz')
        selector = SELECTORS.build(copy.deepcopy(self.selector))
        if is_main_process():
            runner.logger.info(f'Reading {len(masks)} masks; class histograms: {cache}')
            histograms = masks.histograms(
                cache, self.workers, progress=lambda items, total: track_iter_progress((items, total)))
        barrier()
        if not is_main_process():
            histograms = masks.histograms(cache, self.workers)
        selected = selector.fit(histograms).selected_
        if is_main_process():
            rows = selection_table(histograms, selected, masks.classes)
            picture = osp.join(runner.work_dir, 'selection.png')
            plot_selection(rows, picture)
            runner.logger.info(f'Selected {len(selected)} of {len(masks)} ({picture})\n{format_table(rows)}')
        return histograms, [int(i) for i in selected]

    def before_test(self, runner: Runner) -> None:
        """Give the loop its plan, new or (``resume``) the one of the work dir.

        Raises:
            DistillError: The work dir holds another run, or a plan of another config at ``resume``.
        """
        loop = runner.test_loop
        if loop.resume:
            loop.plan = Plan.load(loop.plan_path)
            if loop.plan.config_hash != loop.config_hash:
                raise DistillError(f'{loop.plan_path} belongs to another config (its hash is {loop.plan.config_hash}, '
                                   f'this one\'s {loop.config_hash}): use that config or another --work-dir')
            return
        if any(files for _, _, files in os.walk(loop.root)):
            raise DistillError(f'{loop.root} holds a distilled set: continue it with --resume, remove it, or choose '
                               'another --work-dir')
        masks = loop.masks
        histograms, selected = self._select(runner, masks)
        requests = tuple(
            Request(
                id=(name := f'{index:06d}'),
                seed=request_seed(loop.seed, name),
                source_index=index,
                source=masks.images[index],
                mask=masks.masks[index],
                classes=tuple(int(c) for c in histograms[index].nonzero()[0])) for index in selected)
        loop.plan = Plan(
            method=loop.method, config_hash=loop.config_hash, seed=loop.seed, classes=masks.classes,
            palette=masks.palette, source_size=len(masks), requests=requests, provenance=dict(
                selector=dict(self.selector), dataset=type(loop.dataset).__name__, data_root=loop.dataset.data_root))
        if is_main_process():
            loop.plan.save(loop.plan_path)

    def before_train(self, runner: Runner) -> None:
        """Restrict the training data set to the selected samples."""
        loop = runner.train_loop
        dataset = loop.dataloader.dataset
        _, selected = self._select(runner, DatasetMasks(dataset))
        dataset.get_subset_(sorted(selected))
        cfg = dict(runner.cfg.train_dataloader, dataset=dataset)
        loop.dataloader = runner.build_dataloader(cfg, seed=runner.seed)
        if hasattr(loop, 'dataloader_iterator'):
            loop.dataloader_iterator = type(loop.dataloader_iterator)(loop.dataloader)
        else:  # by epoch: an epoch is shorter now
            loop._max_iters = loop._max_epochs * len(loop.dataloader)
