"""The matrix of a comparison: training sets x students x image sets x trainings."""
import json
import math
import time
from functools import cached_property
from pathlib import Path
from typing import Any, Dict, List, Optional, Union

from mmengine.config import Config

from mmdistill.datasets.manifest import content_digest, library_versions
from mmdistill.errors import DistillError
from mmdistill.files import config_hash, write_json
from mmdistill.files import files_fingerprint
from .guards import check_soft_labels
from .protocols import cell_config, load_protocol, student_models
from .results import Cells, mean_of, rare_classes, read_results, summarise
from .schedule import batch_size_for, epochs_for, set_epochs
from .students import main_metric
from .training_sets import RealData, TrainingSet, build_dataset, paths_of, split_note
from .workers import Job, run_jobs


class Matrix:
    """A comparison of training sets under one protocol, by its config.

    The config names ``protocol`` (its id, or a path), ``train_dataset`` (the real one) and ``test_dataset``,
    ``training_sets`` (see :class:`~mmdistill.evaluation.training_sets.TrainingSet`), and where they differ from the
    defaults: ``students`` (name to a config with ``model``; ``None`` is the protocol's own), ``budget`` or ``ipc``
    of the baselines, ``image_sets`` and ``trainings`` (each set gets their product of runs; a set of which there is
    one only is trained as often), ``evaluations`` along each training, ``epochs`` where the schedule is shortened,
    ``encoder`` for baselines and metrics on features, ``overrides`` of the protocol, and what
    :mod:`mmdistill.evaluation.set_report` measures without training.

    Args:
        cfg: The config.
        work_dir: ``cells/`` and the results go there.

    Raises:
        DistillError: The config is not whole, a data set is not as it should be, or the work dir holds the results
            of another protocol or test set.
    """

    def __init__(self, cfg: Config, work_dir: Union[str, Path]) -> None:
        for key in ('protocol', 'train_dataset', 'test_dataset', 'training_sets'):
            if not cfg.get(key):
                raise DistillError(f'the evaluation config has no {key}: see configs/evaluation')
        self.cfg, self.work_dir = cfg, Path(work_dir)
        self.cells = Cells(self.work_dir / 'cells')
        self.protocol = load_protocol(cfg.protocol)
        self.id = self.protocol.get('protocol', {}).get('id') or Path(cfg.protocol).stem
        self.metric, scope = main_metric(self.protocol), self.protocol.default_scope
        test = {k: v for k, v in cfg.test_dataset.to_dict().items() if k != 'pipeline'}
        self.test = build_dataset(test, scope)
        self.real = RealData(cfg.train_dataset.to_dict(), scope, self.work_dir, cfg.get('encoder'))
        self.classes = tuple(self.test.metainfo['classes'])
        budget = cfg.get('budget') if 'ipc' not in cfg else cfg.ipc * len(self.classes)
        specs = cfg.training_sets.to_dict()
        self.sets = {name: TrainingSet(name, spec, self.real, budget, specs) for name, spec in specs.items()}
        self.image_sets, self.trainings = int(cfg.get('image_sets', 1)), int(cfg.get('trainings', 1))
        self.evaluations = int(cfg.get('evaluations', 1))
        if min(self.image_sets, self.trainings, self.evaluations) < 1:
            raise DistillError('image_sets, trainings and evaluations have to be at least 1')
        self.configs = {name: self._config(model, test) for name, model in student_models(
            cfg.get('students') or {'default': None}).items()}
        # Adding sets, students or runs continues a comparison; another protocol or test set is another one.
        self.hash = config_hash([self.protocol.to_dict(), test, cfg.get('overrides'), cfg.get('epochs')])
        read_results(self.work_dir, expected=self.hash)

    def _config(self, model: Optional[dict], test: dict) -> Config:
        overrides = self.cfg.get('overrides') or {}
        config = cell_config(self.protocol, model, test, len(self.classes), overrides)
        epochs, ipc, rules = self.cfg.get('epochs'), self.cfg.get('ipc'), self.protocol.get('protocol', {})
        if ipc is not None and 'epochs_by_ipc' in rules:
            epochs = epochs or epochs_for(rules, ipc)
            config.train_dataloader.batch_size = batch_size_for(rules, ipc) or config.train_dataloader.batch_size
        if epochs is not None:
            set_epochs(config, epochs)
        return config

    def notes(self) -> List[str]:
        """Sentences that belong under the table."""
        notes = [f'Protocol `{self.id}`: {self.metric} on {len(self.test):,} test images after the last iteration, '
                 'mean ± standard deviation (of the sample) over the runs.']
        if self.evaluations > 1:
            notes.append(f'`best` is the highest of {self.evaluations} evaluations on the test set along the '
                         'training, which is optimistic.')
        if self.cfg.get('epochs'):
            full = epochs_for(self.protocol.protocol, self.cfg.ipc) if self.cfg.get(
                'ipc') else self.protocol.train_cfg.max_epochs
            notes.append(f'The schedule was shortened: {self.cfg.epochs} epochs in place of {full}.')
        if self.cfg.get('overrides'):
            notes.append(f'Deviations from the protocol: {json.dumps(self.cfg.overrides.to_dict())}.')
        if self.rare:
            notes.append('`rare_IoU` is the mean over the classes with under 1 % of the real set\'s pixels: '
                         f'{", ".join(self.rare)}.')
        split = split_note(self.real.dataset, self.test) if self.real.scope == 'mmpretrain' else None
        return notes + ([split] if split else [])

    def jobs(self) -> List[Job]:
        """All cells, the first run of every set and student first; the guards have passed every set."""
        versions, datasets = library_versions(), {}
        for name, training_set in self.sets.items():
            for image_set in range(training_set.num_image_sets(self.image_sets)):
                cfg = training_set.dataset(image_set)
                built = build_dataset(cfg, self.real.scope)
                training_set.check(built, self.test)
                if self.protocol.get('protocol', {}).get('labels') == 'soft':
                    check_soft_labels(name, built)
                datasets[name, image_set] = cfg, _content(cfg, built), len(built)
        jobs = []
        for run in range(self.image_sets * self.trainings):
            for name, training_set in self.sets.items():
                image_set = run // self.trainings % training_set.num_image_sets(self.image_sets)
                dataset, content, images = datasets[name, image_set]
                for student, config in self.configs.items():
                    key = dict(student=config.to_dict(), train=content, seed=run, evaluations=self.evaluations,
                               libraries=versions)
                    arguments = dict(
                        student_cfg=config, train_dataset_cfg=dataset, seed=run, evaluations=self.evaluations,
                        work_dir=str(self.cells.path(key).with_suffix('')))
                    jobs.append(Job(name, student, image_set, images, key, arguments))
        return jobs

    def run(self, workers: Optional[int] = None, rank: int = 0, world: int = 1) -> Dict[str, Any]:
        """Train every cell that is not there yet and write ``results.json``.

        Args:
            workers: Students at a time in this process; see :func:`~mmdistill.evaluation.workers.run_jobs`.
            rank: Which of ``world`` processes this is. Each trains its share of the cells; the first waits for all.
            world: Number of processes.

        Returns:
            dict: The content of ``results.json``; empty where ``rank`` is not 0.
        """
        jobs, cells = self.jobs(), self.cells
        run_jobs(jobs[rank::world], cells, lambda result: f'{self.metric} {result[self.metric]:.1f}', workers)
        while rank == 0 and any(cells.get(job.key) is None for job in jobs):
            time.sleep(1)  # the launcher ends all processes when one of them fails
        if rank:
            return {}
        runs = [self._run(job, cells.get(job.key)) for job in jobs]
        results = dict(
            protocol=self.id, hash=self.hash, metric=self.metric, classes=list(self.classes), notes=self.notes(),
            sets={name: training_set.values[0] if training_set.kind == 'data_root' else None
                  for name, training_set in self.sets.items()},
            command=f'python tools/evaluate.py {self.cfg.filename} --work-dir {self.work_dir}', rows=summarise(runs),
            runs=runs)
        write_json(self.work_dir / 'results.json', results)
        return results

    def _run(self, job: Job, result: Dict[str, Any]) -> Dict[str, Any]:
        prefix = 'IoU' if self.metric == 'mIoU' else self.metric
        values = {name: result[f'{prefix}.{name}'] for name in self.classes}
        classes = {name: None if math.isnan(value) else value for name, value in values.items()}
        metrics = {self.metric: result[self.metric]}
        if self.evaluations > 1:
            metrics['best'] = max(value for _, value in result['curve'])
        if self.rare:
            metrics['rare_IoU'] = mean_of(classes, self.rare)
        return dict(
            set=job.set, student=job.student, image_set=job.image_set, seed=job.arguments['seed'], metrics=metrics,
            curve=result['curve'], classes=classes, images=job.images, seconds=round(result['seconds'], 2),
            config_hash=config_hash(job.key))

    @cached_property
    def rare(self) -> List[str]:
        """Classes of segmentation with under 1 % of the real set's pixels."""
        return rare_classes(self.real.histograms, self.classes) if self.metric == 'mIoU' else []


def _content(cfg: dict, dataset) -> Any:
    """What tells one training set from another: the bytes of a distilled one, the files of any other."""
    if cfg['type'] == 'mmdistill.DistilledDataset':
        return content_digest(cfg['data_root'])
    paths = paths_of(dataset)
    return dict(cfg, files=files_fingerprint([path for path in paths if '://' not in path], '\n'.join(paths)))
