"""The runner's model in a distillation run: a frozen generator and its guidance."""
from typing import Any, Dict, Iterator, Mapping, Optional, Sequence

from mmengine.device import get_device
from mmengine.model import BaseModel

from mmdistill.components import check_component, resolve
from mmdistill.generation.batching import Arrays, Synthesis
from mmdistill.guidance import Guidance
from mmdistill.plan import Request
from mmdistill.registry import GENERATORS, MODEL_WRAPPERS, MODELS


# Also registered as a model wrapper, so that the runner does not wrap it: DistributedDataParallel rejects a model
# without trainable parameters. Ranks generate different images and have nothing to synchronise.
@MODEL_WRAPPERS.register_module()
@MODELS.register_module()
class Distiller(BaseModel):
    """Generates the images of requests.

    The generator is built on first use, so that the plan is made and checked before weights are loaded.

    Args:
        generator: Config of a registered generator. Settings that it lists in ``needs`` and that are not in the config
            are taken from the dataset's metainfo.

    Attributes:
        guidance: Guidance of all following images; None for plain sampling.
        metainfo: Metainfo of the real dataset.

    Example:
        >>> model = dict(type='Distiller', generator=dict(
        ...     type='ClassConditionalGenerator', weights='mmdistill://objects', num_steps=20))
    """

    def __init__(self, generator: dict) -> None:
        super().__init__()
        self._config = generator
        self._generator: Optional[Any] = None
        self.guidance: Optional[Guidance] = None
        self.metainfo: Mapping[str, Any] = {}

    @classmethod
    def check(cls, settings: Mapping[str, Any], where: str) -> None:
        """Check the generator of a config."""
        generator = resolve(settings['generator'], GENERATORS, f'{where}.generator')
        check_component(settings['generator'], GENERATORS, f'{where}.generator', getattr(generator, 'needs', ()))

    @property
    def module(self) -> 'Distiller':
        """The model itself, as the ``module`` of a wrapper."""
        return self

    @property
    def generator(self) -> Any:
        """The generator, on the run's device; it is built on first use."""
        if self._generator is None:
            self._generator = GENERATORS.build(self.settings).to(get_device())
        return self._generator

    @property
    def settings(self) -> Dict[str, Any]:
        """The generator's config, with the settings that are taken from the dataset."""
        needs = getattr(resolve(self._config, GENERATORS, 'model.generator'), 'needs', ())
        return {**{key: self.metainfo.get(key) for key in needs}, **self._config}

    def take_metainfo(self, metainfo: Mapping[str, Any]) -> None:
        """Set the metainfo of the real dataset; raises a DistillError if the generator's settings do not fit it."""
        self.metainfo = metainfo
        if check := getattr(resolve(self._config, GENERATORS, 'model.generator'), 'check', None):
            check(self.settings, 'model.generator')

    def forward(self, requests: Sequence[Request], masks: Arrays = None, latents: Arrays = None,
                upcoming: Optional[Sequence[Request]] = None) -> Iterator[Synthesis]:
        """Yield the images of requests; see :meth:`mmdistill.generation.generators.LatentGenerator.synthesize`."""
        return self.generator.synthesize(requests, masks, self.guidance, latents, upcoming)

    def test_step(self, data: Dict[str, Any]) -> Iterator[Synthesis]:
        """:meth:`forward` of ``dict(requests=..., masks=..., latents=..., upcoming=...)``."""
        return self(**data)
