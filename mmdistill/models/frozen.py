"""Frozen networks with trained weights, of OpenMMLab packages and of diffusers."""
from typing import Any, Mapping, Optional, Tuple

from mmengine.config import Config, ConfigDict
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import Registry

from mmdistill.datasets.wrapped_configs import part_configs
from mmdistill.errors import DistillError, named, one_line
from mmdistill.generation.autoencoders import load_vae
from mmdistill.weights.checkpoints import load_checkpoint, misfit, read_shapes, trained_classes


def frozen_network(model: Mapping[str, Any], registry: Registry, checkpoint: str, name: str
                   ) -> Tuple[Any, Optional[dict]]:
    """Build the network of a config and load its checkpoint.

    Args:
        model: Config of the network. Pretrained weights in it (``init_cfg``) are not loaded.
        registry: The registry to build it from.
        checkpoint: Path or URL; '' keeps random weights, for cost estimates.
        name: Name of the network in messages.

    Returns:
        The network (float32, evaluation mode, without gradients), and the ``meta`` of its checkpoint.

    Raises:
        DistillError: The checkpoint cannot be read or does not fit.
    """
    config = ConfigDict(model, init_cfg=None, pretrained=None)
    if isinstance(config.get('backbone'), dict):
        config['backbone'] = dict(config['backbone'], init_cfg=None)
    network = revert_sync_batchnorm(registry.build(config))
    loaded = load_checkpoint(checkpoint) if checkpoint else dict(state_dict=network.state_dict())
    try:
        network.load_state_dict(loaded['state_dict'])
    except RuntimeError as error:
        raise _unfit(checkpoint, name, misfit(error) or one_line(error)) from None
    return network.float().eval().requires_grad_(False), loaded.get('meta')


def check_fits(network: Any, checkpoint: str, name: str) -> None:
    """Raise a DistillError unless the tensors of a local checkpoint have the names and shapes of a network.

    Args:
        network: The network, on the meta device.
        checkpoint: The file; the values of its tensors are not read.
        name: Name of the network in messages.
    """
    try:
        network.load_state_dict(read_shapes(checkpoint))
    except (NotImplementedError, RuntimeError) as error:  # also of hooks that need the values, so loading decides
        if difference := misfit(error):
            raise _unfit(checkpoint, name, difference) from None


def _unfit(checkpoint: str, name: str, difference: str) -> DistillError:
    return DistillError(f'the weights {checkpoint} do not fit {name} ({difference}): give a checkpoint that was '
                        'trained with this config')


def frozen_autoencoder(vae: str) -> Any:
    """The autoencoder that ``model.vae`` of a training names; raises a DistillError that begins with this key."""
    with named('model.vae'):
        return load_vae(vae)


def class_names_of(meta: Any, config: Config, datasets: Optional[Registry] = None) -> Optional[Tuple[str, ...]]:
    """Class names of a network, from the ``meta`` of its checkpoint or the training set of its config.

    Args:
        meta: ``meta`` of the checkpoint.
        config: Config of the network.
        datasets: Registry of datasets. If it is given, a training set without class names gets the names of its
            dataset class (``METAINFO``).

    Returns:
        The names, or None if they are unknown.
    """
    names = trained_classes(meta)
    if names is None and config.get('train_dataloader'):
        _, dataset = next(part_configs(config.train_dataloader.dataset))
        names = dataset.get('classes') or (dataset.get('metainfo') or {}).get('classes')
        if names is None and datasets is not None:
            dataset_type = dataset.get('type')
            if isinstance(dataset_type, str):
                scope = dataset.get('_scope_')
                dataset_type = datasets.get(
                    dataset_type if '.' in dataset_type or scope is None else f'{scope}.{dataset_type}')
            names = getattr(dataset_type, 'METAINFO', {}).get('classes')
        names = None if isinstance(names, str) else names  # a file of names, which is not read here
    return None if names is None else tuple(map(str, names))
