"""Planners, which decide which images a run generates."""
import os.path as osp
from itertools import zip_longest
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from mmdistill.components import resolve
from mmdistill.datasets.class_folders import name_key
from mmdistill.errors import DistillError
from mmdistill.plan import Plan, Request, request_seed
from mmdistill.registry import GENERATORS
from mmdistill.selection import ClassClusters
from mmdistill.settings import NonNegativeInt, PositiveInt, parameters, setting, validated
from mmdistill.tasks.clusters import Strategy, class_clusters, encoded_images, few_images

StartLatents = Callable[[Request], np.ndarray]
PROTOTYPES = 'prototypes.safetensors'


def latent_address(request: Request) -> Tuple[int, int]:
    """Class id and index within the class of the latents that a request starts from."""
    label, number = str(request.latent).partition('#')[2].split('/')
    return int(label), int(number)


def check_ids(requests: Sequence[Request], writer: Any) -> None:
    """Raise a DistillError if the writer rejects an id, or if two ids would be the same file."""
    known: Dict[str, str] = {}
    for request in requests:
        writer.done(request.id)
        if (key := name_key(request.id)) in known:
            raise DistillError(f'requests {known[key]!r} and {request.id!r} would be written to the same file: give '
                               'them other ids')
        known[key] = request.id


def check_sources(plan: Plan, source: Any, path: str) -> None:
    """Raise a DistillError if the plan at ``path`` and the real dataset have different classes, or if the real image
    or mask of a request differs from the file at its index in the dataset."""
    advice = 'restore the plan or the data, or begin another run in another --work-dir'
    for label, (planned, found) in enumerate(zip_longest(plan.classes, source.classes)):
        if planned != found:
            raise DistillError(f'{path}: class {label} is {planned!r} in the plan and {found!r} in the dataset: '
                               f'{advice}')
    for request in plan.requests:
        if (index := request.source_index) is None:
            continue
        if index >= len(source):
            raise DistillError(f'{path}: request {request.id} uses image {index}, but the dataset has '
                               f'{len(source)} images: {advice}')
        for what, named, files in (('image', request.source, source.images),
                                   ('mask', request.mask, getattr(source, 'masks', None))):
            if named is not None and files is not None and named != files[index]:
                raise DistillError(f'{path}: request {request.id} uses the {what} {named}, but in the dataset '
                                   f'number {index} is {files[index]}: {advice}')


class Planner:
    """Base class of planners, which create the requests of a run. A hook passes a planner to the loop.

    Attributes:
        annotation: Annotation from which the plan is made: ``'masks'`` or ``'classes'``.
        starts: Whether images start from latents of real images, see :meth:`start_latents`.
        candidates: Number of images generated for each image that is kept.
        prototypes: How the prototypes that images start from are made: ``strategy``, ``crop``, ``batch_size`` and
            ``random_state`` of :func:`~mmdistill.tasks.clusters.class_clusters`. Empty without prototypes.
    """
    annotation: str
    starts = False
    candidates = 1
    prototypes: Mapping[str, Any] = {}

    def check(self, source: Any) -> None:
        """Raise a DistillError if the real dataset does not allow a plan. This check must be fast."""

    def check_settings(self, generator: Mapping[str, Any], method: str) -> None:
        """Raise a DistillError if the plan does not fit the generator's config or the method's name."""

    def requests(self, run: Any) -> List[Request]:
        """Plan a new run. The result is the same on every rank.

        Args:
            run: The run, with ``source``, ``seed``, ``work_dir`` and ``logger``.

        Returns:
            The requests, in the order of generation.
        """
        raise NotImplementedError

    def start_latents(self, run: Any) -> Optional[StartLatents]:
        """Function from a request to its start latents, clean and scaled, float32 (C, h, w); None for pure noise."""
        return None

    def clusters(self, run: Any) -> Optional[ClassClusters]:
        """The clusters whose centres :meth:`start_latents` returns; None if it does not use clusters."""
        return None

    def real_images(self, run: Any) -> int:
        """Number of real images that :meth:`start_latents` encodes."""
        return 0

    def describe(self) -> Dict[str, Any]:
        """JSON values of the settings that affect the plan."""
        raise NotImplementedError

    def hook_settings(self) -> Dict[str, Any]:
        """The settings of :meth:`describe` by their names in the hook."""
        return self.describe()

    def provenance(self, run: Any) -> Dict[str, Any]:
        """JSON values for the plan and the manifest."""
        return self.describe()


