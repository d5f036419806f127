"""Base class of generators: from requests and masks to images."""
import json
import logging
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

import numpy as np
import torch
from torch import Tensor

from ..errors import DistillError, named
from ..plan import Request
from ..settings import NonNegative, PositiveInt, Range, setting, validated
from ..weights.address import licence
from ..weights.hub import Dtype, Weights, check_fit, check_network, check_weights, dtype_of, known_configs
from .autoencoders import (
    check_autoencoder, check_same_latents, decode, encode, in_slices, load_vae, slice_rows, vae_factor)
from .batching import Arrays, MicroBatches, Synthesis
from .conditions import Condition
from .process import NoiseProcess, first_step
from .sampler import ClassifierFreeGuidance
from .schedulers import SchedulerConfig, check_scheduler, load_scheduler

Size = Union[PositiveInt, Tuple[PositiveInt, PositiveInt]]
Strength = Annotated[float, Range(0, 1, above=True)]

_MOST_PIXELS = 178_956_970  # Pillow refuses to read larger images
_NOT_DECODED = 'the image that the autoencoder made of finite latents is not finite: are its weights whole?'

logger = logging.getLogger('mmdistill')


def _check_size(size: Tuple[int, int], unit: int) -> None:
    """Raise a DistillError if images of this (H, W) cannot be generated or read; sides are multiples of ``unit``."""
    if (pixels := size[0] * size[1]) > _MOST_PIXELS:
        raise DistillError(f'image_size={size} has {pixels:,} pixels: use at most {_MOST_PIXELS:,}, since larger '
                           'images cannot be read')
    if any(side % unit for side in size):
        near = tuple(max(round(side / unit), 1) * unit for side in size)
        raise DistillError(f'image_size={size} has to be a multiple of {unit} with these weights, such as {near}')


