"""Any mmseg segmentor as a frozen, differentiable guide."""
from contextlib import suppress
from pathlib import Path
from typing import Any, List, Mapping, Optional, Sequence, Tuple, Union

import torch
from mmengine.config import Config
from mmseg.registry import DATASETS as MMSEG_DATASETS
from mmseg.registry import MODELS as MMSEG_MODELS
from mmseg.utils import register_all_modules
from torch import Tensor, nn
from torch.nn import functional as F

from mmdistill.config import read_config
from mmdistill.errors import DistillError, named
from mmdistill.known_classes import KnownClasses
from mmdistill.registry import MODELS
from mmdistill.settings import NO_SETTINGS, NonNegativeInt, PositiveInt, validated
from mmdistill.weights.address import builtin
from mmdistill.weights.checkpoints import check_checkpoint, check_exists, read_meta
from mmdistill.weights.hub import network_digest
from .frozen import check_fits, class_names_of, frozen_network
from .published import published_model


@MODELS.register_module()
class SegmentorGuide(nn.Module):
    """A frozen, differentiable mmseg segmentor for generated images.

    The model's preprocessing (channel order, mean, standard deviation) is part of the graph. The outputs of the last
    batch are cached, so that objectives that share this network need a single forward pass.

    Args:
        config, checkpoint: See :func:`~mmdistill.models.published.published_model`: a config, or the name of a model
            that mmseg publishes, and its weights.
        layers: Names of the submodules whose outputs :meth:`features` returns, such as ``'backbone'``. A tuple of
            outputs is split into its members.
        outputs: Index of the segmentor's output for each class of the dataset. Required if the segmentor has more
            classes, other names or another order; None if the classes are those of the dataset.
        size: (height, width) to which images are resized before the network, bilinearly with antialiasing; logits are
            resized back. If the generated images are larger than those in the segmentor's training, set the size of
            the training images. None: images keep their size.

    Raises:
        DistillError: The weights do not fit the config, or a layer does not exist.

    Example:
        >>> guide = SegmentorGuide('segformer_mit-b0_8xb2-160k_ade20k-512x512')  # doctest: +SKIP
        >>> logits = guide(images)  # doctest: +SKIP
    """

    mean: Tensor
    std: Tensor

    @validated
    def __init__(self, config: Union[str, dict], checkpoint: Optional[str] = None,
                 layers: Sequence[str] = (), outputs: Optional[Sequence[NonNegativeInt]] = None,
                 size: Optional[Tuple[PositiveInt, PositiveInt]] = None) -> None:
        super().__init__()
        register_all_modules(init_default_scope=False)
        config, checkpoint = published_model(config, checkpoint, 'mmseg')
        name = _name(config)
        cfg = _config_of(config)
        self.model, meta = frozen_network(dict(cfg.model, _scope_='mmseg'), MMSEG_MODELS, checkpoint, name)
        pre = self.model.data_preprocessor
        self.register_buffer('mean', pre.mean.clone() if pre._enable_normalize else torch.zeros(3, 1, 1))
        self.register_buffer('std', pre.std.clone() if pre._enable_normalize else torch.ones(3, 1, 1))
        self.rgb = bool(pre._channel_conversion)  # mmseg loads images as BGR, so a conversion gives RGB
        head = self.model.decode_head
        count: Any = (head[-1] if isinstance(head, nn.ModuleList) else head).out_channels
        self.known = KnownClasses.of(count, class_names_of(meta, cfg, MMSEG_DATASETS))
        if outputs is not None:
            self.known.check_ids((), outputs, 'SegmentorGuide: outputs')
        self.outputs = None if outputs is None else list(outputs)
        self.num_classes = count if outputs is None else len(outputs)
        self.size = None if size is None else tuple(size)
        self._outputs: List[Tensor] = []
        modules = dict(self.model.named_modules())
        for layer in layers:
            if layer not in modules:
                raise DistillError(f'{name} has no layer {layer!r}: choose among {", ".join(list(modules)[1:8])}, ...')
            modules[layer].register_forward_hook(self._record)
        self._seen: Optional[Tensor] = None

    @classmethod
    def check(cls, settings: Mapping[str, Any], where: str) -> None:
        """Raise a DistillError unless the config exists and the checkpoint is readable; neither is loaded."""
        with named(f'{where}.config'):
            checkpoint = builtin(published_model(settings['config'], settings.get('checkpoint'), 'mmseg')[1])
        if '://' in checkpoint:  # downloaded when the run begins
            return
        check_exists(checkpoint, f'{where}.checkpoint', '`mmdistill train` writes this file, so train first, or give '
                     'another' if 'export' in Path(checkpoint).parts else 'give the path or URL of its weights')
        with named(f'{where}.checkpoint'):
            check_checkpoint(checkpoint)

    @classmethod
    def check_trained(cls, settings: Mapping[str, Any], classes: Sequence[str]) -> None:
        """Like :meth:`check_classes`, but only from the config and the ``meta`` of a local checkpoint."""
        config, checkpoint = published_model(settings['config'], settings.get('checkpoint'), 'mmseg')
        cfg = _config_of(config)
        head = cfg.model.get('decode_head') or {}
        head = head[-1] if isinstance(head, (list, tuple)) else head
        if count := head.get('out_channels') or head.get('num_classes'):
            names = class_names_of(read_meta(checkpoint), cfg, MMSEG_DATASETS)
            _check(KnownClasses.of(count, names), settings.get('outputs'), classes)

    @classmethod
    def check_fits(cls, settings: Mapping[str, Any], where: str) -> None:
        """Raise a DistillError if a local checkpoint does not fit the network; the values are not read."""
        config, checkpoint = published_model(settings['config'], settings.get('checkpoint'), 'mmseg')
        if '://' not in (checkpoint := builtin(checkpoint)):
            with named(f'{where}.checkpoint'), suppress(NotImplementedError):  # then loading the weights decides
                check_fits(cls.outline(settings).model, checkpoint, _name(config))

    def check_classes(self, classes: Sequence[str]) -> None:
        """Raise a DistillError if a dataset's classes, or their order, differ from the segmentor's."""
        _check(self.known, self.outputs, classes)

    @classmethod
    def outline(cls, settings: Mapping[str, Any]) -> 'SegmentorGuide':
        """The guide with these settings of a config on the meta device (shapes only); no checkpoint is read."""
        settings = {key: value for key, value in settings.items() if key not in NO_SETTINGS}
        return cls(**dict(settings, checkpoint='')).to('meta')

    def _record(self, module, inputs, output) -> None:
        self._outputs += list(output) if isinstance(output, (tuple, list)) else [output]

    def _run(self, images: Tensor) -> None:
        if images is self._seen:
            return
        self._outputs = []
        pixels = (images + 1) * 127.5
        if self.size and self.size != tuple(images.shape[-2:]):
            pixels = F.interpolate(pixels, self.size, mode='bilinear', antialias=True)
        pixels = ((pixels if self.rgb else pixels.flip(1)) - self.mean) / self.std
        size = tuple(pixels.shape[-2:])
        metas = [dict(img_shape=size, pad_shape=size, ori_shape=size)] * len(images)
        logits = self.model.encode_decode(pixels, metas)
        if size != tuple(images.shape[-2:]):
            logits = F.interpolate(logits, images.shape[-2:], mode='bilinear', align_corners=False)
        self._logits = logits if self.outputs is None else logits[:, self.outputs]
        self._seen = images

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) RGB in [-1, 1] → logits (B, K, H, W); for Mask2Former, unnormalised class scores."""
        self._run(images)
        return self._logits

    def features(self, images: Tensor) -> List[Tensor]:
        """Images (B, 3, H, W) RGB in [-1, 1] → outputs (B, C_l, h_l, w_l) of the ``layers``."""
        self._run(images)
        return self._outputs

    def fingerprint(self) -> str:
        """Hash of the weights."""
        return network_digest(self.model)[:16]

    def forget(self) -> None:
        """Release the last batch and its graph."""
        self._seen, self._logits, self._outputs = None, None, []


def _name(config: Union[str, dict]) -> str:
    return config if isinstance(config, str) else 'the given model'


def _config_of(config: Union[str, dict]) -> Config:
    return read_config(config) if isinstance(config, str) else Config(dict(model=config))


def _check(known: KnownClasses, outputs: Optional[Sequence[int]], classes: Sequence[str]) -> None:
    hint = "give one that was trained on these classes, or outputs, the segmentor's output for each class"
    if outputs is None:
        known.check(classes, 'the segmentor', hint)
    elif len(outputs) != len(classes):
        raise DistillError(f'the segmentor has {len(outputs)} outputs, the dataset {len(classes)} classes: give one '
                           'for each')
    else:
        known.check_ids(classes, outputs, 'the segmentor: outputs')
