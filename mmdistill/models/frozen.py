"""Networks of OpenMMLab packages with trained weights, as they are used without training."""
from typing import Any, Mapping, Optional, Tuple

from mmengine.config import Config, ConfigDict
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import Registry

from mmdistill.datasets.wrapped_configs import part_configs
from mmdistill.errors import DistillError
from mmdistill.weights.checkpoints import load_checkpoint, trained_classes


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


def class_names_of(meta: Any, config: Config, datasets: Optional[Registry] = None) -> Optional[Tuple[str, ...]]:
    """Names of the classes of a network by the ``meta`` of its checkpoint, or else by the training set of its config.

    With a registry of ``datasets``, a set that is named no classes has those of its type (``METAINFO``). None where
    nothing says them.
    """
    names = trained_classes(meta)
    if names is None and config.get('train_dataloader'):
        _, dataset = next(part_configs(config.train_dataloader.dataset))
        names = dataset.get('classes') or (dataset.get('metainfo') or {}).get('classes')
        if names is None and datasets is not None:
            kind = dataset.get('type')
            if isinstance(kind, str):
                scope = dataset.get('_scope_')
                kind = datasets.get(kind if '.' in kind or scope is None else f'{scope}.{kind}')
            names = getattr(kind, 'METAINFO', {}).get('classes')
        names = None if isinstance(names, str) else names  # a file of names: the checkpoint has them
    return None if names is None else tuple(map(str, names))
