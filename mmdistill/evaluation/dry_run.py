"""The plan of a comparison, for ``mmdistill evaluate --dry-run``."""
from typing import Any, List, Optional

from mmdistill.config import type_name
from mmdistill.errors import Problems, counted
from .comparison_runner import ComparisonRunner
from .schedule import training_length
from .training_sets import TrainingSet


def plan_text(runner: ComparisonRunner) -> str:
    """Describe what a comparison will train and for how long, what is finished, and where the results are written.

    Distilled sets and other datasets are read and checked as for a run. Baselines whose selection needs the masks or
    features of the whole real set are skipped, unless these are in the work dir. Every student is tried. Nothing is
    written.

    Raises:
        DistillError: A training set fails a check (all failing ones are listed).
    """
    settings, task, problems = runner.settings, runner.task, Problems()
    finished, lines, known = 0, [], []
    for name, one in runner.sets.items():
        with problems.collect():
            jobs = [] if one.selected_later() else runner.jobs([name])
            done = sum(job.result is not None for job in jobs)
            sizes: List[Optional[int]] = [*dict.fromkeys(job.images for job in jobs)] or [one.planned_images()]
            images = ' or '.join('? images' if size is None else counted(size, 'image') for size in sizes)
            several = runner.image_sets(name)
            lines.append(f'  {name}: {images}{f", {several} image sets" if several > 1 else ""}, {_origin(one)}'
                         + (f'; {done} of {counted(len(jobs), "training")} finished' if done else ''))
            finished += done
            known += jobs
    with problems.collect():
        runner.try_students(known)
    problems.report()
    runs, students, sets = settings.image_sets * settings.trainings, list(runner.configs), len(runner.sets)
    total = runs * len(students) * sets
    split = 'validation' if settings.split == 'val' else 'test'
    return '\n'.join([
        f'Protocol {runner.id}: {task.metric} on {counted(len(runner.test), f"{split} image")}; {_length(runner)}',
        'Training sets:', *lines,
        f'Students: {", ".join(students)}',
        f'Plan: {counted(sets, "training set")} x {counted(len(students), "student")} x {counted(runs, "run")} = '
        f'{counted(total, "training")}; {finished:,} finished, {total - finished:,} left',
        *_measurements(runner), f'Output: {runner.work_dir}'])


def _origin(one: TrainingSet) -> str:
    """Where the images of a training set come from."""
    value: Any = one.values[0]
    if one.kind == 'selector':
        return f'real ones by {type_name(value)}'
    if one.kind == 'source_of':
        return 'the real sources of a distilled set'
    return {'data_root': f'distilled: {", ".join(map(str, one.values))}', 'dataset': f'a {type_name(value)}'}.get(
        one.kind, f'the union of {", ".join(member.name for member in one.members)}')


def _length(runner: ComparisonRunner) -> str:
    """The length of the training of each student."""
    found = {}
    for cfg in runner.configs.values():
        length = counted(*training_length(cfg))
        found[f'{length} of batch size {cfg.train_dataloader.get("batch_size")}'] = True
    return ' or '.join(found)


def _measurements(runner: ComparisonRunner) -> List[str]:
    settings = runner.settings
    found = [f'features by {type_name(settings.encoder)}'] if settings.encoder else []
    found += [f'agreement with a judge, {type_name(settings.judge)}'] if settings.judge else []
    return [f'Then measured: {" and ".join(found)}'] if found else []
