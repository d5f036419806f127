"""The settings of guidance."""
from types import SimpleNamespace
from typing import Any, Dict, List, Mapping, Optional, Sequence

from mmdistill.components import resolve
from mmdistill.config import member_names, type_name
from mmdistill.errors import DistillError
from mmdistill.generation.process import first_step
from mmdistill.guidance import Guidance
from mmdistill.guidance.checks import check_objectives
from mmdistill.registry import GENERATORS, GUIDANCES
from mmdistill.settings import NO_SETTINGS, check_settings, parameters, setting
from mmdistill.tasks.base import Task
from mmdistill.tasks.resources import Resources, declared_needs
from .parts import check_distinct, check_part, check_role

HOOK = 'custom_hooks.GuidedSynthesisHook'


class GuidanceSettings:
    """The settings of ``GuidedSynthesisHook``.

    Args:
        objectives: Configs of registered objectives.
        semantic: Config of a registered guidance that changes the condition; None: the condition is unchanged.
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
            DistillError: A name is unknown or misspelt, a value is out of range, a resource is missing, the window
                contains no step, or a guided step has no signal.
        """
        check_settings(task.resources, self.resources, HOOK, ('run', ))
        check_settings(Guidance, self.guidance, HOOK, ('objectives', ))
        if not self.objectives and not self.semantic:
            raise DistillError(f'{HOOK}.objectives=[]: list at least one objective, or leave the hook out')
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
        known = getattr(component, 'known_process', None)
        if steps and known and (process := known(generator)):
            self.outline().check_signal(process, steps.start, HOOK)

    def build(self, resources: Resources) -> Guidance:
        """Build the guidance; the objectives get the resources that they declare in ``needs``."""
        def built(cfg: Mapping[str, Any]) -> Any:
            return GUIDANCES.build(resources.give(resolve(cfg, GUIDANCES, HOOK), cfg))

        return Guidance([built(cfg) for cfg in self.objectives],
                        semantic=built(self.semantic) if self.semantic else None, **self.guidance)

    def check_generator(self, generator: Any, start_latents: bool) -> None:
        """Raise a DistillError if the window, an objective, or the semantic guidance does not fit the loaded generator.
        Real images are not read.

        Args:
            generator: The generator. If its weights were on the hub, its steps were not known before.
            start_latents: See :meth:`check`.
        """
        if process := getattr(generator, 'process', None):
            first = first_step(len(process), generator.strength) if start_latents else 0
            self.outline().check_signal(process, first, HOOK)
        semantic = [(f'{HOOK}.semantic', self.semantic)] if self.semantic else []
        for where, cfg in [*zip(self._places(), self.objectives), *semantic]:
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
