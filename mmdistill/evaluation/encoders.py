"""Encoders: turn the images of a dataset into features for set metrics and selectors."""
import copy
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Callable, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

import numpy as np
import torch
from mmengine.config import ConfigDict
from mmengine.dataset import Compose
from mmengine.logging import print_log
from PIL import Image, ImageOps
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from mmdistill.bars import ProgressBar
from mmdistill.batches import read_batches
from mmdistill.cache import in_parts, rows_of, shared_entry
from mmdistill.config import read_config
from mmdistill.datasets.reading import ImageReader, UnionReader
from mmdistill.datasets.wrapped_configs import pipeline_of
from mmdistill.datasets.wrappers import parts_of
from mmdistill.errors import DistillError, one_line
from mmdistill.files import config_hash
from mmdistill.generation.autoencoders import encode, load_vae, vae_factor
from mmdistill.models.published import published_model
from mmdistill.registry import ENCODERS
from mmdistill.settings import PositiveInt, validated
from mmdistill.weights.checkpoints import check_exists, load_weights, misfit
from mmdistill.weights.hub import check_weights, network_digest


_PART = 4096  # images in a file of features


class Encoder:
    """A frozen network and how it reads images.

    Args:
        network: The network; it is moved to the device in float32 and evaluation mode.
        settings: JSON values of everything else that affects the features; part of the cache key.
        device: Default: a GPU if there is one.
    """

    def __init__(self, network: nn.Module, settings: Any, device: Optional[str] = None) -> None:
        self.device = torch.device(device or ('cuda' if torch.cuda.is_available() else 'cpu'))
        self.network: Any = network.float().eval().requires_grad_(False).to(self.device)
        self.settings = settings
        self.read_image: Union[ImageReader, UnionReader] = ImageReader()  #: Path → RGB uint8 (H, W, 3)

    def of_dataset(self, dataset: Any) -> 'Encoder':
        """A copy of this encoder whose :attr:`read_image` reads images as the dataset's training pipeline does."""
        encoder = copy.copy(self)
        encoder.read_image = UnionReader([part.dataset for part in parts_of(dataset)])
        return encoder

    def read(self, path: str) -> Tensor:
        """Read an image as the network's input, (3, H, W); H and W are the same for all images."""
        raise NotImplementedError

    def encode(self, images: Tensor) -> Tensor:
        """Inputs (B, 3, H, W) from :meth:`read`, on the network's device → features (B, D)."""
        raise NotImplementedError

    @cached_property
    def _digest(self) -> str:
        return network_digest(self.network)

    def fingerprint(self) -> str:
        """Hash of the weights and the settings."""
        return config_hash([type(self).__name__, self.settings, self._digest])

    def features(self, paths: Sequence[str], batch_size: int = 32, *, cache: Union[None, str, Path] = None,
                 root: Optional[str] = None, workers: int = 0, show: bool = False) -> np.ndarray:
        """Features float32 (N, D) of images, read with :attr:`read_image`.

        Args:
            paths: Paths or URIs of the images, at least one.
            batch_size, cache, workers: See :func:`encode_dataset`.
            root: Folder below which paths may be moved without invalidating the cache.
            show: Whether to log cache hits and to show a progress bar.

        Raises:
            DistillError: An image cannot be read, or image sizes differ after the encoder's pipeline.
        """
        folder = None if cache is None else _folder(self, paths, root, cache)
        parts = in_parts(paths, batch_size, _PART,
                         lambda start: folder and folder / f'{batch_size}-{start}.safetensors')
        count = sum(len(batch) for part in parts if part.missing for batch in part.batches)
        if count < len(paths) and show:
            print_log(f'Features of {len(paths) - count} of {len(paths)} images are read from {folder}', 'current')
        bar = ProgressBar(count) if count and show else None
        found, done = np.empty((len(paths), 0), np.float32), 0
        for _, features in rows_of(parts, partial(_prepare, self, workers, bar)):
            found = found if done else np.empty((len(paths), features.shape[1]), np.float32)
            found[done:done + len(features)] = features
            done += len(features)
        if bar:
            bar.close()
        return found


