"""Estimates of a run's computation and memory, from a generator without weights, and of its remaining time."""
import math
from dataclasses import dataclass, field
from typing import Any, Dict, Optional, Sequence

from torch import nn

from .autoencoders import slice_rows
from .generators import LatentGenerator
from .passes import Look, Passes
from .process import first_step

GIB = 2**30


@dataclass(frozen=True)
class Workload:
    """The work of a run.

    Args:
        batches: Number of images in each batch, over all processes.
        encoded, measured: Number of real images that the autoencoder encodes for prototypes or support points, and
            that the segmentor processes for class statistics.
        cleaned: Number of generated images that the segmentor processes for label cleaning.
        encode_rows, measure_rows: Batch sizes of encoding and measuring.
        from_latents: Whether images start from latents, so that the generator's ``strength`` applies.
        processes: Number of processes that share the work.
    """
    batches: Sequence[int]
    encoded: int = 0
    measured: int = 0
    cleaned: int = 0
    encode_rows: int = 32
    measure_rows: int = 16
    from_latents: bool = False
    processes: int = 1

    @property
    def images(self) -> int:
        return sum(self.batches)


@dataclass(frozen=True)
class Cost:
    """The estimated cost of a run.

    Attributes:
        images, micro_batch: Number of generated images, and rows per call of the networks.
        tflop: Stage → TFLOP (10^12 floating-point operations; a multiply-add counts as two) of all processes.
        weights: GiB of the weights of all networks.
        stages: Stage → GiB of peak activations.
        processes: Number of processes that share the work.
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
        """TFLOP of generating the images, without the processing of real images and the cleaning of labels."""
        return sum(value for stage, value in self.tflop.items() if stage in ('sampling', 'guidance', 'decoding'))

    @property
    def peak(self) -> float:
        """Peak memory in GiB: the weights and the largest activations of any stage."""
        return self.weights + max(self.stages.values(), default=0.0)

    def hours(self, rate: float) -> float:
        """Hours at ``rate`` TFLOP/s per process."""
        return self.total / (rate * self.processes) / 3600


def estimate(generator: LatentGenerator, work: Workload, guidance: Any = None, segmentor: Optional[nn.Module] = None,
             look: Optional[Look] = None) -> Cost:
    """Estimate the cost of a run.

    Not counted are the text encoder (once per image), optimal transport and class moments (less than a hundredth of a
    denoising step), and reading and writing files. Memory is counted by :func:`~mmdistill.generation.counting.count`;
    in addition, a device needs memory for itself (CUDA about 0.5 GiB) and for fragmentation.

    Args:
        generator: A generator on the meta device (:func:`~mmdistill.generation.outline.outline`).
        work: The work of the run.
        guidance: A :class:`~mmdistill.guidance.base.Guidance`; of its objectives, only ``space`` is used. None for
            plain sampling.
        segmentor: The network of ``look``, for the size of its weights.
        look: Function from images (B, 3, H, W) to logits (B, K, h, w) and features for class statistics, on the meta
            device; None if no objective needs a segmentor.
    """
    passes = Passes(generator, guidance, look)
    rows, steps = generator.micro_batch, len(generator.process)
    first = first_step(steps, generator.strength) if work.from_latents else 0
    guided = len({*range(first, steps)} & {*guidance.steps(steps)}) if guidance is not None else 0
    padded = sum(math.ceil(batch / rows) * rows for batch in work.batches)  # micro-batches are padded
    size, stages = generator.image_size, {}
    slice_of, encode_of = slice_rows(rows, size), slice_rows(work.encode_rows, size)
    plain = passes.step(rows)
    stages['sampling'] = plain
    tflop = {'sampling': plain.flops / rows * padded * (steps - first)}
    if guided:
        stages['guidance'] = passes.guided_step(rows)
        through = plain.flops if guidance.through_network else 0  # the forward pass is counted under sampling
        tflop['guidance'] = (stages['guidance'].flops - through) / rows * padded * guided
    stages['decoding'] = passes.decoding(slice_of)
    tflop['decoding'] = stages['decoding'].flops / slice_of * math.ceil(padded / slice_of) * slice_of
    if work.encoded:
        stages['encoding'] = passes.encoding(encode_of)
        tflop['encoding'] = stages['encoding'].flops / encode_of * work.encoded
    if (work.measured or work.cleaned) and look is not None:
        stages['statistics'] = passes.measuring(work.measure_rows)
        each = stages['statistics'].flops / work.measure_rows
        tflop.update(statistics=each * work.measured, cleaning=each * work.cleaned)
    return Cost(work.images, rows, {stage: flops / 1e12 for stage, flops in tflop.items()},
                passes.weights(segmentor) / GIB, {stage: counted.bytes / GIB for stage, counted in stages.items()},
                work.processes)


class Pace:
    """Measures the rate of a run batch by batch and estimates the remaining time.

    The first batch also loads and selects kernels, so its rate is used only until there is a second batch.

    Args:
        total: Total TFLOP of this process.

    Example:
        >>> pace = Pace(total=100.0)
        >>> pace.update(10.0, seconds=20.0)
        >>> pace.rate, pace.seconds_left
        (0.5, 180.0)
    """

    def __init__(self, total: float) -> None:
        self.left, self._first, self._work, self._seconds = total, (0.0, 0.0), 0.0, 0.0

    def update(self, work: float, seconds: float) -> None:
        """Add ``work`` TFLOP that took ``seconds``."""
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
        """Estimated remaining seconds; infinite before the first batch."""
        return self.left / self.rate if self.rate else math.inf
