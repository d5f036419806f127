"""mmpretrain classifiers as frozen teachers."""
from typing import List, Literal, Optional, Sequence, Union

import torch
from mmengine.config import Config
from torch import Tensor, nn

from mmdistill.config import read_config
from mmdistill.errors import DistillError
from mmdistill.files import config_hash
from mmdistill.imagenet import imagenet_ids
from mmdistill.models.frozen import class_names_of, frozen_network
from mmdistill.models.published import published_model
from mmdistill.weights.hub import network_digest

NORMALISED = ('the pipeline normalises the images, so that the teacher cannot know the pixels: leave Normalize out and '
              'give data_preprocessor mean and std')


class Teacher(nn.Module):
    """A frozen mmpretrain classifier that takes pixels and includes its preprocessing (channels, mean, deviation).

    Args:
        config, checkpoint: See :func:`~mmdistill.models.published.published_model`: a config, or the name of a model
            that mmpretrain publishes, and its weights.
        data_preprocessor: Config of the data preprocessor; None takes the model's.
        outputs: Index of the teacher's output for each class of the set. Required if the teacher has more classes or
            other names; probabilities are then computed over these outputs only. None if the classes are those of the
            set. ``'imagenet'``: the teacher has ImageNet's 1000 classes, and the set all or some of them, named by
            their WordNet ids.
        device: Default: a GPU if there is one.

    Attributes:
        classes: Class names of the teacher, from its checkpoint or its config; None if unknown.
        num_classes: Number of logits, after ``outputs`` is applied.

    Raises:
        DistillError: There is no such config or no preprocessing, or the weights do not fit.

    Example:
        >>> teacher = Teacher('resnet18_8xb32_in1k')  # doctest: +SKIP
        >>> probabilities = teacher(pixels).softmax(1)  # doctest: +SKIP
    """

    def __init__(self, config: Union[str, dict], checkpoint: Optional[str] = None,
                 data_preprocessor: Optional[dict] = None,
                 outputs: Union[None, Literal['imagenet'], Sequence[int]] = None,
                 device: Union[None, str, torch.device] = None) -> None:
        from mmpretrain.registry import MODELS
        from mmpretrain.utils import register_all_modules
        super().__init__()
        register_all_modules(init_default_scope=False)
        config, checkpoint = published_model(config, checkpoint, 'mmpretrain')
        self.name = config if isinstance(config, str) else 'the given model'
        cfg = read_config(config) if isinstance(config, str) else Config(dict(model=config))
        preprocessor = data_preprocessor or cfg.model.get('data_preprocessor') or cfg.get('data_preprocessor')
        if not preprocessor or 'mean' not in preprocessor:
            raise DistillError(f'the teacher {self.name} has no data_preprocessor with mean and std: give it one, as '
                               'it was trained with')
        model = dict(cfg.model, _scope_='mmpretrain', train_cfg=None,
                     data_preprocessor=dict(preprocessor, batch_augments=None, to_onehot=False))
        self.model, meta = frozen_network(model, MODELS, checkpoint, f'the teacher {self.name}')
        self.classes = class_names_of(meta, cfg)
        self.device = torch.device(device or ('cuda' if torch.cuda.is_available() else 'cpu'))
        self.model.to(self.device)
        size = getattr(self.model.head, 'num_classes', None)
        if size is None:
            raise DistillError(f'the teacher {self.name} has no head with num_classes: give a classifier')
        self._imagenet = outputs == 'imagenet'
        self.outputs = _outputs(outputs, size, self.name)
        self.num_classes = size if self.outputs is None else len(self.outputs)

    def train(self, mode: bool = True) -> 'Teacher':
        """Does nothing: the teacher stays in evaluation mode."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, pixels: Tensor) -> Tensor:
        """RGB pixels (B, 3, H, W) in 0..255 → logits float32 (B, num_classes)."""
        with torch.autocast(self.device.type, enabled=False):
            pre = self.model.data_preprocessor
            pixels = pixels.to(self.device, torch.float32)
            logits = self.model(((pixels if pre.to_rgb else pixels.flip(1)) - pre.mean) / pre.std, mode='tensor')
        logits = logits[-1] if isinstance(logits, (tuple, list)) else logits
        return (logits if self.outputs is None else logits[:, self.outputs]).float()

    def check_classes(self, classes: Sequence[str]) -> None:
        """Raise a DistillError if a set has other classes or another order (or number, if names are unknown).

        With ``outputs='imagenet'``, this also selects the outputs for the classes.
        """
        if self._imagenet and (ids := imagenet_ids(classes)) is not None:
            self.outputs, self.num_classes = ids, len(ids)
        hint = 'give the teacher outputs=[...], its output for each class of the set, if it knows them all'
        classes, count = [*map(str, classes)], len(classes)
        if self.num_classes != count:
            raise DistillError(f'the teacher {self.name} has {self.num_classes} classes, the set {count}: {hint}')
        if self.outputs is not None or self.classes is None:
            return
        for i, (name, expected) in enumerate(zip(self.classes, classes)):
            if name != expected:
                what = 'the classes in another order' if set(self.classes) == set(classes) else 'other classes'
                raise DistillError(f"the teacher {self.name} has {what}: its class {i} is {name!r}, the set's "
                                   f'{expected!r}: {hint}')

    def fingerprint(self) -> str:
        """Hash of the weights, the preprocessing and the outputs."""
        pre = self.model.data_preprocessor
        return config_hash([self.outputs, pre.mean.flatten().tolist(), pre.std.flatten().tolist(), pre.to_rgb,
                            network_digest(self.model)])


def _outputs(outputs: Union[None, str, Sequence[int]], size: int, name: str) -> Optional[List[int]]:
    """Check the listed outputs of a teacher with ``size`` classes; None if they are not listed."""
    if outputs == 'imagenet' and size != 1000:
        raise DistillError(f"outputs='imagenet': the teacher {name} has {size} classes, not 1000: give outputs=[...], "
                           'its output for each class of the set')
    if outputs is None or isinstance(outputs, str):
        return None
    listed = [int(i) for i in outputs]
    if listed and not 0 <= min(listed) <= max(listed) < size:
        raise DistillError(f'outputs of the teacher {name} have to be in 0..{size - 1}')
    return listed
