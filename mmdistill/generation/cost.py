"""What a run will cost: work and memory, counted on a generator without weights, and the time that is left."""
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
    """What a run has to do.

    Args:
        batches: How many images each batch makes, of all processes.
        encoded, measured: Real images that the autoencoder encodes for prototypes or support points, and that the
            segmentor sees for class statistics.
        cleaned: Made images that the segmentor looks at again.
        encode_rows, measure_rows: How many of them at once.
        from_latents: Whether the images begin from latents, so that the generator's ``strength`` counts.
        processes: How many share the work.
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
        """TFLOP of making the images alone, without what is done for real ones before and for the labels after."""
        return sum(value for stage, value in self.tflop.items() if stage in ('sampling', 'guidance', 'decoding'))

    @property
    def peak(self) -> float:
        """GiB at once: the weights and the stage with the most activations."""
        return self.weights + max(self.stages.values(), default=0.0)

    def hours(self, rate: float) -> float:
        """Hours at ``rate`` TFLOP/s of each process."""
        return self.total / (rate * self.processes) / 3600


def estimate(generator: LatentGenerator, work: Workload, guidance: Any = None, segmentor: Optional[nn.Module] = None,
             look: Optional[Look] = None) -> Cost:
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
    guided = len({*range(first, steps)} & {*guidance.steps(steps)}) if guidance is not None else 0
    filled = sum(math.ceil(batch / rows) * rows for batch in work.batches)  # micro-batches are filled up
    size, stages = generator.image_size, {}
    slice_of, encode_of = slice_rows(rows, size), slice_rows(work.encode_rows, size)
    plain = passes.step(rows)
    stages['sampling'] = plain
    tflop = {'sampling': plain.flops / rows * filled * (steps - first)}
    if guided:
        stages['guidance'] = passes.guided_step(rows)
        through = plain.flops if guidance.through_network else 0  # the forward pass is sampling's
        tflop['guidance'] = (stages['guidance'].flops - through) / rows * filled * guided
    stages['decoding'] = passes.decoding(slice_of)
    tflop['decoding'] = stages['decoding'].flops / slice_of * math.ceil(filled / slice_of) * slice_of
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
