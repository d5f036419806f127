"""What the hooks of a run decide between them: its plan, its guidance, and what becomes of its images."""
from types import SimpleNamespace
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Type

from mmengine.hooks import Hook

from mmdistill.components import resolve
from mmdistill.config import type_name
from mmdistill.errors import DistillError
from mmdistill.guidance import Guidance
from mmdistill.guidance.base import check_objectives
from mmdistill.registry import GENERATORS, GUIDANCES
from mmdistill.settings import NO_SETTINGS, check_settings, parameters, setting
from mmdistill.tasks.base import Task
from mmdistill.tasks.resources import Resources, declared_needs
from .choosing import ChoiceSettings
from .cleaning import HOOK as CLEANING
from .cleaning import CleaningSettings
from .parts import check_distinct, check_part, check_role
from .planning import Planner
from .weighing import WeightSettings

HOOK = 'custom_hooks.GuidedSynthesisHook'


class GuidanceSettings:
    """Configs of objectives, and how their gradient is applied: the settings of ``GuidedSynthesisHook``."""

    def __init__(self, objectives: Sequence[dict], semantic: Optional[dict], settings: Mapping[str, Any]) -> None:
        self.objectives, self.semantic = list(objectives), semantic
        self.resources = dict(settings)
        self.guidance = {key: self.resources.pop(key) for key in settings if key in parameters(Guidance)}

    def check(self, task: Task, generator: Mapping[str, Any], start_latents: bool) -> None:
        """Check everything that is known before data and weights are read; ``start_latents``: where images begin.

        Raises:
            DistillError: An unknown or misspelt name, a value out of range, a resource that is not there, or a window
                that guides no step.
        """
        check_settings(task.resources, self.resources, HOOK, ('run', ))
        check_settings(Guidance, self.guidance, HOOK, ('objectives', ))
        if not self.objectives and not self.semantic:
            raise DistillError(f'{HOOK}.objectives=[]: name at least one objective, or leave the hook out')
        check_distinct(self.objectives, f'{HOOK}.objectives')
        components = [(f'{HOOK}.objectives.{i}', cfg) for i, cfg in enumerate(self.objectives)]
        components += [(f'{HOOK}.semantic', self.semantic)] if self.semantic else []
        for where, cfg in components:
            check_role(cfg, where, generator)
        needs = dict(check_part(cfg, GUIDANCES, task, where) for where, cfg in components)
        task.resources.check(self.resources, needs, HOOK)
        component = resolve(generator, GENERATORS, 'model.generator')
        steps = component.steps(generator, start_latents) if self.objectives and hasattr(component, 'steps') else None
        Guidance.check(self.guidance, HOOK, steps)
        check_objectives(self._stands(), setting(Guidance, self.guidance, 'update'), HOOK)

    def build(self, resources: Resources) -> Guidance:
        """The guidance of a run, whose objectives get what the ``resources`` of its task make."""
        def built(cfg: Mapping[str, Any]) -> Any:
            return GUIDANCES.build(resources.give(resolve(cfg, GUIDANCES, HOOK), cfg))

        return Guidance([built(cfg) for cfg in self.objectives],
                        semantic=built(self.semantic) if self.semantic else None, **self.guidance)

    def check_generator(self, generator: Any) -> None:
        """Raise a DistillError where an objective does not fit the loaded generator, before real images are read."""
        for i, cfg in enumerate(self.objectives):
            if check := getattr(resolve(cfg, GUIDANCES, HOOK), 'check_generator', None):
                check({key: value for key, value in cfg.items() if key not in NO_SETTINGS}, generator,
                      f'{HOOK}.objectives.{i}')

    def outline(self) -> Guidance:
        """The guidance with objectives that say what they are alone, for counting."""
        return Guidance(self._stands(), semantic=(lambda condition, t: condition) if self.semantic else None,
                        **self.guidance)

    def _stands(self) -> Dict[str, Any]:
        """What the objectives say of themselves, by name."""
        stands = {}
        for cfg in self.objectives:
            objective = resolve(cfg, GUIDANCES, HOOK)
            stands[type_name(cfg)] = SimpleNamespace(
                space=getattr(objective, 'space', None), weight=1.0, greedy=getattr(objective, 'greedy', False),
                joint=cfg.get('joint', getattr(objective, 'joint', False)),
                reads_network=getattr(objective, 'reads_network', False))
        return stands

    def asks_segmentor(self) -> bool:
        """Whether an objective needs the segmentor of the settings."""
        return bool(self.resources.get('segmentor')) and bool({'segmentor', 'extractor'} & {*self.needs})

    @property
    def needs(self) -> List[str]:
        """The resources that the objectives declare."""
        components = [*self.objectives, *([self.semantic] if self.semantic else [])]
        return [name for cfg in components for name in declared_needs(resolve(cfg, GUIDANCES, HOOK))]

    def describe(self) -> Dict[str, Any]:
        """JSON values for the manifest and the config's hash."""
        return dict(self.guidance, **self.resources, objectives=self.objectives, semantic=self.semantic)


