"""The runner's model in a distillation run: a frozen generator and what guides it."""
from typing import Any, Dict, Iterator, Mapping, Optional, Sequence

import numpy as np
from mmengine.device import get_device
from mmengine.model import BaseModel

from mmdistill.components import check_component, resolve
from mmdistill.generation import Synthesis
from mmdistill.guidance import Guidance
from mmdistill.plan import Request
from mmdistill.registry import GENERATORS, MODEL_WRAPPERS, MODELS


# Registered as a wrapper too: a runner wraps no wrapper, and DistributedDataParallel refuses a model that has nothing
# to train. Ranks make different images and have nothing to synchronise.
@MODEL_WRAPPERS.register_module()
@MODELS.register_module()
class Distiller(BaseModel):
    """Makes the images of requests.

    The generator is built when it is first needed, so that a plan is made, or refused, before weights are read.

    Args:
        generator: Config of a registered generator. The values that it declares in ``needs`` and the config does not
            set are those of the dataset's metainfo.
    """

    def __init__(self, generator: dict) -> None:
        super().__init__()
        self.generator_cfg = generator
        self._guidance: Optional[Guidance] = None
        self._metainfo: Mapping[str, Any] = {}
        self._generator: Optional[Any] = None

    @classmethod
    def check(cls, settings: Mapping[str, Any], where: str) -> None:
        """Check the generator of a config."""
        generator = resolve(settings['generator'], GENERATORS, f'{where}.generator')
        check_component(settings['generator'], GENERATORS, f'{where}.generator', getattr(generator, 'needs', ()))

    @property
    def module(self) -> 'Distiller':
        """Itself: what a wrapper's ``module`` would be."""
        return self

    @property
    def generator(self) -> Any:
        """The generator, on the device of the run."""
        if self._generator is None:
            needs = getattr(resolve(self.generator_cfg, GENERATORS, 'model.generator'), 'needs', ())
            given = {key: self._metainfo.get(key) for key in needs}
            self._generator = GENERATORS.build({**given, **self.generator_cfg}).to(get_device())
        return self._generator

    def set_metainfo(self, metainfo: Mapping[str, Any]) -> None:
        """Take the metainfo of the real dataset."""
        self._metainfo = metainfo

    def set_guidance(self, guidance: Optional[Guidance]) -> None:
        """Take what steers all images that follow; None for plain sampling."""
        self._guidance = guidance

    def forward(self,
                requests: Sequence[Request],
                masks: Optional[Sequence[np.ndarray]] = None,
                latents: Optional[Sequence[np.ndarray]] = None,
                spare: Optional[Sequence[Request]] = None) -> Iterator[Synthesis]:
        """Images of requests, as they are made; none depends on the others of the batch."""
        return self.generator.synthesize(requests, masks, self._guidance, latents, spare)

    def test_step(self, data: Dict[str, Any]) -> Iterator[Synthesis]:
        """:meth:`forward` of ``dict(requests=..., masks=..., latents=..., spare=...)``."""
        return self(**data)
