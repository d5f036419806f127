"""Runs the denoising loop on micro-batches, at once or in two parts."""
import math
from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import torch
from torch import Tensor

from ..errors import DistillError
from ..masks import IGNORE, resize_mask
from ..plan import Request
from .autoencoders import decode, in_slices, slice_rows
from .conditions import Condition
from .process import first_step
from .sampler import sample
from .trace import GuidanceRecord, GuidanceTrace

Arrays = Optional[Sequence[np.ndarray]]


class Synthesis(NamedTuple):
    """The result of a request."""
    request: Request
    latents: Tensor  # (C, h, w) float32 on the CPU, final latents
    image: Optional[np.ndarray]  # (H, W, 3) uint8 RGB; None if latents or a gradient were not finite
    error: Optional[str]  # why there is no image, and at which step it failed
    trace: Optional[GuidanceTrace] = None  # record of the guidance; None without guidance or without an image


class Job(NamedTuple):
    """A request with its mask (H, W) and its start latents (C, h, w), if any."""
    request: Request
    mask: Optional[Tensor] = None
    start: Optional[Tensor] = None


class Sampled(NamedTuple):
    """The result of a micro-batch."""
    latents: Tensor  # (N, C, h, w) final latents, on the networks' device
    failures: Dict[int, str]  # row → why it is not finite
    traces: List[Optional[GuidanceTrace]]  # record of the guidance of each row
    randoms: List[Tensor]  # state of each row's random generator


