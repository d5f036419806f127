"""The parts of a run that its hooks define: plan, guidance, label cleaning, choice and weights."""
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Type

from mmengine.hooks import Hook

from mmdistill.errors import DistillError
from mmdistill.tasks.base import Task
from .choosing import ChoiceSettings
from .cleaning import HOOK as CLEANING
from .cleaning import CleaningSettings
from .guiding import HOOK as GUIDANCE
from .guiding import GuidanceSettings
from .planning import Planner
from .weighing import WeightSettings

# Messages for two hooks that define the same part.
_REPEATED = dict(
    planner='two hooks plan the run: keep one of MaskSelectionHook, ClassPlanHook, PrototypeHook',
    guidance='two hooks guide the run: put all objectives into one GuidedSynthesisHook',
    cleaning='two hooks clean the labels: put all cleaners into one LabelCleaningHook',
    choice='two hooks choose among the candidates: keep one CandidateChoiceHook',
    weights='two hooks weigh the images: keep one ImageWeightsHook')


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

    def _set(self, part: str, settings: Any) -> None:
        if getattr(self, part) is not None:
            raise DistillError(f'custom_hooks: {_REPEATED[part]}')
        setattr(self, part, settings)

    def set_planner(self, planner: Planner, key: str = 'custom_hooks') -> None:
        """Set the planner; ``key`` is the config key of its settings. Raise a DistillError if it is already set."""
        self._set('planner', planner)
        self._plan_key = key

    def set_guidance(self, guidance: GuidanceSettings) -> None:
        """Set the guidance; raise a DistillError if it is already set."""
        self._set('guidance', guidance)

    def set_cleaning(self, cleaning: CleaningSettings) -> None:
        """Set the label cleaning; raise a DistillError if it is already set."""
        self._set('cleaning', cleaning)

    def set_choice(self, choice: ChoiceSettings) -> None:
        """Set the choice among candidates; raise a DistillError if it is already set."""
        self._set('choice', choice)

    def set_weights(self, weights: WeightSettings) -> None:
        """Set the image weights; raise a DistillError if they are already set."""
        self._set('weights', weights)

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
            raise DistillError(f"custom_hooks: no hook plans the images: add dict(type='{task.plan_hook}', ...)")
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
        """Raise a DistillError if a network of guidance or cleaning was trained on other classes, or in another order,
        than those of the dataset. Networks whose config and files contain no classes are not checked."""
        for part, where in ((self.guidance, GUIDANCE), (self.cleaning, CLEANING)):
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

        Choice and weights do not change the images, so a finished run can be resumed with another choice or weights.
        """
        cleaning = [self.cleaning.describe()] if self.cleaning else []
        return [self.planner and self.planner.describe(), self.guidance and self.guidance.describe(), *cleaning]

    def settings(self) -> Dict[str, Any]:
        """The settings of :meth:`describe` by their keys in the config."""
        parts = {GUIDANCE: self.guidance, CLEANING: self.cleaning}
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
