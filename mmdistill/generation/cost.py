"""What a run will cost: work and memory, counted on a generator without weights, and the time that is left."""
import math
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..plan import Request
from .autoencoders import decode, encode, slice_rows
from .conditions import Condition
from .counting import META, Counted, autocast_like_cuda, count, parameter_bytes
from .generators import LatentGenerator
from .process import first_step

GIB = 2**30
Segmentor = Callable[[Tensor], Tuple[Tensor, Sequence[Tensor]]]  # images → logits, and features that are compared


@dataclass(frozen=True)
class Workload:
    """What a run has to do.

    Args:
        batches: How many images each batch makes, of all processes.
        encoded, measured: Real images that the autoencoder encodes for prototypes or support points, and that the
            segmentor sees for class statistics.
        encode_rows, measure_rows: How many of them at once.
        from_latents: Whether the images begin from latents, so that the generator's ``strength`` counts.
        processes: How many share the work.
    """
    batches: Sequence[int]
    encoded: int = 0
    measured: int = 0
    encode_rows: int = 32
    measure_rows: int = 16
    from_latents: bool = False
    processes: int = 1

    @property
    def images(self) -> int:
        return sum(self.batches)


@dataclass(frozen=True)
class Cost:
    """The estimate for a run.

    Attributes:
        images, micro_batch: How many are made, and how many rows the networks see at once.
        tflop: Stage → TFLOP (10^12 floating-point operations, two for each multiply-add) of all processes.
        weights: GiB of all networks.
        stages: Stage → GiB of the most activations at once.
        processes: How many share the work.
    """
    images: int
    micro_batch: int
    tflop: Dict[str, float]
    weights: float
    stages: Dict[str, float] = field(default_factory=dict)
    processes: int = 1

    @property
    def total(self) -> float:
        """TFLOP of all stages."""
        return sum(self.tflop.values())

    @property
    def synthesis(self) -> float:
        """TFLOP of the images alone, without what is done once for the real ones."""
        return sum(value for stage, value in self.tflop.items() if stage not in ('encoding', 'statistics'))

    @property
    def peak(self) -> float:
        """GiB at once: the weights and the stage with the most activations."""
        return self.weights + max(self.stages.values(), default=0.0)

    def hours(self, rate: float) -> float:
        """Hours at ``rate`` TFLOP/s of each process."""
        return self.total / (rate * self.processes) / 3600


def estimate(generator: LatentGenerator, work: Workload, guidance: Any = None, segmentor: Optional[nn.Module] = None,
             look: Optional[Segmentor] = None) -> Cost:
    """Count a run of ``generator``, see :func:`~mmdistill.generation.outline.outline`.

    Not counted: the text encoder, once per image; optimal transport and class moments, less than a hundredth of a
    denoiser's step; reading and writing files. Memory is that of :func:`~mmdistill.generation.counting.count`: a
    device adds its own (CUDA about 0.5 GiB) and the fragments of its allocator.

    Args:
        generator: On meta tensors.
        work: How much there is to do.
        guidance: A :class:`~mmdistill.guidance.base.Guidance`; of its objectives only ``space`` is read. None for
            plain sampling.
        segmentor: The network behind ``look``, for its weights.
        look: Images (B, 3, H, W) to logits (B, K, h, w) and the features that class statistics are made of, on meta
            tensors; None where no objective asks a segmentor.
    """
    passes = Passes(generator, guidance, look)
    rows, steps = generator.micro_batch, len(generator.process)
    first = first_step(steps, generator.strength) if work.from_latents else 0
    guided = sum(guidance.active(i, steps) for i in range(first, steps)) if guidance is not None else 0
    filled = sum(math.ceil(batch / rows) * rows for batch in work.batches)  # micro-batches are filled up
    size, stages = generator.image_size, {}
    slice_of, encode_of = slice_rows(rows, size), slice_rows(work.encode_rows, size)
    plain = passes.step(rows)
    stages['sampling'] = plain
    tflop = {'sampling': plain.flops / rows * filled * (steps - first)}
    if guided:
        stages['guidance'] = passes.guided_step(rows)
        through = plain.flops if guidance.through == 'xt' else 0  # the forward pass is sampling's
        tflop['guidance'] = (stages['guidance'].flops - through) / rows * filled * guided
    stages['decoding'] = passes.decoding(slice_of)
    tflop['decoding'] = stages['decoding'].flops / slice_of * math.ceil(filled / slice_of) * slice_of
    if work.encoded:
        stages['encoding'] = passes.encoding(encode_of)
        tflop['encoding'] = stages['encoding'].flops / encode_of * work.encoded
    if work.measured and look is not None:
        stages['statistics'] = passes.measuring(work.measure_rows)
        tflop['statistics'] = stages['statistics'].flops / work.measure_rows * work.measured
    return Cost(work.images, rows, {stage: flops / 1e12 for stage, flops in tflop.items()},
                passes.weights(segmentor) / GIB, {stage: counted.bytes / GIB for stage, counted in stages.items()},
                work.processes)


