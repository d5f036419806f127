"""Runs a comparison: training sets x students x image sets x trainings."""
import json
import math
import time
from functools import cached_property
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from mmengine.config import Config

from mmdistill.components import resolve
from mmdistill.datasets.manifest import library_versions
from mmdistill.datasets.wrapped_configs import without_pipeline
from mmdistill.differences import json_values
from mmdistill.errors import Problems, counted
from mmdistill.files import config_hash, write_json
from mmdistill.registry import ENCODERS
from mmdistill.tasks.base import class_names, task_of_scope
from .baseline_sizes import check_sizes
from .building import build_dataset, identity
from .comparison import check_comparison
from .distilled_sets import check_distilled_sets
from .guards import check_several, check_soft_labels
from .protocols import load_protocol, student_config, student_models, weighted_config
from .results import ResultCache, mean_of, rare_classes, read_results, summarise, weights_notes
from .schedule import check_evaluations, settings_by_size
from .students import import_scope
from .training_sets import RealData, TrainingSet
from .trial import try_students
from .workers import Job, run_jobs


class ComparisonRunner:
    """Trains and tests every student on every training set of a comparison.

    Args:
        cfg: The evaluation config (:class:`.comparison.Comparison`).
        work_dir: Receives the cached results (``cells/``) and ``results.json``.

    Raises:
        DistillError: The config is invalid, data, weights or distilled sets are missing (all missing ones are listed),
            or the work dir holds the results of another protocol or test set.
    """

    def __init__(self, cfg: Config, work_dir: Union[str, Path]) -> None:
        problems = Problems()
        self.settings = settings = check_comparison(cfg, problems)
        self.command = f'mmdistill evaluate {cfg.filename} --work-dir {work_dir}'
        self.work_dir = Path(work_dir)
        self.cache = ResultCache(self.work_dir / 'cells')
        self.protocol = load_protocol(settings.protocol)
        self.rules = self.protocol.get('protocol', {})
        self.id = self.rules.get('id') or Path(settings.protocol).stem
        self.task = task_of_scope(self.protocol.default_scope, f'protocol {self.id}')
        test = without_pipeline(getattr(settings, settings.tested))
        self.real = RealData(settings.train_dataset, self.task, self.work_dir, settings.encoder)
        with problems.collect():
            self.task.check_files(self.real.dataset)
        with problems.collect():
            self.test = build_dataset(test, self.task.scope, settings.tested)
            self.task.check_files(self.test)
        with problems.collect():
            encoder: Any = resolve(settings.encoder, ENCODERS, 'encoder') if settings.encoder else None
            if hasattr(encoder, 'check_weights'):
                encoder.check_weights(settings.encoder, 'encoder')
        check_distilled_sets(settings.training_sets, self.task, problems)
        problems.report()
        self.classes = class_names(self.test.metainfo.get('classes'), settings.tested)
        check_several(self.classes, settings.tested, self.task.counted)
        budget = settings.budget if settings.ipc is None else settings.ipc * len(self.classes)
        self._datasets: Dict[Tuple[str, int], Tuple[dict, Any, int]] = {}
        self.sets = {name: TrainingSet(name, spec, self.real, budget, settings.training_sets)
                     for name, spec in settings.training_sets.items()}
        check_sizes(self.sets, self.real, settings.budget, settings.ipc, len(self.classes))
        self.configs = {}
        for name, model in student_models(settings.students or {'default': None}).items():
            self.configs[name] = student_config(self.protocol, model, test, len(self.classes), settings.overrides,
                                             settings.ipc, settings.epochs)
            check_evaluations(self.configs[name], settings.evaluations)
        # Adding sets, students or runs continues a comparison; another protocol or test set starts a new one.
        compared = {'protocol': self.protocol.to_dict(), settings.tested: test, 'overrides': settings.overrides,
                    'epochs': settings.epochs}
        self.hash, self.stored = config_hash(list(compared.values())), json_values(compared)
        read_results(self.work_dir, self.hash, self.stored)

    def notes(self) -> List[str]:
        """Sentences to print below the results table."""
        settings, task = self.settings, self.task
        split = 'validation' if settings.split == 'val' else 'test'
        images = counted(len(self.test), f'{split} image')
        notes = [f'Protocol `{self.id}`: {task.metric} on {images} after the last iteration, '
                 'mean ± standard deviation (of the sample) over the runs.']
        if settings.evaluations > 1:
            notes.append(f'`best` is the highest of {settings.evaluations} evaluations on the {split} set during '
                         'the training, which is optimistic.')
        by_size = settings_by_size(self.rules, len(self.classes), settings.ipc)
        if by_size:
            notes.append(f'Its settings for {len(self.classes):,} classes and IPC {settings.ipc or self.rules["ipc"]}: '
                         f'{", ".join(f"{key} {value:g}" for key, value in by_size.items())}.')
        if self.rules.get('by_size'):
            notes += self._other_sizes(settings.ipc or self.rules['ipc'])
        if settings.epochs:
            full = by_size.get('epochs') or self.protocol.train_cfg.max_epochs
            notes.append(f'The schedule was shortened: {counted(settings.epochs, "epoch")} instead of {full}.')
        if settings.overrides:
            notes.append(f'Deviations from the protocol: {json.dumps(settings.overrides)}.')
        if self.rare:
            notes.append(f'`{task.rare_metric}` is the mean over the classes with under 1 % of the real set\'s '
                         f'{task.counted}: {", ".join(self.rare)}.')
        notes += weights_notes(name for name, one in self.sets.items() if one.weighted)
        return notes + task.notes(self.real.dataset, self.test)

    def _other_sizes(self, ipc: int) -> List[str]:
        """A note if a distilled set does not have ``ipc`` images per class, for which the settings are selected."""
        found = {name: [images / len(self.classes) for images in one.sizes()] for name, one in self.sets.items()}
        others = [f'{name} has {" and ".join(f"{size:.4g}" for size in dict.fromkeys(sizes))}'
                  for name, sizes in found.items() if set(sizes) - {ipc}]
        return [f'Every set is trained with the settings for {ipc} images per class, although {", ".join(others)}. '
                'To use the settings for another size, set ipc to it in a separate comparison.'
                ] if others else []

    def image_sets(self, name: str) -> int:
        """Number of image sets of a training set."""
        return self.sets[name].num_image_sets(self.settings.image_sets)

    def jobs(self, names: Optional[Sequence[str]] = None) -> List[Job]:
        """All trainings on all sets, or on the sets ``names``, ordered by run, so that every set and student has its
        first result early.

        Raises:
            DistillError: A training set fails a check (:meth:`.TrainingSet.check`).
        """
        settings, versions = self.settings, library_versions()
        counts = {name: self.image_sets(name) for name in names or self.sets}
        datasets = {(name, image_set): self._dataset(name, image_set) for name in counts
                    for image_set in range(counts[name])}
        jobs = []
        for run in range(settings.image_sets * settings.trainings):
            for name, count in counts.items():
                image_set = run // settings.trainings % count
                dataset, content, images = datasets[name, image_set]
                for student, config in self.configs.items():
                    if self.sets[name].weighted:
                        config = weighted_config(config, student)
                    key = dict(student=config.to_dict(), train=content, seed=run, evaluations=settings.evaluations,
                               libraries=versions)
                    jobs.append(Job(name, student, image_set, images, key, dict(
                        student_cfg=config, train_dataset_cfg=dataset, seed=run, evaluations=settings.evaluations,
                        work_dir=str(self.cache.path(key).with_suffix(''))), self.cache, self.task.metric))
        return jobs

    def _dataset(self, name: str, image_set: int) -> Tuple[dict, Any, int]:
        """An image set of a training set after its checks: config, identity for the cache, number of images."""
        if (name, image_set) not in self._datasets:
            training_set = self.sets[name]
            cfg = training_set.dataset(image_set)
            built = build_dataset(cfg, self.task.scope, f'training_sets.{name}.dataset')
            training_set.check(built, self.test)
            if self.rules.get('labels') == 'soft':
                check_soft_labels(name, built)
            self._datasets[name, image_set] = cfg, identity(cfg, built), len(built)
        return self._datasets[name, image_set]

    def prepare(self, rank: int) -> List[str]:
        """Import the students' package, load the encoder, and on rank 0 find mistakes (:meth:`check_first`)."""
        for config in self.configs.values():
            import_scope(config)  # shared by processes that are forked
        tried = self.check_first() if rank == 0 else []
        _ = self.real.encoder
        return tried

    def check_first(self) -> List[str]:
        """Find mistakes before the whole real set is encoded or counted: try the students on the sets that need
        neither, and read the annotations of the test set.

        Returns:
            list: Names of the sets that the students were tried on.

        Raises:
            DistillError: A student cannot be trained or tested, or an annotation cannot be read.
        """
        known = [name for name, one in self.sets.items() if not one.selected_later()]
        later = len(known) < len(self.sets)
        if later:
            self.try_students(self.jobs(known) if known else [])
        self.task.check_annotations(self.test, self.work_dir / f'{self.settings.split}_histograms.npz')
        return known if later else []

    def try_students(self, jobs: Sequence[Job]) -> None:
        """Try the students of ``jobs`` (:func:`.try_students`); without jobs, on images of the real training set."""
        arguments = dict(train_dataset_cfg=self.real.subset([0]))
        try_students(jobs or [
            Job('train_dataset', name, 0, 1, {}, dict(arguments, student_cfg=config), self.cache, self.task.metric)
            for name, config in self.configs.items()])

    def run(self, workers: Optional[int] = None, rank: int = 0, world: int = 1) -> Dict[str, Any]:
        """Train every student that has no cached result; write ``results.json`` and return its content.

        Each of ``world`` processes trains its share, ``workers`` students at a time (:func:`.run_jobs`). Rank 0 waits
        for all others; the other ranks return an empty dict.
        """
        results, = run_comparisons([self], workers, rank, world) or [{}]
        return results

    def _results(self, jobs: Sequence[Job]) -> Dict[str, Any]:
        """Write ``results.json`` when all students of :meth:`jobs` are trained; return its content."""
        runs = [self._run(job, job.result or {}) for job in jobs]
        sets = {name: one.values if one.kind == 'data_root' else None for name, one in self.sets.items()}
        results = dict(
            task=self.task.name, protocol=self.id, hash=self.hash, metric=self.task.metric, classes=list(self.classes),
            notes=self.notes(), sets=sets, command=self.command, settings=self.stored, rows=summarise(runs), runs=runs)
        write_json(self.work_dir / 'results.json', results)
        return results

    def _run(self, job: Job, result: Mapping[str, Any]) -> Dict[str, Any]:
        task = self.task
        values = {name: result[f'{task.class_metric}.{name}'] for name in self.classes}
        classes = {name: None if math.isnan(value) else value for name, value in values.items()}
        metrics = {task.metric: result[task.metric]}
        if self.settings.evaluations > 1:
            metrics['best'] = max(value for _, value in result['curve'])
        if task.rare_metric and self.rare:
            metrics[task.rare_metric] = mean_of(classes[name] for name in self.rare)
        return dict(
            set=job.set, student=job.student, image_set=job.image_set, seed=job.arguments['seed'], metrics=metrics,
            curve=result['curve'], classes=classes, images=job.images, seconds=round(result['seconds'], 2),
            config_hash=config_hash(job.key), **(dict(weighted=True) if self.sets[job.set].weighted else {}))

    @cached_property
    def rare(self) -> List[str]:
        """Classes with less than 1 % of the real set's pixels, if the task has a metric for rare classes."""
        return rare_classes(self.real.histograms, self.classes) if self.task.rare_metric else []


def run_comparisons(runners: Sequence[ComparisonRunner], workers: Optional[int] = None, rank: int = 0, world: int = 1
                    ) -> List[Dict[str, Any]]:
    """Train the students of several comparisons together, so that no process waits for the end of the first one.

    Args:
        runners: The comparisons.
        workers, rank, world: See :meth:`ComparisonRunner.run`.

    Returns:
        list: The results of each comparison, as :meth:`ComparisonRunner.run` returns them; empty if ``rank`` is not 0.
    """
    tried = {runner.cache.root: runner.prepare(rank) for runner in runners}
    by_runner = [runner.jobs() for runner in runners]
    jobs = [job for part in by_runner for job in part]
    try_students([job for job in jobs[rank::world] if job.set not in tried[job.cache.root]])
    for runner in runners if rank == 0 else ():
        _ = runner.rare  # for the notes: reads all real masks, which may have mistakes
    run_jobs(jobs[rank::world], workers)
    while rank == 0 and any(job.result is None for job in jobs):
        time.sleep(1)  # the launcher ends all processes when one of them fails
    return [] if rank else [runner._results(part) for runner, part in zip(runners, by_runner)]
