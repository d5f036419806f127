"""Any mmpretrain classifier as a frozen teacher."""
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
    """A frozen classifier of mmpretrain that takes pixels; its own preprocessing (order, mean, deviation) is inside.

    Args:
        config, checkpoint: See :func:`~mmdistill.models.published.published_model`: a config, or the name of a model
            that mmpretrain publishes, and its weights.
        data_preprocessor: mmpretrain's config of one; None takes the model's own.
        outputs: For each class of the set, in its order, the teacher's output. None: its classes are the set's. Give
            it for a teacher of more classes, or whose classes have other names; probabilities are over these alone.
            ``'imagenet'``: the teacher's classes are ImageNet's 1000, and the set's are these or some of them, named
            by their WordNet ids.
        device: By default a GPU if there is one.

    Attributes:
        classes: Names of the teacher's classes by its checkpoint, else by its config; None where neither says.
        num_classes: Number of logits it gives, after ``outputs``.

    Raises:
        DistillError: No such config, no preprocessing, or the weights do not fit.
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
        """It stays in evaluation mode."""
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
        """Raise a DistillError where a set's classes differ or are in another order; without names, their number.

        With ``outputs='imagenet'`` this is where the outputs of the classes are found.
        """
        if self._imagenet and (ids := imagenet_ids(classes)) is not None:
            self.outputs, self.num_classes = ids, len(ids)
        hint = 'give the teacher outputs=[...], its output for each class of the set, if it knows them all'
        classes, count = [*map(str, classes)], len(classes)
        if self.num_classes != count:
            raise DistillError(f'the teacher {self.name} has {self.num_classes} classes, the set {count}: {hint}')
        if self.outputs is not None or self.classes is None:
            return
        for i, (own, theirs) in enumerate(zip(self.classes, classes)):
            if own != theirs:
                what = 'the classes in another order' if set(self.classes) == set(classes) else 'other classes'
                raise DistillError(f"the teacher {self.name} has {what}: its class {i} is {own!r}, the set's "
                                   f'{theirs!r}: {hint}')

    def fingerprint(self) -> str:
        """Changes when a weight or an output does."""
        pre = self.model.data_preprocessor
        return config_hash([self.outputs, pre.mean.flatten().tolist(), pre.std.flatten().tolist(), pre.to_rgb,
                            network_digest(self.model)])


def _outputs(outputs: Union[None, str, Sequence[int]], size: int, name: str) -> Optional[List[int]]:
    """The outputs of a teacher of ``size`` classes that a config lists, checked; None where they are not listed."""
    if outputs == 'imagenet' and size != 1000:
        raise DistillError(f"outputs='imagenet': the teacher {name} has {size} classes, not 1000: give outputs=[...], "
                           'its output for each class of the set')
    if outputs is None or isinstance(outputs, str):
        return None
    listed = [int(i) for i in outputs]
    if listed and not 0 <= min(listed) <= max(listed) < size:
        raise DistillError(f'outputs of the teacher {name} have to be in 0..{size - 1}')
    return listed
