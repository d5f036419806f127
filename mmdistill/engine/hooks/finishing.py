"""Hooks that decide what becomes of the finished images of a distillation run."""
from typing import Optional

from mmdistill.engine.choosing import ChoiceSettings
from mmdistill.engine.composition import ComposingHook, Composition
from mmdistill.engine.weighing import WeightSettings
from mmdistill.registry import HOOKS
from mmdistill.settings import PositiveInt, validated


@HOOKS.register_module()
class CandidateChoiceHook(ComposingHook):
    """Keeps one of several candidates for each image: S³ of IMS3 (CVPR 2026), for every method of classification.

    The plan has ``candidates`` for each image (a setting of ``ClassPlanHook`` and ``PrototypeHook``), each with its own
    random numbers. All are written to ``{work_dir}/candidates`` and kept; when they are all there, the chosen ones are
    copied to ``{work_dir}/distilled``. Log and manifest (``extra.choice``) have the objective before and after, and the
    candidate set of each image. ``--resume`` with another choice or encoder chooses again among the same candidates.

    Args:
        encoder: Config of a registered encoder (:mod:`mmdistill.evaluation.encoders`), whose features are compared.
            Published is a frozen ResNet-18, trained on ImageNet.
        choice: Config of a registered choice; :class:`~mmdistill.choice.CoverageChoice` by default.

    Example:
        >>> custom_hooks = [dict(type='ClassPlanHook', ipc=10, candidates=5),
        >>>                 dict(type='CandidateChoiceHook',
        >>>                      encoder=dict(type='BackboneEncoder', config='resnet18_8xb32_in1k'))]
    """

    @validated
    def __init__(self, encoder: dict, choice: Optional[dict] = None) -> None:
        self.choice = ChoiceSettings(choice or dict(type='CoverageChoice'), encoder)

    def compose(self, composition: Composition) -> None:
        composition.set_choice(self.choice)


@HOOKS.register_module()
class ImageWeightsHook(ComposingHook):
    """Gives each image of a set a weight, which students may use: DDOQ (ICLR 2026).

    The weights are in the manifest (``weight`` of each image), and those of a class sum to its number of images. A
    comparison uses them where it says ``training_sets = dict(name=dict(data_root=..., weights=True))``, a training of
    mmpretrain by ``mmdistill.DistilledDataset(weights=True)`` and :class:`~mmdistill.models.losses.WeightedLoss`.
    ``--resume`` adds weights to a finished run.

    Args:
        weights: Config of registered weights; :class:`~mmdistill.choice.ClusterShares` by default, of prototypes.
        crop, batch_size: How real images are encoded where their latents are compared
            (:class:`~mmdistill.tasks.latents.RealLatents`).

    Example:
        >>> custom_hooks = [dict(type='PrototypeHook', ipc=10), dict(type='ImageWeightsHook')]
    """

    @validated
    def __init__(self, weights: Optional[dict] = None, crop: bool = True, batch_size: PositiveInt = 32) -> None:
        self.weights = WeightSettings(weights or dict(type='ClusterShares'), crop, batch_size)

    def compose(self, composition: Composition) -> None:
        composition.set_weights(self.weights)
