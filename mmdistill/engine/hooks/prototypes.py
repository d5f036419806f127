"""The plan of a classification run, and the prototypes that its images start from."""
from typing import Optional

import numpy as np
from mmengine.runner import Runner

from mmdistill.datasets import DatasetLabels
from mmdistill.errors import DistillError
from mmdistill.plan import Plan, Request, request_seed
from mmdistill.registry import HOOKS
from mmdistill.selection import ClassClusters
from .clusters import class_clusters
from .plan import PlanHook

PROTOTYPES = 'prototypes.safetensors'


@HOOKS.register_module()
class ClassPlanHook(PlanHook):
    """Plans ``ipc`` images of each class, from pure noise: plain sampling of a class-conditional generator.

    The first image of every class comes before the second of any, so that an interrupted run is balanced.

    Args:
        ipc: Images per class.
        prompt: Template of the prompts; ``{}`` becomes the class's label text. Generators that are told the class do
            not read it.

    Raises:
        DistillError: ``ipc`` is not positive, or a template with other fields.
    """

    def __init__(self, ipc: int, prompt: str = '{}') -> None:
        if not isinstance(ipc, int) or ipc < 1:
            raise DistillError(f'{type(self).__name__}: ipc {ipc} is out of range: it is a whole number of at least 1')
        try:
            prompt.format('')
        except (KeyError, IndexError, ValueError):
            raise DistillError(f'prompt={prompt!r}: the only field is {{}}, the label text') from None
        self.ipc, self.prompt = ipc, prompt

    def latent(self, source: DatasetLabels, label: int, number: int) -> Optional[str]:
        """Address of the start latents of image ``number`` of a class; None for pure noise."""
        return None

    def make_plan(self, runner: Runner) -> Plan:
        """``ipc`` requests a class, called ``<folder of the class>/<number>``.

        Raises:
            DistillError: The data set has no classes, one of them has no image, or a label text is missing.
        """
        loop = runner.test_loop
        source = loop.source
        if not isinstance(source, DatasetLabels):
            raise DistillError(f'{type(self).__name__} plans images of classes, but {type(loop.dataset).__name__} has '
                               'masks: take MaskSelectionHook, or a data set of mmpretrain')
        for label in range(len(source.classes)):
            source.of_class(label)
        requests = [
            Request(
                id=(name := f'{source.folders[label]}/{number:05d}'),
                seed=request_seed(loop.seed, name),
                classes=(label, ),
                prompt=self.prompt.format(text),
                latent=self.latent(source, label, number)) for number in range(self.ipc)
            for label, text in enumerate(source.label_texts)
        ]
        return self.plan_of(loop, requests, ipc=self.ipc, prompt=self.prompt, label_texts=list(source.label_texts))


@HOOKS.register_module()
class PrototypeHook(ClassPlanHook):
    """Plans ``ipc`` images of each class, each started from a prototype of its own (D4M, arXiv 2407.15138).

    The prototypes are the centres of k-means in each class, over the latents of all its real images by the generator's
    own autoencoder. They go to ``{work_dir}/prototypes.safetensors`` (:class:`~mmdistill.selection.ClassClusters`,
    with counts and inertia), keyed by data and weights; a run that is broken off keeps the classes that it finished.
    Every rank encodes its share of the classes, and the result does not depend on the number of ranks.

    A class with fewer images than ``ipc`` has one prototype an image; they are taken in turn, with other seeds. The
    mean of the autoencoder's Gaussian is clustered, where the released code draws from it.

    Args:
        ipc, prompt: See :class:`ClassPlanHook`.
        crop: Whether real images are scaled to cover the generator's size and cropped at the centre, or squashed to it
            as in the released code.
        batch_size: Real images that the autoencoder sees at once.
        random_state: Seed of k-means. The run's own seed draws the noise alone.

    Example:
        >>> custom_hooks = [dict(type='PrototypeHook', ipc=10)]
    """

    def __init__(self, ipc: int, prompt: str = '{}', crop: bool = True, batch_size: int = 32,
                 random_state: int = 0) -> None:
        super().__init__(ipc, prompt)
        self.settings = dict(crop=crop, batch_size=batch_size, random_state=random_state)

    def latent(self, source: DatasetLabels, label: int, number: int) -> str:
        """See :class:`ClassPlanHook`."""
        return f'{PROTOTYPES}#{label}/{number % min(self.ipc, source.counts[label])}'

    def before_test(self, runner: Runner) -> None:
        """Plan, then prototypes; a dry run ends with the plan."""
        super().before_test(runner)
        loop = runner.test_loop
        short = {name: count for name, count in zip(loop.source.classes, loop.source.counts) if count < self.ipc}
        if short:
            runner.logger.warning(f'Fewer than {self.ipc} real images, so prototypes are used more than once, with '
                                  'other seeds: ' + ', '.join(f'{name} {count}' for name, count in short.items()))
        if not loop.dry_run:
            clusters = class_clusters(runner, PROTOTYPES, self.ipc, **self.settings)
            loop.start_latent = lambda request: _at(clusters, request)


def _at(clusters: ClassClusters, request: Request) -> np.ndarray:
    """The start latents that a request's address names."""
    label, number = map(int, request.latent.partition('#')[2].split('/'))
    return clusters.centers[label][number]
