"""Chooses one of several candidates for each image of a run."""
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any, Dict, List, Mapping, Set, Tuple

from mmengine.dist import all_gather_object, barrier, get_rank, get_world_size, is_main_process

from mmdistill.bars import track
from mmdistill.components import check_component
from mmdistill.datasets.manifest import MANIFEST
from mmdistill.errors import DistillError
from mmdistill.files import write_atomic
from mmdistill.plan import Plan, Request, groups_of
from mmdistill.registry import CHOICES, ENCODERS
from mmdistill.tasks.base import Task
from .planning import Planner

HOOK = 'custom_hooks.CandidateChoiceHook'


class ChoiceSettings:
    """The settings of ``CandidateChoiceHook``: configs of the choice and of the encoder whose features it compares."""

    def __init__(self, choice: Mapping[str, Any], encoder: Mapping[str, Any]) -> None:
        self.choice, self.encoder = choice, encoder

    def check(self, task: Task, planner: Planner) -> None:
        """Check everything that can be checked before data and weights are read.

        Raises:
            DistillError: A name or setting is wrong, the choice is for another task, or the plan has no candidates.
        """
        component = check_component(self.choice, CHOICES, f'{HOOK}.choice')
        task.check_annotation(component, f'{HOOK}.choice', CHOICES, 'leave CandidateChoiceHook out')
        encoder: Any = check_component(self.encoder, ENCODERS, f'{HOOK}.encoder')
        if hasattr(encoder, 'check_weights'):
            encoder.check_weights(self.encoder, f'{HOOK}.encoder')
        if planner.candidates < 2:
            raise DistillError(f'{HOOK}: the plan has one candidate for each image: set candidates=5 in ClassPlanHook '
                               'or PrototypeHook, or leave CandidateChoiceHook out')

    def prepare(self, plan: Plan) -> Any:
        """Load the encoder; raise a DistillError if the candidate sets of the plan differ in size."""
        images_of_classes(plan)
        return ENCODERS.build(dict(self.encoder))

    def describe(self) -> Dict[str, Any]:
        """The settings as JSON values, for the manifest."""
        return dict(choice=self.choice, encoder=self.encoder)


def choose(run: Any, encoder: Any) -> Tuple[Plan, Dict[str, Any]]:
    """Choose among the candidates of a run after all of them are written. The classes are divided among the ranks.

    Args:
        run: The run (:class:`~mmdistill.engine.loop.DistillLoop`).
        encoder: An encoder of :mod:`mmdistill.evaluation.encoders`.

    Returns:
        The plan with the chosen images only, in the order of candidate set 0, and JSON values for the manifest: the
        settings, the reported metrics averaged over the classes, and class name → chosen candidate set per image.
    """
    run.logger.info(f'Choosing among {len(run.plan.requests)} candidates')
    images = images_of_classes(run.plan)
    parts = all_gather_object(_choose_mine(run, encoder, images))
    chosen = dict(sorted((label, value) for part in parts for label, value in part.items()))
    kept = {candidates[0].id: candidates[number] for label, (numbers, _) in chosen.items()
            for candidates, number in zip(images[label], numbers)}
    means = {name: round(fmean(report[name] for _, report in chosen.values()), 6)
             for name in next(iter(chosen.values()))[1]}
    run.logger.info('Choice, means over the classes: ' + ', '.join(
        f'{name} {means[f"{name}_first"]:.4g} -> {value:.4g}' if f'{name}_first' in means else f'{name} {value:.4g}'
        for name, value in means.items() if not name.endswith('_first')) + ' (candidate set 0 -> chosen)')
    requests = tuple(kept[request.id] for request in run.plan.requests if request.candidate == 0)
    return replace(run.plan, requests=requests), dict(
        run.composition.choice.describe(), features=encoder.fingerprint(), means=means,
        candidates={run.source.classes[label]: numbers for label, (numbers, _) in chosen.items()})


def _choose_mine(run: Any, encoder: Any, images: Mapping[int, List[List[Request]]]
                 ) -> Dict[int, Tuple[List[int], Dict[str, float]]]:
    """For the classes of this rank: class id → chosen candidates and the metrics that the choice reports.

    A batch of the encoder contains one class only, so that features do not depend on the number of ranks.
    """
    choice, source, root = CHOICES.build(dict(run.composition.choice.choice)), run.source, Path(run.root)
    real = encoder.of_dataset(source.dataset)
    how = dict(cache=Path(run.work_dir, 'real_features'), root=getattr(source.dataset, 'data_root', None))
    mine = sorted(images)[get_rank()::get_world_size()]
    found: Dict[int, Tuple[List[int], Dict[str, float]]] = {}
    for label in track(mine, len(mine), 'classes') if is_main_process() and mine else mine:
        paths = [str(root / run.files(request.id)['image']) for candidates in images[label] for request in candidates]
        made = encoder.features(paths, workers=run.num_workers)
        kept, report = choice(
            made.reshape(len(images[label]), -1, made.shape[1]),
            real.features([source.images[index] for index in source.of_class(label)], workers=run.num_workers, **how),
            label)
        found[label] = [int(one) for one in kept], report
    return found


def images_of_classes(plan: Plan) -> Dict[int, List[List[Request]]]:
    """Group the requests of a plan: class id → images → candidates of the image, set 0 first.

    Raises:
        DistillError: The candidate sets differ in size.
    """
    sets: Dict[int, List[List[Request]]] = {}
    for _, requests in sorted(groups_of(plan.requests).items()):
        sets.setdefault(requests[0].single_class(), []).append(requests)
    count = 1 + max(request.candidate for request in plan.requests)
    for label, found in sets.items():
        if len(found) < count or len({*map(len, found)}) > 1:
            raise DistillError(f'the plan has candidate sets of {", ".join(str(len(one)) for one in found)} images for '
                               f'class {plan.classes[label]!r}, and {count} of one size are needed: restore the plan, '
                               'or begin another run in another --work-dir')
    return {label: [list(candidates) for candidates in zip(*found)] for label, found in sets.items()}


def copy_chosen(run: Any, plan: Plan) -> None:
    """Copy the files of the chosen images to the folder of the set.

    Other files in its folders, such as those of an earlier choice, are removed.
    """
    if is_main_process():
        root, target = Path(run.root), Path(run.final_root)
        names = _files(run, plan)
        _remove_others(run, target, names)
        for name in sorted(names):
            write_atomic(target / name, (root / name).read_bytes())
    barrier()


def _files(run: Any, plan: Plan) -> Set[str]:
    """Names of the files of all images in a plan."""
    return {name for request in plan.requests for name in run.files(request.id).values()}


def _remove_others(run: Any, target: Path, names: Set[str]) -> None:
    """Remove all files but ``names`` from the folders of the set; the manifest that lists them is removed first."""
    folders = sorted({name.partition('/')[0] for name in names})
    found = [path for folder in folders for path in (target / folder).rglob('*') if path.is_file()]
    others = [path for path in found if path.relative_to(target).as_posix() not in names]
    candidates = _files(run, run.plan)
    if foreign := [path for path in others if path.relative_to(target).as_posix() not in candidates]:
        run.logger.warning(f'{len(foreign)} files in {target} that do not belong to the set are removed, the first is '
                           f'{foreign[0]}')
    if others:
        (target / MANIFEST).unlink(missing_ok=True)
    for path in others:
        path.unlink()
