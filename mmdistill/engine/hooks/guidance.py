"""Guidance of the generator, composed by config."""
from typing import Any, List, Optional, Sequence

from mmdistill.engine.composition import ComposingHook, Composition, GuidanceSettings
from mmdistill.guidance import Guidance
from mmdistill.registry import HOOKS
from mmdistill.tasks.base import all_tasks


@HOOKS.register_module()
class GuidedSynthesisHook(ComposingHook):
    """Guides the generator of a distillation run.

    Objectives declare on their class, in ``needs``, what they are given besides their own settings.

    Args:
        objectives: Configs of registered guidances.
        semantic: Config of a registered guidance that changes the condition by timestep.
        **settings: ``window``, ``scale``, ``through``, ``update``, ``norm``, ``step``, ``every`` of
            :class:`mmdistill.guidance.Guidance`, and what the task's resources are made from: ``segmentor`` of
            :class:`~mmdistill.tasks.statistics.MaskResources`, ``support`` of
            :class:`~mmdistill.tasks.clusters.ClassResources`.

    Examples:
        >>> dict(type='GuidedSynthesisHook',
        >>>      segmentor=dict(type='SegmentorGuide', config='…', checkpoint='…', layers=['backbone']),
        >>>      objectives=[dict(type='SegmentationConsistency'), dict(type='ClassFeatureMatching', weight=0.1)],
        >>>      window=(0.25, 1.0), scale=3.0)
        >>> dict(type='GuidedSynthesisHook', semantic=dict(type='SemanticMatching'),
        >>>      objectives=[dict(type='TransportMatching')], support=dict(n_clusters=10), window=(0.08, 0.4))
    """

    def __init__(self, objectives: Sequence[dict] = (), semantic: Optional[dict] = None, **settings: Any) -> None:
        self.guidance = GuidanceSettings(objectives, semantic, settings)

    @classmethod
    def forwards_to(cls) -> List[type]:
        """The classes that ``**settings`` are for."""
        return [Guidance, *(task.resources for task in all_tasks())]

    def compose(self, composition: Composition) -> None:
        composition.set_guidance(self.guidance)