class ClassPlanner(Planner):
    """Plans ``ipc`` images per class, the first image of every class first; see
    :class:`~.hooks.composing.ClassPlanHook`.

    Request ids are ``<folder of the class>/<number>``. If there are several candidates for each image, all images of
    candidate set 0 come first; the ids in set n > 0 are ``<folder of the class>/<number>_<n>``.
    """
    annotation = 'classes'

    @validated
    def __init__(self, ipc: PositiveInt, prompt: str = '{}', candidates: PositiveInt = 1) -> None:
        try:
            prompt.format('')
        except (KeyError, IndexError, ValueError):
            raise DistillError(f'prompt={prompt!r}: the only field is {{}}, the label text') from None
        self.ipc, self.prompt, self.candidates = ipc, prompt, candidates

    def latent(self, source: Any, label: int, number: int) -> Optional[str]:
        """Address of the latents that image ``number`` of a class starts from; None for pure noise."""
        return None

    def check(self, source: Any) -> None:
        for label in range(len(source.classes)):
            source.of_class(label)  # raises an error for a class without images

    def requests(self, run: Any) -> List[Request]:
        warn_of_strength(self, run, 'PrototypeHook in place of ClassPlanHook')
        source = run.source
        return [Request(id=(name := f'{source.folders[label]}/{number:05d}' + f'_{candidate}' * (candidate > 0)),
                        seed=request_seed(run.seed, name), classes=(label, ), prompt=self.prompt.format(text.strip()),
                        latent=self.latent(source, label, number), candidate=candidate)
                for candidate in range(self.candidates) for number in range(self.ipc)
                for label, text in enumerate(source.label_texts)]

    def describe(self) -> Dict[str, Any]:
        several = dict(candidates=self.candidates) if self.candidates > 1 else {}
        return dict(ipc=self.ipc, prompt=self.prompt, **several)

    def provenance(self, run: Any) -> Dict[str, Any]:
        return dict(ClassPlanner.describe(self), label_texts=list(run.source.label_texts))


def strength_of(generator: Mapping[str, Any]) -> Optional[float]:
    """Share of the denoising steps that a generator runs from start latents; None if it has no such setting."""
    component = resolve(generator, GENERATORS, 'model.generator')
    return setting(component, generator, 'strength') if 'strength' in parameters(component) else None


def warn_of_strength(planner: Planner, run: Any, remedy: str) -> None:
    """Log a warning if the generator's ``strength`` is set, but images start from pure noise; ``remedy`` changes it."""
    if not planner.starts and (strength := strength_of(run.runner.cfg.model['generator'])) not in (None, 1):
        run.logger.warning(f'model.generator.strength={strength} has no effect, since images start from pure noise: '
                           f'use {remedy}, or remove it')


class PrototypePlanner(ClassPlanner):
    """Plans the images of :class:`ClassPlanner`, each starting from a prototype of its class; see
    :class:`~.hooks.composing.PrototypeHook`."""
    starts = True

    @validated
    def __init__(self, ipc: PositiveInt, prompt: str = '{}', crop: bool = True, batch_size: PositiveInt = 32,
                 random_state: NonNegativeInt = 0, strategy: Strategy = 'kmeans', candidates: PositiveInt = 1) -> None:
        super().__init__(ipc, prompt, candidates)
        self.prototypes = dict(strategy=strategy, crop=crop, batch_size=batch_size, random_state=random_state)

    def latent(self, source: Any, label: int, number: int) -> str:
        return f'{PROTOTYPES}#{label}/{number % min(self.ipc, source.counts[label])}'

    def requests(self, run: Any) -> List[Request]:
        requests = super().requests(run)
        if strength_of(run.runner.cfg.model['generator']) == 1:
            run.logger.warning('PrototypeHook has almost no effect if all denoising steps are run: set '
                               'model.generator.strength, the share of the steps that are run, below 1, such as 0.7')
        if short := few_images(run.source, self.ipc):
            run.logger.warning(f'Fewer than {self.ipc} real images, so prototypes are reused with different seeds: '
                               f'{short}')
        return requests

    def real_images(self, run: Any) -> int:
        if osp.isfile(osp.join(run.work_dir, PROTOTYPES)):
            return 0
        return encoded_images(run.source, self.ipc, self.prototypes['strategy'])

    def clusters(self, run: Any) -> ClassClusters:
        return class_clusters(run, PROTOTYPES, self.ipc, **self.prototypes)

    def start_latents(self, run: Any) -> StartLatents:
        centers = self.clusters(run).centers

        def of_request(request: Request) -> np.ndarray:
            label, number = latent_address(request)
            return centers[label][number]

        return of_request

    def describe(self) -> Dict[str, Any]:
        return dict(super().describe(), prototypes=self.prototypes)

    def hook_settings(self) -> Dict[str, Any]:
        return dict(super().describe(), **self.prototypes)
