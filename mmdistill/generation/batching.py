"""Micro-batches through the denoising loop, in one go or in two parts."""
import math
from contextlib import contextmanager
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import torch
from torch import Tensor

from ..plan import Request
from .sampler import sample
from .trace import GuidanceRecord, GuidanceTrace


class Synthesis(NamedTuple):
    """What became of a request.

    Attributes:
        request: The request.
        latents: (C, h, w) float32 on the CPU, the final ones.
        image: (H, W, 3) uint8 RGB; None where latents or a gradient were not finite.
        error: Why there is no image, with the step.
        trace: What guidance did; None without guidance, or where there is no image.
    """
    request: Request
    latents: Tensor
    image: Optional[np.ndarray]
    error: Optional[str]
    trace: Optional[GuidanceTrace] = None


class Job(NamedTuple):
    """A request with its label map (H, W) and its start latents (C, h, w), where it has any."""
    request: Request
    mask: Optional[Tensor] = None
    start: Optional[Tensor] = None


class Sampled(NamedTuple):
    """What became of a micro-batch.

    Attributes:
        latents: (N, C, h, w) final ones, on the networks' device.
        failures: Row to why it is not finite.
        traces: What guidance did to each row.
    """
    latents: Tensor
    failures: Dict[int, str]
    traces: List[Optional[GuidanceTrace]]


class _Begun(NamedTuple):
    latents: Tensor
    random: Tensor
    error: Optional[str]


class MicroBatches:
    """Runs the denoising loop of a generator on ``micro_batch`` rows, empty ones filled up with repeats.

    The steps before the first guided one are the same whatever samples are finished by then. With ``spare`` jobs the
    rows that they would leave empty take these along, so that guided batches, which may not have two samples of a
    class, are all that is run with empty rows. Only schedulers without a memory can be stopped there.

    Args:
        generator: A :class:`~mmdistill.generation.generators.LatentGenerator`.
    """

    def __init__(self, generator: Any) -> None:
        self.generator = generator
        self._guidance: Any = None
        self._begun: Dict[Request, _Begun] = {}

    def run(self, jobs: Sequence[Job], guidance=None, spare: Optional[Sequence[Job]] = None) -> Sampled:
        """Denoise.

        Args:
            jobs: At most ``micro_batch``.
            guidance: See :meth:`LatentGenerator.synthesize`.
            spare: Jobs of later calls with the same guidance; None takes all steps in one go.
        """
        process, jobs = self.generator.process, list(jobs)
        split = 0 if guidance is None else guidance.first(len(process))
        first = 0 if jobs[0].start is None else process.first_step(self.generator.strength)
        if spare is None or not process.memoryless or split <= first:
            return self._steps(jobs, guidance)[0]
        if self._guidance is not guidance:
            self._guidance = guidance
            self._begun.clear()
        begun = self._begin(jobs, spare, guidance, split)
        done, _ = self._steps(jobs, guidance, begun, split)
        done.failures.update((row, one.error) for row, one in enumerate(begun) if one.error)
        return done

    def _begin(self, jobs: List[Job], spare: Sequence[Job], guidance, split: int) -> List[_Begun]:
        """The jobs after the steps up to ``split``; spare ones fill the batch and are kept for their own call."""
        fresh = [job for job in jobs if job.request not in self._begun]
        if fresh:
            fresh += [job for job in spare if job.request not in self._begun]
            fresh = fresh[:self.generator.micro_batch]
            part, states = self._steps(fresh, guidance, end=split)
            self._begun.update((job.request, _Begun(part.latents[row], states[row], part.failures.get(row)))
                               for row, job in enumerate(fresh))
        return [self._begun.pop(job.request) for job in jobs]

    def _steps(self, jobs: List[Job], guidance, begun: Sequence[_Begun] = (), begin: Optional[int] = None,
               end: Optional[int] = None) -> Tuple[Sampled, List[Tensor]]:
        """The steps from ``begin`` to ``end``, and the states of the random generators after them."""
        own = self.generator
        empty = own.micro_batch - len(jobs)
        requests = [job.request for job in jobs + jobs[-1:] * empty]
        randoms = [torch.Generator().manual_seed(request.seed) for request in requests]
        with steady_threads(own.device, own.micro_batch):
            if begun:
                for random, one in zip(randoms, [*begun, *begun[-1:] * empty]):
                    random.set_state(one.random)
                x = filled([one.latents for one in begun], empty)
            else:
                x = torch.stack([torch.randn(own.latent_shape, generator=g) for g in randoms]).to(own.device)
            masks = None if jobs[0].mask is None else filled([job.mask for job in jobs], empty)
            with torch.no_grad():
                condition = own.condition(requests, masks).to(own.device)
            init = {}
            if jobs[0].start is not None and not begun:
                init = dict(init=filled([job.start for job in jobs], empty).to(own.device), strength=own.strength)
            failures: Dict[int, str] = {}
            record = GuidanceRecord()
            latents = sample(own.denoiser, own.process, x, condition, cfg=own.cfg, guidance=guidance,
                             decode=own.guidance_decode, generators=randoms, begin=begin, end=end, failures=failures,
                             record=record, **init)
        failures = {row: reason for row, reason in failures.items() if row < len(jobs)}
        return (Sampled(latents[:len(jobs)], failures, record.traces(len(jobs))),
                [random.get_state() for random in randoms])


def filled(rows: List[Any], empty: int) -> Tensor:
    """The rows stacked, and the last one ``empty`` times more."""
    return torch.stack(rows + rows[-1:] * empty)


@contextmanager
def steady_threads(device: torch.device, rows: int):
    """Few enough CPU threads that every row of a batch is computed alike.

    torch cuts an elementwise kernel's work into equal pieces, one per thread or, of a small tensor, fewer (of 32 768
    values at least), and SiLU and sigmoid round the end of a piece by another code path than its middle. With n threads
    the cuts fall between rows if 2, 3, … and n all divide the rows: 2 threads take an even number of rows, 3 a multiple
    of 6, 4 one of 12. Measured with U-Nets and a DiT, guided and not: of 8 rows, 3 and 4 threads change some rows' bits
    with their position, 1 and 2 do not; of 12 rows, 1 to 4 do not. A batch of one row has no positions: it may use all
    threads.
    """
    threads = torch.get_num_threads()
    steady = threads
    while device.type == 'cpu' and rows > 1 and rows % math.lcm(*range(1, steady + 1)):
        steady -= 1
    torch.set_num_threads(steady)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
