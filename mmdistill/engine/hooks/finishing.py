"""Hooks that process the finished images of a distillation run: choice among candidates, image weights."""
from typing import Optional

from mmdistill.engine.choosing import ChoiceSettings
from mmdistill.engine.composition import ComposingHook, Composition
from mmdistill.engine.weighing import WeightSettings
from mmdistill.registry import HOOKS
from mmdistill.settings import PositiveInt, validated


@HOOKS.register_module()
class CandidateChoiceHook(ComposingHook):
    """Chooses one of several candidates for each image: S³ of IMS3 (CVPR 2026), for all classification methods.

    ``candidates`` of ``ClassPlanHook`` or ``PrototypeHook`` sets the number of candidates for each image. All of them
    are written to ``{work_dir}/candidates`` and kept. After the last one, the chosen images are copied to
    ``{work_dir}/distilled``. Log and manifest (``extra.choice``) contain the objective before and after the choice, and
    the candidate set of each image. ``--resume`` with another choice or encoder chooses again among the candidates.

    Args:
        encoder: Config of a registered encoder (:mod:`mmdistill.evaluation.encoders`), whose features are compared.
            The paper uses a frozen ResNet-18 trained on ImageNet.
        choice: Config of a registered choice; default: :class:`~mmdistill.choice.CoverageChoice`.

    Example:
        >>> custom_hooks = [dict(type='ClassPlanHook', ipc=10, candidates=5),
        >>>                 dict(type='CandidateChoiceHook',
        >>>                      encoder=dict(type='BackboneEncoder', config='resnet18_8xb32_in1k'))]
    """

    @validated
    def __init__(self, encoder: dict, choice: Optional[dict] = None) -> None:
        self.choice = ChoiceSettings({'type': 'CoverageChoice', **(choice or {})}, encoder)

    def compose(self, composition: Composition) -> None:
        composition.set_choice(self.choice)


@HOOKS.register_module()
class ImageWeightsHook(ComposingHook):
    """Gives each image of a set a weight for the loss of a student: DDOQ (ICLR 2026).

    The manifest contains the ``weight`` of each image. The weights of a class sum to its number of images. A comparison
    uses them with ``training_sets = dict(name=dict(data_root=..., weights=True))``, a training of mmpretrain with
    ``mmdistill.DistilledDataset(weights=True)`` and :class:`~mmdistill.models.losses.WeightedLoss`. ``--resume`` adds
    weights to a finished run.

    Args:
        weights: Config of registered weights; default: :class:`~mmdistill.choice.ClusterShares` of the prototypes.
        crop, batch_size: How real images are encoded, if their latents are compared
            (:class:`~mmdistill.tasks.latents.RealLatents`). By default, ``crop`` is that of ``PrototypeHook``, or True.

    Example:
        >>> custom_hooks = [dict(type='PrototypeHook', ipc=10), dict(type='ImageWeightsHook')]
    """

    @validated
    def __init__(self, weights: Optional[dict] = None, crop: Optional[bool] = None,
                 batch_size: PositiveInt = 32) -> None:
        self.weights = WeightSettings({'type': 'ClusterShares', **(weights or {})}, crop, batch_size)

    def compose(self, composition: Composition) -> None:
        composition.set_weights(self.weights)