class Passes:
    """Each kind of pass of a generator's networks, counted on ``rows`` rows of meta tensors."""

    def __init__(self, generator: LatentGenerator, guidance: Any = None, look: Optional[Segmentor] = None) -> None:
        self.generator, self.guidance, self.look = generator, guidance, look
        self._half = generator.dtype is torch.bfloat16
        request = Request(id='estimate', seed=0, classes=(0, ), prompt='')
        masks = torch.zeros(1, *generator.image_size, dtype=torch.long) if generator.annotation == 'masks' else None
        self._condition: Condition = generator.condition([request], masks).to(META)

    def step(self, rows: int) -> Counted:
        """A step of sampling without guidance, both passes of classifier-free guidance."""
        x, condition = self._latents(rows), self._rows(rows)
        with torch.no_grad():
            return count(lambda: self._denoise(x, condition))

    def guided_step(self, rows: int) -> Counted:
        """What guidance adds to a step; with ``through='xt'`` also the step itself."""
        leaf, condition = self._latents(rows).requires_grad_(), self._rows(rows)

        def run() -> None:
            x = leaf * 1  # the counter's hooks refuse a leaf
            if self.guidance.through == 'xt':
                x = self._denoise(x, condition)
            spaces = {objective.space for objective in self.guidance.objectives.values()}
            energy = x.square().mean() if 'image' not in spaces else self._look(x).mean()
            energy.backward()
            leaf.grad = None

        with torch.enable_grad():
            return count(run)

    def decoding(self, rows: int) -> Counted:
        """The last decoding, float32."""
        latents = self._latents(rows)
        with torch.no_grad():
            return count(lambda: decode(self.generator.vae, latents))

    def encoding(self, rows: int) -> Counted:
        """Real images to latents."""
        images = torch.empty(rows, 3, *self.generator.image_size, device=META)

        def run() -> None:
            with autocast_like_cuda(self._half):
                encode(self.generator.vae, images)

        with torch.no_grad():
            return count(run)

    def measuring(self, rows: int) -> Counted:
        """The segmentor's features of real images, in float64 as the statistics are."""
        images = torch.empty(rows, 3, *self.generator.image_size, device=META)
        with torch.no_grad():
            return count(lambda: [layer.double() for layer in self.look(images)[1]])  # type: ignore[misc]

    def weights(self, segmentor: Optional[nn.Module]) -> int:
        """Bytes of all networks."""
        own = self.generator
        text = [own.prompts.text_encoder] if hasattr(own, 'prompts') else []
        return parameter_bytes([own.vae, own.guide_vae, own.denoiser, *text, *([] if segmentor is None else [segmentor])])

    def _latents(self, rows: int) -> Tensor:
        return torch.empty(rows, *self.generator.latent_shape, device=META)

    def _rows(self, rows: int) -> Condition:
        return self._condition.rows([0] * rows)

    def _denoise(self, x: Tensor, condition: Condition) -> Tensor:
        own = self.generator
        out = own.cfg(own.denoiser, x, own.process.timesteps[0].to(META), condition)
        return own.process.x0(x, out, 0)

    def _look(self, latents: Tensor) -> Tensor:
        """A loss of the decoded images of the same cost as D3S2's: cross-entropy at the size of the mask, and moments
        of the features."""
        with autocast_like_cuda(self._half):
            images = decode(self.generator.guide_vae, latents)
        images = images.to(latents.dtype)
        if self.look is None:
            return images.square().mean()[None]
        logits, features = self.look(images)
        if logits.shape[-2:] != images.shape[-2:]:
            logits = F.interpolate(logits, images.shape[-2:], mode='bilinear', align_corners=False)
        mask = torch.zeros(logits.shape[0], *logits.shape[-2:], dtype=torch.long, device=META)
        losses: List[Tensor] = [F.nll_loss(logits.log_softmax(1), mask, reduction='none').mean()]
        losses += [layer.var() for layer in features]
        return torch.stack(losses)


class Pace:
    """The rate of a run, and the time that is left of it, measured batch by batch.

    The first batch, which loads kernels and chooses among them, counts only until there is a second.

    Args:
        total: TFLOP of this process.

    Example:
        >>> pace = Pace(total=100.0)
        >>> pace.update(10.0, seconds=20.0)
        >>> pace.rate, pace.seconds_left
        (0.5, 180.0)
    """

    def __init__(self, total: float) -> None:
        self.left, self._first, self._work, self._seconds = total, (0.0, 0.0), 0.0, 0.0

    def update(self, work: float, seconds: float) -> None:
        """Take in ``work`` TFLOP that took ``seconds``."""
        self.left = max(self.left - work, 0.0)
        if self._first == (0.0, 0.0):
            self._first = work, seconds
        else:
            self._work, self._seconds = self._work + work, self._seconds + seconds

    @property
    def rate(self) -> float:
        """TFLOP/s; 0 before the first batch."""
        work, seconds = (self._work, self._seconds) if self._seconds else self._first
        return work / seconds if seconds else 0.0

    @property
    def seconds_left(self) -> float:
        """Seconds for the rest of the work; infinite before the first batch."""
        return self.left / self.rate if self.rate else math.inf