class LatentGenerator:
    """Generates images with frozen latent diffusion networks (:meth:`generate`).

    An image only depends on its request, mask, start latents and seed: its noise comes from one CPU random generator,
    and the networks always process ``micro_batch`` rows, with padding. On a CPU in float32, images are identical to the
    byte for any batch size and order (:func:`~mmdistill.generation.batching.steady_threads`). On a GPU, this holds if
    its kernels treat all rows alike. Another ``micro_batch``, dtype, device or number of threads rounds differently.

    As in diffusers, the constructor takes modules, which it neither freezes, moves nor casts, and
    :meth:`from_pretrained` loads them. Subclasses implement :meth:`condition` and :meth:`load`, which returns the
    constructor's modules by argument name, and pass the keyword-only settings on.

    Args:
        vae: Frozen autoencoder, float32.
        denoiser: ``(x, t, condition) -> output``.
        scheduler: A scheduler of an allowed class (:data:`~mmdistill.generation.schedulers.SCHEDULERS`).
        num_classes: Number of classes K in masks.
        multiple: The sides of the latents must be multiples of this number.
        image_size: Side, or (H, W), of the images in pixels.
        num_steps: Number of denoising steps.
        cfg_scale: Scale of classifier-free guidance, >= 0; 1 turns it off.
        cfg_channels: Number of leading latent channels to which classifier-free guidance applies; None for all.
        dtype: Type of the denoiser. Latents and the final decoding are always float32; decoding for guidance is
            bfloat16 for ``'bfloat16'``, otherwise float32.
        micro_batch: Rows per call of the networks. On a CPU, it limits the threads: an even number allows 2, a multiple
            of 12 allows 4.
        guidance_vae: A cheaper autoencoder of the same latent space, such as TAESD for Stable Diffusion, which decodes
            for guidance; the images are still decoded by ``vae``.
        gradient_checkpointing: Whether to save memory in guidance at the cost of time.
        strength: Share of the steps, in (0, 1], that are run from start latents. From pure noise, all steps are run.
        compile: True, or options of ``torch.compile``, to compile the networks of the denoiser. Each type of step
            (guided through the network, with mixed embeddings) is compiled once, which takes minutes on a CPU.

    Attributes:
        annotation: Annotation from which images are generated: ``'masks'`` or ``'classes'``.
        needs: Arguments that are taken from the dataset's metainfo by default: ``'classes'``, ``'palette'``.
        parts: Sub-folders of the weights.
        replaced: Parts for which a setting of the same name can name other weights.
        sources: Address and checksums of the loaded weights.

    Raises:
        DistillError: Settings or modules do not fit each other.
    """
    annotation = 'masks'
    needs: Tuple[str, ...] = ()
    networks: Tuple[str, ...] = ()  # allowed class names of the unet or transformer; empty: any
    parts: Tuple[str, ...] = ('unet', 'vae', 'scheduler')
    replaced: Tuple[str, ...] = ('vae', )

    @validated
    def __init__(self, vae: Any, denoiser: Any, scheduler: Any, num_classes: int, multiple: int = 1, *,
                 image_size: Optional[Size] = None, num_steps: PositiveInt = 20, cfg_scale: NonNegative = 2.0,
                 cfg_channels: Optional[PositiveInt] = None, dtype: Dtype = 'float32', micro_batch: PositiveInt = 8,
                 guidance_vae: Any = None, gradient_checkpointing: bool = False,
                 strength: Strength = 1.0, compile: Union[bool, dict] = False):
        if image_size is None:
            raise DistillError('the weights do not contain their image size: set image_size of the generator')
        if cfg_channels is not None and cfg_channels > vae.config.latent_channels:
            raise DistillError(f'cfg_channels={cfg_channels} has to be in [1, {vae.config.latent_channels}], the '
                               'channels of the latents, or None for all')
        self.vae, self.denoiser, self.scheduler, self.guide_vae = vae, denoiser, scheduler, guidance_vae or vae
        self.image_size = (image_size, image_size) if isinstance(image_size, int) else (image_size[0], image_size[1])
        self.num_classes, self.num_steps = num_classes, num_steps
        self.micro_batch, self.strength = micro_batch, strength
        self.cfg = ClassifierFreeGuidance(cfg_scale, cfg_channels)
        self.dtype = dtype_of(dtype)
        if self.dtype is torch.bfloat16:  # channels last is 20 % faster in bfloat16, but slower in float32
            vae.encoder.to(memory_format=torch.channels_last)
        self.process = NoiseProcess(scheduler, num_steps)
        first_step(num_steps, strength)  # raises an error if the strength leaves no step
        self.sources: Dict[str, dict] = {}
        self._batches = MicroBatches(self)
        factor = vae_factor(vae)
        _check_size(self.image_size, factor * multiple)
        check_fit('factor of guidance_vae', vae_factor(self.guide_vae), 'of vae', factor)
        check_fit('latent_channels of guidance_vae', self.guide_vae.config.latent_channels, 'of vae',
                  vae.config.latent_channels)
        self.latent_shape = (vae.config.latent_channels, *(side // factor for side in self.image_size))
        self.compiled = bool(compile)
        for network in denoiser.children() if compile else ():
            network.compile(**(compile if isinstance(compile, dict) else {}))
        if gradient_checkpointing:
            self._checkpoint_gradients()

    def _checkpoint_gradients(self) -> None:
        for network in {self.guide_vae, *self.denoiser.modules()}:
            if getattr(network, '_supports_gradient_checkpointing', False):
                network.enable_gradient_checkpointing()

    @classmethod
    def from_pretrained(cls, weights: str, *, config: Optional[str] = None, scheduler: SchedulerConfig = None,
                        dtype: Dtype = 'float32', vae: Optional[str] = None, guidance_vae: Optional[str] = None,
                        **settings: Any) -> 'LatentGenerator':
        """Load a generator from a diffusers folder, a hub address or a single file.

        Args:
            weights, config: See :class:`~mmdistill.weights.hub.Weights`; the sub-folders are :attr:`parts`.
            scheduler: See :func:`~mmdistill.generation.schedulers.load_scheduler`.
            dtype: See the constructor.
            vae: Folder, hub address or single file of another autoencoder of the same latent space, such as one whose
                decoder was fine-tuned (:class:`~mmdistill.models.DecoderTrainer`).
            guidance_vae: Folder, hub address or single file of the autoencoder for guidance.
            **settings: Further arguments of the constructor.

        Raises:
            DistillError: Weights are missing or do not fit each other or the settings.
        """
        if terms := licence(weights):
            logger.warning('%s: weights under %s', weights, terms)
        source = Weights(weights, cls.parts_of(dict(settings, vae=vae)), config)
        cls.check_classes(source.configs, settings, cls.__name__)
        steps = load_scheduler(source.configs, scheduler)  # before the networks, since the scheduler may be rejected
        modules = cls.load(source, dtype_of(dtype))
        others = {name: Weights(address, ('vae', ), str(source.configs))
                  for name, address in (('vae', vae), ('guidance_vae', guidance_vae)) if address}
        guide = others.get('guidance_vae')
        generator = cls(vae=load_vae(others.get('vae', source)), scheduler=steps, **modules, dtype=dtype,
                        guidance_vae=load_vae(guide) if guide else None, **settings)
        generator.sources['generator'] = dict(source.describe(), **(dict(licence=terms) if terms else {}))
        generator.sources.update((name, other.describe()) for name, other in others.items())
        return generator

    @classmethod
    def parts_of(cls, settings: Mapping[str, Any]) -> Tuple[str, ...]:
        """The :attr:`parts` that are required with these settings of :meth:`from_pretrained`."""
        return tuple(part for part in cls.parts if part not in cls.replaced or settings.get(part) is None)

    @classmethod
    def load(cls, weights: Weights, dtype: torch.dtype) -> Dict[str, Any]:
        """Load the modules of the constructor except the autoencoder and the scheduler, by argument name."""
        raise NotImplementedError

    @classmethod
    def check(cls, settings: Mapping[str, Any], where: str) -> None:
        """Raise a DistillError if settings of :meth:`from_pretrained` do not fit each other. No weights are needed.

        Args:
            settings: The settings. If they contain the dataset's ``classes`` and the configs of the weights are on this
                machine, their classes are compared.
            where: Key of the settings in the config, such as ``'model.generator'``.
        """
        cls.steps(settings, where=where)
        check_scheduler(settings.get('scheduler'), f'{where}.scheduler')
        if settings.get('classes') is not None and settings.get('weights'):
            folder = None
            with suppress(DistillError):  # weights are on the hub, or check_weights will report them
                folder = known_configs(settings['weights'], settings.get('config'))
            if folder is not None:
                cls.check_classes(folder, settings, where)

    @classmethod
    def check_classes(cls, folder: Path, settings: Mapping[str, Any], where: str) -> None:
        """Raise a DistillError if the ``classes`` in the settings differ from those in the configs of the weights.

        Args:
            folder: Folder of the configs. Without class names, nothing is checked.
            settings, where: See :meth:`check`.
        """

    @classmethod
    def check_weights(cls, settings: Mapping[str, Any], where: str) -> None:
        """Raise a DistillError unless the weights exist and have a known class; see :meth:`check`.

        No tensor is read, and nothing is downloaded.
        """
        folder = check_weights(settings['weights'], cls.parts_of(settings), f'{where}.weights', settings.get('config'))
        if folder is not None:
            if cls.networks:
                check_network(folder, cls.networks, f'{where}.weights')
            cls._process_of(folder, settings)
        for name in (*cls.replaced, 'guidance_vae'):
            if address := settings.get(name):
                part = name.removeprefix('guidance_')
                other = check_weights(address, (part, ), f'{where}.{name}', settings.get('config') or
                                      settings['weights'])
                if part == 'vae' and other:
                    with named(f'{where}.{name}'):
                        check_autoencoder(other)
                    if folder and (folder / part).is_dir():
                        check_same_latents(folder / part, other, f'{where}.{name}={address!r}')

    @classmethod
    def steps(cls, settings: Mapping[str, Any], start_latents: bool = True, where: str = 'generator') -> range:
        """The denoising steps of images.

        Args:
            settings, where: See :meth:`check`.
            start_latents: Whether images start from latents, so that ``strength`` applies.

        Raises:
            DistillError: The strength leaves no step.
        """
        count = setting(cls, settings, 'num_steps')
        first = first_step(count, setting(cls, settings, 'strength'), where)
        return range(first if start_latents else 0, count)

    @classmethod
    def known_process(cls, settings: Mapping[str, Any]) -> Optional[NoiseProcess]:
        """The noise process with these settings (:meth:`check`); None without the configs of the weights on this
        machine, or if :meth:`check_weights` refuses them."""
        with suppress(DistillError):
            if settings.get('weights'):
                return cls._process_of(known_configs(settings['weights'], settings.get('config')), settings)
        return None

    @classmethod
    def _process_of(cls, folder: Path, settings: Mapping[str, Any]) -> NoiseProcess:
        return NoiseProcess(load_scheduler(folder, settings.get('scheduler')), setting(cls, settings, 'num_steps'))

    @property
    def device(self) -> torch.device:
        """The device of the networks."""
        return next(self.vae.parameters()).device

    def to(self, device) -> 'LatentGenerator':
        """Move the networks to a device."""
        for network in (self.vae, self.guide_vae, self.denoiser):
            network.to(device)
        return self

    def narrow(self, rows: int) -> None:
        """Reduce ``micro_batch`` to ``rows`` if the remaining rows would only be padding; not on a CPU."""
        if self.device.type != 'cpu':  # on a CPU, images must not depend on the number of processes
            self.micro_batch = min(self.micro_batch, rows)

    def generate(self, requests: Sequence[Request], masks: Arrays = None, guidance=None,
                 latents: Arrays = None) -> List[np.ndarray]:
        """Generate one (H, W, 3) uint8 RGB image per request; see :meth:`synthesize` for the arguments.

        Raises:
            DistillError: An image is not finite.
        """
        images = []
        for made in self.synthesize(requests, masks, guidance, latents):
            if made.image is None:
                raise DistillError(f'request {made.request.id}: {made.error}')
            images.append(made.image)
        return images

    def synthesize(self, requests: Sequence[Request], masks: Arrays = None, guidance=None, latents: Arrays = None,
                   upcoming: Optional[Sequence[Request]] = None) -> Iterator[Synthesis]:
        """Yield the images of requests, in order, as they are generated. A failed image does not affect others.

        Args:
            requests: The requests; ids are used in messages.
            masks: (H, W) uint8 train ids, 255 = ignore, of any size; resized to ``image_size`` by nearest neighbour.
                None for generators of classes.
            guidance: A :class:`~mmdistill.guidance.base.Guidance`.
            latents: (C, h, w) float32 clean scaled latents to start from, with noise according to ``strength``; None
                for pure noise. With ``upcoming``, the latents of the upcoming requests follow.
            upcoming: Requests of later calls, whose unguided first steps may be done in the same batches (see
                :class:`~mmdistill.generation.batching.MicroBatches`); for generators of classes. It does not change
                the images.
        """
        done = 0
        for decoded, sampled in self._batches(requests, masks, guidance, latents, upcoming):
            finite = decoded.isfinite().flatten(1).all(1).tolist()
            pixels = ((decoded / 2 + 0.5).nan_to_num(0).clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu()
            for row, (image, final) in enumerate(zip(pixels.numpy(), sampled.latents.cpu())):
                error = sampled.failures.get(row) or (None if finite[row] else _NOT_DECODED)
                yield Synthesis(requests[done + row], final, None if error else image, error,
                                None if error else sampled.traces[row])
            done += len(sampled.latents)

    def sample_images(self, requests: Sequence[Request], masks: Arrays = None) -> Tensor:
        """Unguided images of requests, (N, 3, H, W) float32 in [-1, 1], on the networks' device."""
        return torch.cat([decoded.clamp(-1, 1) for decoded, _ in self._batches(requests, masks)])

    def encode(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) of ``image_size`` in [-1, 1] → clean scaled latents (B, C, h, w) float32.

        Large batches are encoded in slices (:func:`~mmdistill.generation.autoencoders.slice_rows`).
        """
        with torch.no_grad(), torch.autocast(self.device.type, torch.bfloat16, self.dtype is torch.bfloat16):
            pixels = images.to(self.device, memory_format=torch.channels_last)  # 50 % faster on a CPU
            rows = slice_rows(len(images), self.image_size)
            return in_slices(lambda part: encode(self.vae, part), pixels, rows).float().contiguous()

    def guidance_decode(self, latents: Tensor) -> Tensor:
        """Latents (B, C, h, w) → images (B, 3, H, W) in the dtype of the latents, differentiable."""
        with torch.autocast(latents.device.type, torch.bfloat16, self.dtype is torch.bfloat16):
            return decode(self.guide_vae, latents).to(latents.dtype)

    def describe(self) -> dict:
        """Everything that affects the images except requests and guidance, as JSON values for the manifest."""
        scheduler = json.loads(self.scheduler.to_json_string(), parse_constant=str)
        return dict(type=type(self).__name__, weights=self.sources, scheduler=scheduler, num_steps=self.num_steps,
                    cfg_scale=self.cfg.scale, cfg_channels=self.cfg.channels, strength=self.strength,
                    dtype=str(self.dtype).split('.')[-1], image_size=list(self.image_size),
                    micro_batch=self.micro_batch, **(dict(compiled=True) if self.compiled else {}))

    def condition(self, requests: Sequence[Request], masks: Optional[Tensor]) -> Condition:
        """The condition of a batch, on any device.

        Args:
            requests: B requests.
            masks: (B, H, W) int64 of ``image_size``; None for generators of classes.
        """
        raise NotImplementedError
