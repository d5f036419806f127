"""A trial of every student before the first training: one step on images of each training set, one test image."""
import time
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any, Dict, Iterator, List, Mapping, Sequence, Tuple

from mmengine.config import Config

from mmdistill.config import type_name
from mmdistill.datasets.wrapped_configs import pipeline_of
from mmdistill.engine.runner import Runner
from mmdistill.engine.training import build_optimization
from mmdistill.engine.training_trial import is_too_large, small_batch
from mmdistill.errors import DistillError, Problems, disk_failed, one_line
from mmdistill.files import config_hash
from mmdistill.registry import DATASETS
from .students import import_scope, student_runner_config
from .workers import Job, worker_pool


class _Config(Config):
    """A config that is logged without formatting, which takes longer than a step of training."""

    @property
    def pretty_text(self) -> str:
        """The config in one line."""
        return repr(self._cfg_dict)


def try_students(jobs: Sequence[Job]) -> None:
    """Try the students that have no cached result, each in one process and once for all its training sets.

    Args:
        jobs: The students.

    Raises:
        DistillError: A student cannot be built, trained or tested (all failing students are listed).
    """
    groups: Dict[Tuple[str, str], Dict[str, Job]] = {}
    for job in jobs:
        if job.result is None:  # sets with image weights have another loss
            key = job.student, config_hash(job.arguments['student_cfg'].to_dict())
            groups.setdefault(key, {}).setdefault(job.set, job)
    if not groups:
        return
    problems = Problems()
    with worker_pool(1) as pool:
        tried = {}
        for (student, _), found in groups.items():
            first = next(iter(found.values()))
            tried[pool.submit(try_student, student, first.arguments['student_cfg'], {
                name: job.arguments['train_dataset_cfg'] for name, job in found.items()})] = student
        for future, student in tried.items():
            with problems.collect():
                try:
                    future.result()
                except BrokenProcessPool:
                    raise DistillError(f'student {student}: the process of its first training step died, killed or '
                                       'out of memory: free memory, or use a smaller batch or student') from None
    problems.report()


def try_student(student: str, cfg: Config, training_sets: Mapping[str, dict]) -> None:
    """Build a student's training, and train it for one step on a batch of each training set with another image size.

    Without a GPU, a large student is only built.

    Args:
        student: Its name.
        cfg: Its config.
        training_sets: Training set → config of its dataset.

    Raises:
        DistillError: Something fails; the message names the student, the training set and the remedy.
    """
    import_scope(cfg)
    (name, first), *_ = training_sets.items()
    with TemporaryDirectory() as scratch:  # the runner writes its log as soon as it is built
        configs = {row: student_runner_config(cfg, dataset, 0, scratch) for row, dataset in training_sets.items()}
        runner = _build(student, configs[name])
        if is_too_large(runner.model):
            return
        pipeline = pipeline_of(configs[name].train_dataloader.dataset)
        sizes: List[Tuple[int, ...]] = []
        for row, config in configs.items():
            where = f'training set {row}, student {student}: its images'
            with _explained(f'{where} cannot be read', 'correct the pipeline of the protocol, or overrides'):
                dataset = runner.train_dataloader.dataset if row == name else DATASETS.build(
                    config.train_dataloader.dataset)
                batch, _ = small_batch(runner.train_dataloader, dataset)
            if (size := tuple(batch['inputs'][0].shape[-2:])) not in sizes:
                sizes.append(size)
                with _explained(f'{where} ({_text(size)} pixels) cannot be trained on', _resizing(pipeline, 'train')):
                    runner.model.train_step(batch, optim_wrapper=runner.optim_wrapper)
        _test(student, runner)


def _build(student: str, cfg: Config) -> Runner:
    """The runner of a student with everything that it needs to train, before the first step."""
    cfg.visualizer = None  # some visualizers write to other places
    cfg.experiment_name = f'trial_{config_hash([cfg.to_dict(), time.time_ns()])}'
    what = f'student {student} cannot be built from its config with overrides'
    advice = f'correct overrides, or the config of students.{student}'
    with _explained(what, advice):
        runner: Any = Runner.from_cfg(_Config(cfg.to_dict()))
    for key, loop in dict(train_dataloader='train_loop', test_dataloader='val_loop').items():
        with _explained(f'student {student}: {key} cannot be built', f'correct overrides.{key}, or the protocol'):
            getattr(runner, loop)
    with _explained(what, advice):
        build_optimization(runner)
    with _explained(f'student {student}: a hook fails', 'correct overrides.custom_hooks, or the protocol'):
        for stage in ('before_run', 'before_train', 'before_train_epoch'):
            runner.call_hook(stage)
    runner.model.train()
    return runner


def _test(student: str, runner: Runner) -> None:
    loader = runner.val_dataloader
    with _explained(f'student {student}: a test image cannot be read', 'correct the test pipeline of the protocol'):
        batch = loader.collate_fn([loader.dataset[0]])
    runner.model.eval()
    size, pipeline = batch['inputs'][0].shape[-2:], pipeline_of(runner.cfg.val_dataloader.dataset)
    with _explained(f'student {student} cannot be tested on images of {_text(size)} pixels',
                    _resizing(pipeline, 'test')):
        runner.model.val_step(batch)


def _text(size: Sequence[int]) -> str:
    return 'x'.join(map(str, size))


def _resizing(pipeline: Sequence[Any], part: str) -> str:
    """How to change the size of the images."""
    key = f'{part}_dataloader.dataset.pipeline'
    names = [name for name in map(type_name, pipeline) if 'Resize' in name or 'Crop' in name]
    change = f'with overrides.{key}.{names[0]}' if names else f'by a Resize in {key} (overrides or protocol)'
    return f'if their size is the reason, resize the images {change}, or use another student'


@contextmanager
def _explained(what: str, advice: str) -> Iterator[None]:
    """Turns any exception of the block, except those of a full disk, into a DistillError of one line."""
    try:
        yield
    except DistillError as error:
        raise DistillError(f'{what}: {error}') from None
    except Exception as error:
        if disk_failed(error):
            raise
        raise DistillError(f'{what} ({one_line(error, 300, named=True)}): {advice}') from None
