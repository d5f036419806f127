"""The runner's model in a distillation run: a frozen generator and what guides it."""
import inspect
from typing import Any, Dict, Iterator, Optional, Sequence

import numpy as np
from mmengine.device import get_device
from mmengine.model import BaseModel

from mmdistill.generation import Synthesis
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
        generator: Config of a registered generator.
    """

    def __init__(self, generator: dict) -> None:
        super().__init__()
        self.generator_cfg = generator
        self.guidance: Optional[Any] = None
        self.dataset_meta: Dict[str, Any] = {}
        self._generator: Optional[Any] = None

    @property
    def module(self) -> 'Distiller':
        """Itself: what a wrapper's ``module`` would be."""
        return self

    @property
    def generator(self):
        """The generator, on the device of the run."""
        if self._generator is None:
            cfg = dict(self.generator_cfg)
            for key in ('classes', 'palette'):  # the data set's own, where the generator wants to know
                if key in inspect.signature(GENERATORS.get(cfg['type'])).parameters:
                    cfg.setdefault(key, self.dataset_meta.get(key))
            self._generator = GENERATORS.build(cfg).to(get_device())
        return self._generator

    def forward(self,
                requests: Sequence[Request],
                masks: Optional[Sequence[np.ndarray]] = None,
                latents: Optional[Sequence[np.ndarray]] = None,
                spare: Optional[Sequence[Request]] = None) -> Iterator[Synthesis]:
        """Images of requests, as they are made; none depends on the others of the batch."""
        return self.generator.synthesize(requests, masks, self.guidance, latents, spare)

    def test_step(self, data: Dict[str, Any]) -> Iterator[Synthesis]:
        """:meth:`forward` of ``dict(requests=..., masks=..., latents=..., spare=...)``."""
        return self(**data)
