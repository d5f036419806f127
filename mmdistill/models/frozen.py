"""Networks of OpenMMLab packages with trained weights, as they are used without training."""
from typing import Any, Mapping, Optional, Tuple

from mmengine.config import ConfigDict
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import Registry

from mmdistill.errors import DistillError
from mmdistill.weights.checkpoints import load_checkpoint


def frozen_network(model: Mapping[str, Any], registry: Registry, checkpoint: str, name: str
                   ) -> Tuple[Any, Optional[dict]]:
    """The network of a config, float32, in evaluation mode, without gradients; and the ``meta`` of its checkpoint.

    Initial weights that the config names are not loaded. An empty ``checkpoint`` leaves the random ones, for estimates
    of cost. A DistillError, which calls the network ``name``, where the checkpoint cannot be read or does not fit.
    """
    config = ConfigDict(model, init_cfg=None, pretrained=None)
    if isinstance(config.get('backbone'), dict):
        config['backbone'] = dict(config['backbone'], init_cfg=None)
    network = revert_sync_batchnorm(registry.build(config))
    loaded = load_checkpoint(checkpoint) if checkpoint else dict(state_dict=network.state_dict())
    try:
        network.load_state_dict(loaded['state_dict'])
    except RuntimeError as error:
        detail = ' '.join(str(error).split())[:160]
        raise DistillError(f'the weights {checkpoint} do not fit {name}: {detail}') from None
    return network.float().eval().requires_grad_(False), loaded.get('meta')
