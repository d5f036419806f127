"""The parts of a run that its hooks define: plan, guidance, label cleaning, choice and weights."""
from types import SimpleNamespace
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Type

from mmengine.hooks import Hook

from mmdistill.components import resolve
from mmdistill.config import member_names, type_name
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
    """The settings of ``GuidedSynthesisHook``.

    Args:
        objectives: Configs of registered objectives.
        semantic: Config of a registered guidance that changes the condition; None for none.
        settings: Settings of :class:`~mmdistill.guidance.Guidance` and of the task's resources.
    """

    def __init__(self, objectives: Sequence[dict], semantic: Optional[dict], settings: Mapping[str, Any]) -> None:
        self.objectives, self.semantic = list(objectives), semantic
        self.resources = dict(settings)
        self.guidance = {key: self.resources.pop(key) for key in settings if key in parameters(Guidance)}

    def check(self, task: Task, generator: Mapping[str, Any], start_latents: bool) -> None:
        """Check everything that can be checked before data and weights are read.

        Args:
            task: The task of the dataset.
            generator: Config of the generator.
            start_latents: Whether images start from latents of real images instead of pure noise.

        Raises:
            DistillError: A name is unknown or misspelt, a value is out of range, a resource is missing, or the window
                contains no step.
        """
        check_settings(task.resources, self.resources, HOOK, ('run', ))
        check_settings(Guidance, self.guidance, HOOK, ('objectives', ))
        if not self.objectives and not self.semantic:
            raise DistillError(f'{HOOK}.objectives=[]: name at least one objective, or leave the hook out')
        check_distinct(self.objectives, f'{HOOK}.objectives')
        components = list(zip(self._places(), self.objectives))
        components += [(f'{HOOK}.semantic', self.semantic)] if self.semantic else []
        for where, cfg in components:
            check_role(cfg, where, generator)
        needs = dict(check_part(cfg, GUIDANCES, task, where) for where, cfg in components)
        task.resources.check(self.resources, needs, HOOK)
        component = resolve(generator, GENERATORS, 'model.generator')
        steps = component.steps(generator, start_latents) if self.objectives and hasattr(component, 'steps') else None
        Guidance.check(self.guidance, HOOK, steps)
        check_objectives(self._declarations(), setting(Guidance, self.guidance, 'update'), HOOK)

    def build(self, resources: Resources) -> Guidance:
        """Build the guidance; the objectives get the resources that they declare in ``needs``."""
        def built(cfg: Mapping[str, Any]) -> Any:
            return GUIDANCES.build(resources.give(resolve(cfg, GUIDANCES, HOOK), cfg))

        return Guidance([built(cfg) for cfg in self.objectives],
                        semantic=built(self.semantic) if self.semantic else None, **self.guidance)

    def check_generator(self, generator: Any) -> None:
        """Raise a DistillError if an objective does not fit the loaded generator. Real images are not read."""
        for where, cfg in zip(self._places(), self.objectives):
            if check := getattr(resolve(cfg, GUIDANCES, HOOK), 'check_generator', None):
                check({key: value for key, value in cfg.items() if key not in NO_SETTINGS}, generator, where)

    def outline(self) -> Guidance:
        """The guidance with placeholder objectives, for estimating the cost."""
        return Guidance(self._declarations(), semantic=(lambda condition, t: condition) if self.semantic else None,
                        **self.guidance)

    def _places(self) -> List[str]:
        """The keys of the objectives in the config."""
        return [f'{HOOK}.objectives.{name}' for name in member_names(self.objectives)]

    def _declarations(self) -> Dict[str, Any]:
        """Name → placeholder with the declared attributes (``space``, ``greedy``, ...) of each objective."""
        declared = {}
        for cfg in self.objectives:
            objective = resolve(cfg, GUIDANCES, HOOK)
            declared[type_name(cfg)] = SimpleNamespace(
                space=getattr(objective, 'space', None), weight=1.0, greedy=getattr(objective, 'greedy', False),
                joint=cfg.get('joint', getattr(objective, 'joint', False)),
                reads_network=getattr(objective, 'reads_network', False))
        return declared

    def asks_segmentor(self) -> bool:
        """Whether an objective needs the segmentor that the settings define."""
        return bool(self.resources.get('segmentor')) and bool({'segmentor', 'extractor'} & {*self.needs})

    @property
    def needs(self) -> List[str]:
        """The resources that the objectives declare."""
        components = [*self.objectives, *([self.semantic] if self.semantic else [])]
        return [name for cfg in components for name in declared_needs(resolve(cfg, GUIDANCES, HOOK))]

    def describe(self) -> Dict[str, Any]:
        """The settings as JSON values, for the manifest and the hash of the config."""
        return dict(self.guidance, **self.resources, objectives=self.objectives, semantic=self.semantic)


