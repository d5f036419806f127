"""Training and testing of one student."""
import copy
import importlib
import math
import time
from typing import Any, Dict, List, Tuple

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmdistill.datasets.wrapped_configs import pipeline_of, with_pipeline
from mmdistill.engine.runner import restored_globals
from mmdistill.files import config_hash
from mmdistill.parallel import release_memory
from mmdistill.tasks.base import task_of_scope
from .schedule import training_length


class _Curve(Hook):
    """Records one metric after every evaluation, with the iteration or epoch."""

    def __init__(self, metric: str, by_epoch: bool) -> None:
        self.metric, self.by_epoch = metric, by_epoch
        self.points: List[Tuple[int, float]] = []

    def after_val_epoch(self, runner, metrics=None) -> None:
        self.points.append((runner.epoch if self.by_epoch else runner.iter, metrics[self.metric]))
        self.last = dict(metrics)


def student_runner_config(student_cfg: Config, train_dataset_cfg: dict, seed: int, work_dir: str,
                          evaluations: int = 1) -> Config:
    """A student's config, changed to train on another dataset and to evaluate on its test set during training."""
    cfg = copy.deepcopy(student_cfg)
    cfg.train_dataloader.dataset = with_pipeline(train_dataset_cfg, pipeline_of(cfg.train_dataloader.dataset))
    cfg.val_dataloader, cfg.val_cfg = cfg.test_dataloader, dict(type='ValLoop')
    cfg.val_evaluator = dict(task_of_scope(cfg.get('default_scope'), "the student's config").evaluator)
    cfg.test_dataloader = cfg.test_evaluator = cfg.test_cfg = None
    length, _ = training_length(cfg)
    cfg.train_cfg.val_interval = math.ceil(length / evaluations)
    for key in ('val_begin', 'dynamic_intervals'):
        cfg.train_cfg.pop(key, None)
    cfg.default_hooks = dict(cfg.get('default_hooks') or {}, checkpoint=None)  # the weights are not needed
    cfg.randomness = dict(cfg.get('randomness') or {}, seed=seed)
    cfg.work_dir = str(work_dir)
    cfg.log_level = 'ERROR'  # MMEngine warns of metrics without a prefix
    cfg.launcher = 'none'
    return cfg


def import_scope(cfg: Config) -> None:
    """Register the components of a student's OpenMMLab package, which may differ from the caller's."""
    for part in ('datasets', 'models'):
        importlib.import_module(f'{cfg.default_scope}.{part}')


def train_student(student_cfg: Config, train_dataset_cfg: dict, seed: int, work_dir: str, evaluations: int = 1
                  ) -> Dict[str, Any]:
    """Train a stock model of mmseg or mmpretrain on a set and test it. MMEngine's globals are restored afterwards.

    Args:
        student_cfg: The student's config, with any model, schedule and test set.
        train_dataset_cfg: The training set, as in ``train_dataloader.dataset``. If it has no pipeline, the student's is
            used.
        seed: Seed of the initial weights, the order of the images and the augmentation.
        work_dir: Folder for the logs.
        evaluations: Number of evaluations, evenly spaced; the last one is at the end.

    Returns:
        dict: The metrics of the task's evaluator on the test set after the last iteration; ``curve``, a list of
        (iteration or epoch, metric of the task) of all evaluations; and ``seconds`` of training and evaluation.
    """
    cfg = student_runner_config(student_cfg, train_dataset_cfg, seed, work_dir, evaluations)
    import_scope(cfg)
    # A unique name: MMEngine's default name only changes once per second.
    cfg.experiment_name = f'student_{config_hash([cfg.to_dict(), time.time_ns()])}'
    curve = _Curve(task_of_scope(cfg.default_scope, "the student's config").metric, 'max_iters' not in cfg.train_cfg)
    start = time.perf_counter()
    with restored_globals():
        runner = Runner.from_cfg(cfg)
        runner.register_hook(curve)
        runner.train()
    del runner
    release_memory()  # the process may train another student
    return dict(curve.last, curve=curve.points, seconds=time.perf_counter() - start)