@ENCODERS.register_module()
class LatentEncoder(Encoder):
    """The scaled latents of an autoencoder, flattened: the space in which a latent diffusion model generates.

    Args:
        vae: A diffusers folder or hub id, or ``mmdistill://name``: an autoencoder, or a pipeline with a ``vae`` part.
        image_size: (height, width) in pixels, or the side of a square.
        crop: True: images are scaled to cover this size and cropped at the centre. False: they are resized to it
            without keeping the aspect ratio, like the training pairs of a segmentation generator.
        pool: Averages the latents (C, h, w) to (C, pool, pool) before they are flattened, for large images. By default
            D is C · h · w: 4 · 16 · 16 = 1 024 for 128 pixels and Stable Diffusion's autoencoder.
        device: Default: a GPU if there is one.

    Raises:
        DistillError: The size is not a multiple of the autoencoder's scale factor, or ``pool`` is out of range.
    """

    @validated
    def __init__(self, vae: str, image_size: Union[PositiveInt, Tuple[PositiveInt, PositiveInt]], crop: bool = True,
                 pool: Optional[PositiveInt] = None, device: Optional[str] = None) -> None:
        network = load_vae(vae)
        height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
        self.size, self.pool, factor = (height, width), pool, vae_factor(network)
        if any(side % factor for side in self.size):
            raise DistillError(f'image_size {image_size} does not fit {vae}: use multiples of {factor}')
        if pool is not None and pool > (most := min(self.size) // factor):
            raise DistillError(f'pool {pool} is out of range: latents of {image_size} pixels allow 1..{most}')
        self._fit = ImageOps.fit if crop else Image.Image.resize
        super().__init__(network, [self.size, crop, pool], device)

    @classmethod
    def check_weights(cls, settings: Mapping[str, Any], where: str) -> None:
        """Raise a DistillError if local weights are missing; nothing is loaded."""
        check_weights(settings['vae'], ('vae', ), f'{where}.vae')

    def read(self, path: str) -> Tensor:
        """float32 (3, H, W) in [-1, 1], RGB."""
        image = self._fit(Image.fromarray(self.read_image(path)), self.size[::-1], Image.Resampling.BICUBIC)
        return torch.from_numpy(np.array(image)).permute(2, 0, 1) / 127.5 - 1

    def encode(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1] → (B, D)."""
        latents = encode(self.network, images)
        return (latents if self.pool is None else adaptive_avg_pool2d(latents, self.pool)).flatten(1)


@ENCODERS.register_module()
class BackboneEncoder(Encoder):
    """The last feature map of an mmpretrain backbone, averaged over its positions.

    Args:
        config, checkpoint: See :func:`~mmdistill.models.published.published_model`: a config, or the name of a model
            that mmpretrain publishes, and its weights. The weights of the head are not used.
        pipeline: mmpretrain's transforms between loading and packing, which must give all images the same size.
            Default: the pipeline of the config's ``test_dataloader``. The model's data preprocessor normalizes the
            images.
        device: Default: a GPU if there is one.

    Raises:
        DistillError: The config has no backbone or no pipeline, or the weights do not fit the backbone.
    """

    def __init__(self, config: Union[str, dict], checkpoint: Optional[str] = None,
                 pipeline: Optional[Sequence[dict]] = None, device: Optional[str] = None) -> None:
        from mmpretrain.registry import MODELS, TRANSFORMS
        from mmpretrain.utils import register_all_modules
        register_all_modules(init_default_scope=False)
        config, checkpoint = published_model(config, checkpoint, 'mmpretrain')
        whole, name = (read_config(config), config) if isinstance(config, str) else (
            ConfigDict(model=config), 'the given model')
        if pipeline is None:
            if not whole.get('test_dataloader'):
                raise DistillError(f'{name} has no test_dataloader: give the encoder a pipeline, such as '
                                   "[dict(type='ResizeEdge', scale=256), dict(type='CenterCrop', crop_size=224)]")
            pipeline = pipeline_of(whole.test_dataloader.dataset)
        pipeline = [dict(step) for step in pipeline
                    if step['type'].split('.')[-1] not in ('LoadImageFromFile', 'PackInputs')]
        if 'backbone' not in whole.model:
            raise DistillError(f'{name} has no backbone: give a model of mmpretrain that has one')
        preprocessor = whole.model.get('data_preprocessor', whole.get('data_preprocessor'))
        network = MODELS.build(ConfigDict(
            _scope_='mmpretrain', type='ImageClassifier', data_preprocessor=preprocessor,
            backbone=dict(whole.model['backbone'], init_cfg=None)))
        # Head and neck are left out. The hooks of a whole ImageClassifier convert the weight names of other projects.
        state = {key: value for key, value in load_weights(checkpoint).items() if key.startswith('backbone.')}
        try:
            missing = network.load_state_dict(state, strict=False).missing_keys
        except RuntimeError as error:
            missing = [misfit(error) or one_line(error)]
        if missing:
            raise DistillError(f'the weights {checkpoint} do not fit the backbone of {name} ({missing[0]}): give a '
                               'checkpoint that was trained with this config')
        self._transforms = Compose([TRANSFORMS.build(dict(step, _scope_='mmpretrain'))
                                    for step in [*pipeline, dict(type='PackInputs')]])
        super().__init__(network, [pipeline, preprocessor], device)

    @classmethod
    def check_weights(cls, settings: Mapping[str, Any], where: str) -> None:
        """Raise a DistillError if there is no such model or the local checkpoint is missing; nothing is loaded."""
        _, checkpoint = published_model(settings['config'], settings.get('checkpoint'), 'mmpretrain')
        check_exists(checkpoint, f'{where}.checkpoint', 'give the path or URL of its weights')

    def read(self, path: str) -> Tensor:
        """uint8 (3, H, W), BGR, as mmpretrain loads images."""
        image = np.ascontiguousarray(self.read_image(path)[..., ::-1])
        return self._transforms(dict(img=image, img_path=path, img_shape=image.shape[:2],
                                     ori_shape=image.shape[:2]))['inputs']

    def encode(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in 0..255, BGR → (B, D)."""
        features = self.network.backbone(self.network.data_preprocessor(dict(inputs=images))['inputs'])
        features = features[-1] if isinstance(features, (tuple, list)) else features
        if features.ndim == 3:  # a transformer's tokens (B, L, C)
            return features.mean(1)
        return features.flatten(2).mean(2) if features.ndim == 4 else features


def encode_dataset(encoder: Encoder, dataset: Any, batch_size: int = 32, *, cache: Union[None, str, Path] = None,
                   workers: int = 0) -> np.ndarray:
    """Features float32 (N, D) of all images of a dataset, in the dataset's order.

    Args:
        encoder: The encoder.
        dataset: Any dataset of mmseg or mmpretrain whose entries have an ``img_path``. Its pipeline is not used.
        batch_size: Images per forward pass.
        cache: A folder for the features; the shared cache (:mod:`mmdistill.cache`), if enabled, replaces it. Features
            of the same files, weights and settings are reused; new ones are saved as they are computed.
        workers: Processes that read images; 0 reads them in the calling process.

    Raises:
        DistillError: The dataset is empty or names no files, an image cannot be read, or image sizes differ after the
            encoder's pipeline.
    """
    paths = [str(dataset.get_data_info(i).get('img_path', '')) for i in range(len(dataset))]
    if not paths or not all(paths):
        raise DistillError(f'{type(dataset).__name__} names no image files: give one with images on disk')
    return encoder.of_dataset(dataset).features(paths, batch_size, cache=cache, workers=workers, show=True,
                                                root=getattr(dataset, 'data_root', None))


def _folder(encoder: Encoder, paths: Sequence[str], root: Optional[str], cache: Union[str, Path]) -> Path:
    fingerprint = encoder.read_image.fingerprint(paths, encoder.fingerprint(), root=str(root or ''))
    return shared_entry('features', fingerprint) or Path(cache, fingerprint)


def _prepare(encoder: Encoder, workers: int, bar: Optional[ProgressBar], batches: List[Sequence[str]]
             ) -> Iterator[Callable[[], np.ndarray]]:
    """Read batches of images, in worker processes if there are any, and yield functions that encode them."""
    for images in read_batches(partial(_read_batch, encoder.read), batches, workers):
        yield partial(_features, encoder, images, bar)


def _features(encoder: Encoder, images: Tensor, bar: Optional[ProgressBar]) -> np.ndarray:
    if bar:
        bar.update(len(images))
    with torch.inference_mode():
        return encoder.encode(images.to(encoder.device)).float().cpu().numpy()


def _read_batch(read: Callable[[str], Tensor], paths: Sequence[str]) -> Tensor:
    images = [read(path) for path in paths]
    shapes = sorted({tuple(image.shape[1:]) for image in images})
    if len(shapes) > 1:
        raise DistillError(f'the encoder\'s pipeline returns images of sizes {shapes[0]} and {shapes[1]}: end it '
                           'with a transform that gives one size, such as CenterCrop')
    return torch.stack(images)