class Composition:
    """The parts of a run. Its hooks set them, in any order.

    Attributes:
        planner: Decides which images are generated.
        guidance: Settings of guidance; None for unguided sampling.
        cleaning: Settings of label cleaning; None for no cleaning.
        choice: Settings of the choice among candidates; None if all images are kept.
        weights: Settings of image weights; None for a set without weights.
    """

    def __init__(self) -> None:
        self.planner: Optional[Planner] = None
        self._plan_key = 'custom_hooks'
        self.guidance: Optional[GuidanceSettings] = None
        self.cleaning: Optional[CleaningSettings] = None
        self.choice: Optional[ChoiceSettings] = None
        self.weights: Optional[WeightSettings] = None

    def set_planner(self, planner: Planner, key: str = 'custom_hooks') -> None:
        """Set the planner, whose settings have this key in the config; raise a DistillError if it is already set."""
        if self.planner is not None:
            raise DistillError('custom_hooks: two hooks plan the run: keep one of MaskSelectionHook, ClassPlanHook, '
                               'PrototypeHook')
        self.planner, self._plan_key = planner, key

    def set_guidance(self, guidance: GuidanceSettings) -> None:
        """Set the guidance; raise a DistillError if it is already set."""
        if self.guidance is not None:
            raise DistillError('custom_hooks: two hooks guide the run: put all objectives into one GuidedSynthesisHook')
        self.guidance = guidance

    def set_cleaning(self, cleaning: CleaningSettings) -> None:
        """Set the label cleaning; raise a DistillError if it is already set."""
        if self.cleaning is not None:
            raise DistillError('custom_hooks: two hooks clean the labels: put all cleaners into one LabelCleaningHook')
        self.cleaning = cleaning

    def set_choice(self, choice: ChoiceSettings) -> None:
        """Set the choice among candidates; raise a DistillError if it is already set."""
        if self.choice is not None:
            raise DistillError('custom_hooks: two hooks choose among the candidates: keep one CandidateChoiceHook')
        self.choice = choice

    def set_weights(self, weights: WeightSettings) -> None:
        """Set the image weights; raise a DistillError if they are already set."""
        if self.weights is not None:
            raise DistillError('custom_hooks: two hooks weigh the images: keep one ImageWeightsHook')
        self.weights = weights

    def check(self, task: Task, generator: Mapping[str, Any], writer: Callable) -> Planner:
        """Check that the parts fit the task, the generator, the writer and each other.

        Args:
            task: The task of the dataset.
            generator: Config of the generator.
            writer: Class of the writer.

        Returns:
            The planner.

        Raises:
            DistillError: No hook makes a plan, the plan is for another task, candidates are planned but no hook chooses
                among them, or ``check`` of one of the parts fails.
        """
        if self.planner is None:
            raise DistillError(f"custom_hooks: no hook makes a plan: add dict(type='{task.plan_hook}', ...)")
        if self.planner.annotation != task.annotation:
            raise DistillError(f'custom_hooks: the plan is made from {self.planner.annotation}, but the dataset is for '
                               f'{task.name}: use {task.plan_hook}, or another dataset')
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
        """Raise a DistillError if a network of guidance or cleaning was trained on other classes than the dataset has,
        or in another order, as far as its config and files tell."""
        for part, where in ((self.guidance, HOOK), (self.cleaning, CLEANING)):
            if part is not None:
                task.resources.check_classes(part.resources, classes, where)

    def real_images(self, task: Task, run: Any) -> Dict[str, int]:
        """Number of real images that all parts together read, see
        :meth:`~mmdistill.tasks.resources.Resources.real_images`."""
        totals = dict(encoded=self.planner.real_images(run) if self.planner else 0, measured=0)
        totals['encoded'] += self.weights.real_images(run) if self.weights else 0
        for part in (self.guidance, self.cleaning):
            found = {} if part is None else task.resources.real_images(part.resources, part.needs, run)
            totals = {key: value + found.get(key, 0) for key, value in totals.items()}
        return totals

    def describe(self) -> List[Any]:
        """JSON values of all settings that affect the generated images: planner, guidance and cleaning.

        Choice and weights do not change the images, so a finished run can be resumed with other ones.
        """
        cleaning = [self.cleaning.describe()] if self.cleaning else []
        return [self.planner and self.planner.describe(), self.guidance and self.guidance.describe(), *cleaning]

    def settings(self) -> Dict[str, Any]:
        """The settings of :meth:`describe` by their keys in the config."""
        parts = {HOOK: self.guidance, CLEANING: self.cleaning}
        plan = {self._plan_key: self.planner.hook_settings()} if self.planner else {}
        return {**plan, **{key: part.describe() for key, part in parts.items() if part}}


class ComposingHook(Hook):
    """Base of the hooks that define a part of a distillation run."""
    priority = 'HIGH'

    def compose(self, composition: Composition) -> None:
        """Set the part that this hook defines."""
        raise NotImplementedError

    def before_test(self, runner: Any) -> None:
        """Set the part in the loop."""
        self.compose(runner.test_loop.composition)

    def before_train(self, runner: Any) -> None:
        """Raise a DistillError: in a training, most of these hooks have no effect."""
        raise DistillError(f'{type(self).__name__} is for distillation and has no effect in a training: leave it out')


class PlanHook(ComposingHook):
    """Base of the hooks that plan a run. Their settings are those of the class ``planner``."""
    planner: Type[Planner]

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    @classmethod
    def forwards_to(cls) -> List[type]:
        """The class that takes ``**settings``."""
        return [cls.planner]

    def compose(self, composition: Composition) -> None:
        composition.set_planner(self.planner(**self.settings), f'custom_hooks.{type(self).__name__}')
