"""Cost of the passes of a generator's networks, counted on meta tensors."""
from typing import Any, Callable, List, Optional, Sequence, Tuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..plan import Request
from .autoencoders import decode, encode
from .conditions import Condition
from .counting import META, Counted, autocast_like_cuda, count, parameter_bytes
from .generators import LatentGenerator

Look = Callable[[Tensor], Tuple[Tensor, Sequence[Tensor]]]  # images → a segmentor's logits and features


class Passes:
    """Counts the passes of a generator's networks for batches of ``rows`` rows.

    Args:
        generator: A generator on the meta device.
        guidance, look: See :func:`~mmdistill.generation.cost.estimate`.
    """

    def __init__(self, generator: LatentGenerator, guidance: Any = None, look: Optional[Look] = None) -> None:
        self.generator, self.guidance, self.look = generator, guidance, look
        self._half = generator.dtype is torch.bfloat16
        request = Request(id='estimate', seed=0, classes=(0, ), prompt='')
        masks = torch.zeros(1, *generator.image_size, dtype=torch.long) if generator.annotation == 'masks' else None
        self._condition: Condition = generator.condition([request], masks).to(META)

    def step(self, rows: int) -> Counted:
        """A sampling step without guidance, with both passes of classifier-free guidance."""
        x, condition = self._latents(rows), self._rows(rows)
        with torch.no_grad():
            return count(lambda: self._denoise(x, condition))

    def guided_step(self, rows: int) -> Counted:
        """The cost that guidance adds to a step. With guidance through the network, it includes the step itself.

        An objective with ``reads_network`` counts as a whole conditional pass.
        """
        leaf, condition = self._latents(rows).requires_grad_(), self._rows(rows)

        def run() -> None:
            x = leaf * 1  # the counter's hooks do not accept a leaf
            if self.guidance.through_network:
                x = self._denoise(x, condition)
            objectives = self.guidance.objectives.values()
            energy = self._look(x).mean() if any(o.space == 'image' for o in objectives) else x.square().mean()
            if any(getattr(o, 'reads_network', False) for o in objectives):
                times = self.generator.process.timesteps[0].to(META).expand(rows)
                energy = energy + self.generator.denoiser(x, times, condition).square().mean()
            energy.backward()
            leaf.grad = None

        with torch.enable_grad():
            return count(run)

    def decoding(self, rows: int) -> Counted:
        """The final decoding, in float32."""
        latents = self._latents(rows)
        with torch.no_grad():
            return count(lambda: decode(self.generator.vae, latents))

    def encoding(self, rows: int) -> Counted:
        """The encoding of real images."""
        images = torch.empty(rows, 3, *self.generator.image_size, device=META)

        def run() -> None:
            with autocast_like_cuda(self._half):
                encode(self.generator.vae, images)

        with torch.no_grad():
            return count(run)

    def measuring(self, rows: int) -> Counted:
        """The segmentor's pass over real images, with features in float64 for the statistics."""
        images = torch.empty(rows, 3, *self.generator.image_size, device=META)
        with torch.no_grad():
            return count(lambda: [layer.double() for layer in self.look(images)[1]])  # type: ignore[misc]

    def weights(self, segmentor: Optional[nn.Module]) -> int:
        """Bytes of the weights of all networks."""
        generator = self.generator
        text = generator.prompts.text_encoder if hasattr(generator, 'prompts') else None
        networks = generator.vae, generator.guide_vae, generator.denoiser, text, segmentor
        return parameter_bytes([network for network in networks if network is not None])

    def _latents(self, rows: int) -> Tensor:
        return torch.empty(rows, *self.generator.latent_shape, device=META)

    def _rows(self, rows: int) -> Condition:
        one = self._condition
        tensors, nulls = ({key: value.expand(rows, *value.shape[1:]) for key, value in part.items()}
                          for part in (one.tensors, one.nulls))
        return Condition(tensors, nulls, one.requests * rows)

    def _denoise(self, x: Tensor, condition: Condition) -> Tensor:
        generator = self.generator
        out = generator.cfg(generator.denoiser, x, generator.process.timesteps[0].to(META), condition)
        return generator.process.x0(x, out, 0)

    def _look(self, latents: Tensor) -> Tensor:
        """A loss of the decoded images that costs as much as D3S2's: cross-entropy at the size of the mask, and moments
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
