"""Training a student of the host on a set, and what it reaches."""
import copy
import time
from collections import OrderedDict
from contextlib import contextmanager
from typing import Dict, Union

import numpy as np
from mmengine.config import Config
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmengine.visualization import Visualizer
from mmseg.evaluation import IoUMetric

from mmdistill.plan import config_hash
from mmdistill.registry import METRICS


@METRICS.register_module()
class ClassIoU(IoUMetric):
    """mmseg's ``IoUMetric`` that also gives what that one only prints: the IoU of each class.

    The metrics are in points, 0..100, not rounded: ``mIoU``, ``aAcc`` and one ``IoU.{class}`` a class; NaN for a class
    that is neither in the masks nor predicted, which ``mIoU`` leaves out.
    """

    def compute_metrics(self, results: list) -> Dict[str, float]:
        """The metrics of the pixel counts (intersection, union, predicted, labelled) of all images."""
        intersection, union, _, labelled = (sum(counts).double().numpy() for counts in zip(*results))
        with np.errstate(invalid='ignore'):
            ious = 100 * intersection / union
        names = self.dataset_meta['classes']
        return dict(
            mIoU=float(np.nanmean(ious)),
            aAcc=float(100 * intersection.sum() / labelled.sum()),
            **{f'IoU.{name}': float(iou) for name, iou in zip(names, ious)})


@contextmanager
def _own_globals():
    """MMEngine keeps its loggers, message hubs, visualizers and scopes in globals, of which the latest rules: the
    runner that calls us has to find its own again."""
    managers = (MMLogger, MessageHub, Visualizer, DefaultScope)
    before = [OrderedDict(manager._instance_dict) for manager in managers]
    try:
        yield
    finally:
        for name, logger in MMLogger._instance_dict.items():
            if name not in before[0]:
                for handler in logger.handlers:
                    handler.close()
        for manager, instances in zip(managers, before):
            manager._instance_dict.clear()
            manager._instance_dict.update(instances)


def student_runner_config(student_cfg: Union[str, Config], train_dataset_cfg: dict, seed: int,
                          work_dir: str) -> Config:
    """The student's config, made to train on another data set and to be tested once, at the end.

    Args:
        student_cfg: Config of the host, or its path: any model, schedule and test set.
        train_dataset_cfg: The training set; the student's own pipeline where it gives none.
        seed: Seed of the weights, of the order and of the augmentation.
        work_dir: Where its logs go.
    """
    cfg = copy.deepcopy(student_cfg) if isinstance(student_cfg, Config) else Config.fromfile(student_cfg)
    own = cfg.train_dataloader.dataset
    cfg.train_dataloader.dataset = dict(train_dataset_cfg)
    cfg.train_dataloader.dataset.setdefault('pipeline', own.get('pipeline', []))
    cfg.val_dataloader = cfg.val_evaluator = cfg.val_cfg = None
    cfg.test_evaluator = dict(type='mmdistill.ClassIoU')
    cfg.default_hooks = dict(cfg.get('default_hooks') or {}, checkpoint=None)  # nobody needs the weights
    cfg.randomness = dict(cfg.get('randomness') or {}, seed=seed)
    cfg.work_dir = str(work_dir)
    cfg.log_level = 'ERROR'  # the host warns of metrics without a prefix
    cfg.launcher = 'none'
    return cfg


def train_student(student_cfg: Union[str, Config], train_dataset_cfg: dict, seed: int,
                  work_dir: str) -> Dict[str, float]:
    """Train a stock mmseg model on a set and test it; MMEngine's globals are as before afterwards.

    Args:
        student_cfg: Config of the host, or its path.
        train_dataset_cfg: The training set, as in ``train_dataloader.dataset``; without a pipeline the student's own.
        seed: Seed of the weights, of the order and of the augmentation.
        work_dir: Where its logs go.

    Returns:
        dict: The metrics of :class:`ClassIoU` on the student's test set, and ``seconds`` of training and test.
    """
    import mmseg.datasets
    import mmseg.models  # noqa: F401  registers the host's components, whatever the scope of the caller
    cfg = student_runner_config(student_cfg, train_dataset_cfg, seed, work_dir)
    # A name of its own: the default one changes once a second only.
    cfg.experiment_name = f'student_{config_hash([cfg.to_dict(), time.time_ns()])}'
    start = time.perf_counter()
    with _own_globals():
        runner = Runner.from_cfg(cfg)
        runner.train()
        metrics = runner.test()
    return dict(metrics, seconds=time.perf_counter() - start)