class Composition:
    """The parts of a run as its hooks hand them over, in any order."""

    def __init__(self) -> None:
        self.planner: Optional[Planner] = None  # decides which images are made
        self.guidance: Optional[GuidanceSettings] = None  # decides what steers them; None for plain sampling
        self.cleaning: Optional[CleaningSettings] = None  # decides which pixels lose their label; None for no cleaning
        self.choice: Optional[ChoiceSettings] = None  # decides which candidates are kept; None where each is
        self.weights: Optional[WeightSettings] = None  # decides what an image weighs; None for sets without weights

    def set_planner(self, planner: Planner) -> None:
        """Take the run's planner; a DistillError where there is one already."""
        if self.planner is not None:
            raise DistillError('custom_hooks: two hooks plan the run: keep one of MaskSelectionHook, ClassPlanHook, '
                               'PrototypeHook')
        self.planner = planner

    def set_guidance(self, guidance: GuidanceSettings) -> None:
        """Take the run's guidance; a DistillError where there is one already."""
        if self.guidance is not None:
            raise DistillError('custom_hooks: two hooks guide the run: put all objectives into one GuidedSynthesisHook')
        self.guidance = guidance

    def set_cleaning(self, cleaning: CleaningSettings) -> None:
        """Take what cleans the run's labels; a DistillError where there is something already."""
        if self.cleaning is not None:
            raise DistillError('custom_hooks: two hooks clean the labels: put all cleaners into one LabelCleaningHook')
        self.cleaning = cleaning

    def set_choice(self, choice: ChoiceSettings) -> None:
        """Take what chooses among candidates; a DistillError where there is something already."""
        if self.choice is not None:
            raise DistillError('custom_hooks: two hooks choose among the candidates: keep one CandidateChoiceHook')
        self.choice = choice

    def set_weights(self, weights: WeightSettings) -> None:
        """Take what weighs the images; a DistillError where there is something already."""
        if self.weights is not None:
            raise DistillError('custom_hooks: two hooks weigh the images: keep one ImageWeightsHook')
        self.weights = weights

    def check(self, task: Task, generator: Mapping[str, Any], writer: Callable) -> Planner:
        """Check that the parts fit the task, the ``generator``'s settings, the class of the writer and each other; the
        planner.

        Raises:
            DistillError: No hook plans, or one for another task, candidates and no hook that chooses among them,
                or see ``check`` of the settings of each part.
        """
        if self.planner is None:
            raise DistillError(f"custom_hooks: no hook makes a plan: add dict(type='{task.plan_hook}', ...)")
        if self.planner.annotation != task.annotation:
            raise DistillError(f'custom_hooks: the plan is one of {self.planner.annotation}, but the dataset is one of '
                               f'{task.name}: take {task.plan_hook}, or another dataset')
        if self.guidance is not None:
            self.guidance.check(task, generator, self.planner.starts)
        if self.cleaning is not None:
            self.cleaning.check(task, self.planner, writer)
        if self.choice is not None:
            self.choice.check(task, self.planner)
        elif self.planner.candidates > 1:
            raise DistillError(f'custom_hooks: {self.planner.candidates} candidates are planned for each image, and no '
                               "hook chooses among them: add dict(type='CandidateChoiceHook', ...), or leave "
                               'candidates out')
        if self.weights is not None:
            self.weights.check(task, self.planner)
        return self.planner

    def check_classes(self, task: Task, classes: Sequence[str]) -> None:
        """Raise a DistillError where networks of guidance or cleaning were trained on other classes, or in another
        order, than the dataset's, as far as their configs and files say."""
        for part, where in ((self.guidance, HOOK), (self.cleaning, CLEANING)):
            if part is not None:
                task.resources.check_classes(part.resources, classes, where)

    def real_images(self, task: Task, run: Any) -> Dict[str, int]:
        """See :meth:`~mmdistill.tasks.resources.Resources.real_images`: of all parts together."""
        totals = dict(encoded=self.planner.real_images(run) if self.planner else 0, measured=0)
        totals['encoded'] += self.weights.real_images(run) if self.weights else 0
        for part in (self.guidance, self.cleaning):
            found = {} if part is None else task.resources.real_images(part.resources, part.needs, run)
            totals = {key: value + found.get(key, 0) for key, value in totals.items()}
        return totals

    def describe(self) -> List[Any]:
        """JSON values: all that the hooks decide of the images as they are made.

        Another choice or other weights are for the same images: a finished run may be continued with them."""
        cleaning = [self.cleaning.describe()] if self.cleaning else []
        return [self.planner and self.planner.describe(), self.guidance and self.guidance.describe(), *cleaning]


class ComposingHook(Hook):
    """A hook that decides a part of a distillation run."""
    priority = 'HIGH'

    def compose(self, composition: Composition) -> None:
        """Hand over the part."""
        raise NotImplementedError

    def before_test(self, runner: Any) -> None:
        """Hand over the part to the loop."""
        self.compose(runner.test_loop.composition)

    def before_train(self, runner: Any) -> None:
        """Refuse a training, for which most of these hooks have nothing to do."""
        raise DistillError(f'{type(self).__name__} is of a distillation and does nothing in a training: leave it out')


class PlanHook(ComposingHook):
    """A hook that plans a run by a ``planner``, a class whose settings are the hook's."""
    planner: Type[Planner]

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    @classmethod
    def forwards_to(cls) -> List[type]:
        """The class that ``**settings`` are for."""
        return [cls.planner]

    def compose(self, composition: Composition) -> None:
        composition.set_planner(self.planner(**self.settings))