class MicroBatches:
    """Runs the denoising loop of a :class:`LatentGenerator` on ``micro_batch`` rows, padded with repeats.

    With joint guidance, a batch is a whole group of requests (:attr:`~mmdistill.plan.Request.group`) without padding,
    and the denoiser processes ``micro_batch`` of its rows at a time. All requests of a group must be passed together,
    in the order of the plan.

    The steps before the first guided one do not depend on finished samples. In these steps, free rows process
    ``upcoming`` requests of later calls, so that only guided batches, which may contain one sample per class, need
    padding. Multistep schedulers cannot be interrupted, so they run all steps at once.
    """

    def __init__(self, generator: Any) -> None:
        self.generator = generator
        self._guidance: Any = None
        self._begun: Dict[Request, Tuple[Tensor, Tensor, Optional[str]]] = {}  # latents, random state and error

    def __call__(self, requests: Sequence[Request], masks: Arrays = None, guidance=None, latents: Arrays = None,
                 upcoming: Optional[Sequence[Request]] = None) -> Iterator[Tuple[Tensor, Sampled]]:
        """Yield the decoded images of one micro-batch after another, and the sampling results.

        For the arguments, see :meth:`LatentGenerator.synthesize`. Without ``upcoming``, all steps are run at once.
        """
        generator = self.generator
        everything = [*requests, *(upcoming or ())]
        for values, wanted in ((masks, requests), (latents, everything)):
            if values is not None and len(wanted) != len(values):
                raise ValueError(f'{len(wanted)} requests with {len(values)} masks or latents')
        if masks is None and generator.annotation == 'masks':
            raise DistillError(f'{type(generator).__name__} needs masks and got none: use a class-conditional '
                               'generator')
        joint = guidance is not None and guidance.joint
        first = 0 if latents is None else first_step(len(generator.process), generator.strength)
        if guidance is not None and guidance.objectives:
            guidance.check(dict(window=guidance.window, every=guidance.every), 'guidance',
                           range(first, len(generator.process)))
            guidance.check_signal(generator.process, first, 'guidance')

        def jobs(begin: int, end: int) -> List[Job]:
            return [Job(request, None if masks is None else self._label_map(request, masks[row]),
                        None if latents is None else self._start(request, latents[row]))
                    for row, request in enumerate(everything[begin:end], begin)]

        for begin, end in self._cuts(requests, joint):
            following = None if upcoming is None else jobs(end, end + generator.micro_batch)
            sampled = self._run(jobs(begin, end), first, guidance, following)
            rows = slice_rows(generator.micro_batch, generator.image_size)
            with torch.no_grad(), steady_threads(generator.device, rows):
                final = sampled.latents if joint else torch.stack(self._padded(list(sampled.latents)))
                decoded = in_slices(lambda part: decode(generator.vae, part), final, rows)
            yield decoded[:end - begin], sampled

    def _cuts(self, requests: Sequence[Request], joint: bool) -> List[Tuple[int, int]]:
        """First and end (exclusive) index of each batch."""
        if joint:
            starts = [i for i, request in enumerate(requests) if not i or request.group != requests[i - 1].group]
        else:
            starts = list(range(0, len(requests), self.generator.micro_batch))
        return list(zip(starts, [*starts[1:], len(requests)]))

    def _run(self, jobs: List[Job], first: int, guidance, upcoming: Optional[Sequence[Job]]) -> Sampled:
        """Denoise at most ``micro_batch`` jobs from step ``first``, in two parts if possible."""
        process = self.generator.process
        split = 0 if guidance is None else guidance.steps(len(process)).start
        if upcoming is None or not process.memoryless or split <= first:
            return self._steps(jobs, guidance, first)
        if self._guidance is not guidance:
            self._guidance = guidance
            self._begun.clear()
        fresh = [job for job in jobs if job.request not in self._begun]
        if fresh:  # upcoming requests fill the batch; their latents are stored until they are requested
            fresh += [job for job in upcoming if job.request not in self._begun]
            fresh = fresh[:self.generator.micro_batch]
            part = self._steps(fresh, guidance, first, split)
            self._begun.update((job.request, (part.latents[row], part.randoms[row], part.failures.get(row)))
                               for row, job in enumerate(fresh))
        begun = [self._begun.pop(job.request) for job in jobs]
        done = self._steps(jobs, guidance, split, None, begun)
        done.failures.update((row, error) for row, (_, _, error) in enumerate(begun) if error)
        return done

    def _steps(self, jobs: List[Job], guidance, begin: int, end: Optional[int] = None,
               begun: Sequence[tuple] = ()) -> Sampled:
        """Run the steps from ``begin`` to ``end``, from noise, start latents or the results of earlier steps."""
        generator, count, joint = self.generator, len(jobs), guidance is not None and guidance.joint
        jobs, begun = (jobs, list(begun)) if joint else (self._padded(jobs), self._padded(list(begun)))
        randoms = [torch.Generator().manual_seed(job.request.seed) for job in jobs]
        with steady_threads(generator.device, generator.micro_batch):
            x = self._start_of(jobs, randoms, begin, begun)
            masks = _stacked([job.mask for job in jobs])
            with torch.no_grad():
                condition = generator.condition([job.request for job in jobs], masks).to(generator.device)
            failures: Dict[int, str] = {}
            record = GuidanceRecord()
            rows = generator.micro_batch * (1 if generator.cfg.scale == 1 else 2)
            final = sample(_in_rows(generator.denoiser, rows) if joint else generator.denoiser, generator.process, x,
                           condition, cfg=generator.cfg, guidance=guidance, decode=generator.guidance_decode,
                           generators=randoms, begin=begin, end=end, failures=failures, record=record)
        return Sampled(final[:count], {row: reason for row, reason in failures.items() if row < count},
                       record.traces(count), [random.get_state() for random in randoms])

    def _start_of(self, jobs: List[Job], randoms: List[torch.Generator], begin: int, begun: Sequence[tuple]) -> Tensor:
        """The latents at step ``begin``; also sets the state of the random generators at that step."""
        generator = self.generator
        if begun:
            for random, (_, state, _) in zip(randoms, begun):
                random.set_state(state)
            return torch.stack([latents for latents, _, _ in begun])
        x = torch.stack([torch.randn(generator.latent_shape, generator=random) for random in randoms])
        x, starts = x.to(generator.device), _stacked([job.start for job in jobs])
        return x if starts is None else generator.process.noisy(starts.to(generator.device), x, begin)

    def _padded(self, rows: List[Any]) -> List[Any]:
        return rows + rows[-1:] * (self.generator.micro_batch - len(rows))

    def _start(self, request: Request, latents: np.ndarray) -> Tensor:
        generator = self.generator
        if latents.dtype != np.float32 or latents.shape != generator.latent_shape:
            raise DistillError(f'request {request.id}: latents {latents.dtype} {latents.shape} to start from, but the '
                               f'generator has float32 {generator.latent_shape}: make them with its autoencoder and '
                               f'image_size {generator.image_size}')
        return torch.from_numpy(np.ascontiguousarray(latents))

    def _label_map(self, request: Request, mask: np.ndarray) -> Tensor:
        generator = self.generator
        if mask.dtype != np.uint8 or mask.ndim != 2:
            raise DistillError(f'request {request.id}: a mask is (H, W) uint8, got {mask.dtype} {mask.shape}')
        wrong = mask[(mask >= generator.num_classes) & (mask != IGNORE)]
        if wrong.size:
            raise DistillError(f'request {request.id}: id {int(wrong[0])} in {request.mask or "its mask"}, but the '
                               f'generator has {generator.num_classes} classes (255 = ignore)')
        return torch.from_numpy(np.ascontiguousarray(resize_mask(mask, generator.image_size))).long()


def _in_rows(denoiser: Callable, rows: int) -> Callable:
    """A denoiser that processes ``rows`` rows at a time."""
    def call(x: Tensor, t: Tensor, condition: Condition) -> Tensor:
        parts = [slice(start, start + rows) for start in range(0, len(x), rows)]
        return torch.cat([denoiser(x[part], t[part], condition.rows(part)) for part in parts])

    return call


def _stacked(rows: List[Optional[Tensor]]) -> Optional[Tensor]:
    return None if rows[0] is None else torch.stack(rows)  # type: ignore[arg-type]


@contextmanager
def steady_threads(device: torch.device, rows: int):
    """Context manager that limits CPU threads so that every row of a batch is computed identically.

    PyTorch divides an elementwise kernel into at most one equal chunk per thread, and SiLU and sigmoid round the end of
    a chunk differently from its middle. With n threads, chunks end between rows if all of 2, 3, … n divide the number
    of rows: 2 threads need an even number, 3 a multiple of 6, 4 a multiple of 12. In measurements with U-Nets and a DiT
    and 8 rows, results with 3 or 4 threads depended on the position of a row. A single row may use all threads.

    Args:
        device: Device of the computation; threads are only limited on a CPU.
        rows: Number of rows in the batch.
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
