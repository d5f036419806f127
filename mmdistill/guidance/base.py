"""Guidance of the denoising loop by the gradients of objectives."""
import math
from functools import reduce
from typing import Annotated, Any, Callable, Dict, List, Literal, Mapping, Optional, Protocol, Sequence, Set, Tuple

import torch
from torch import Tensor

from ..errors import DistillError
from ..plan import Request
from ..settings import PositiveInt, Range, Share, setting, validated
from .checks import check_objectives

_NO_SIGNAL = 1e-6  # rounding leaves up to about 1e-7 of a signal of 0
Scale = Annotated[float, Range(0, math.inf, below=True)]


class Objective(Protocol):
    """A loss of the clean prediction, or of the noisy latents.

    Attributes:
        weight: Factor of this objective in the sum.
        space: ``'image'`` for a loss of the decoded clean prediction in [-1, 1], ``'latent'`` for a loss of the clean
            prediction itself, ``'noisy'`` for a loss of the noisy latents.
        joint: Optional; True if the images of a group (the images of a class, :attr:`~mmdistill.plan.Request.group`)
            must be generated together, because the loss of an image depends on the others.
        greedy: Optional; True if the images of a group must be generated one after another:
            ``remember(request, latents)`` is called with each finished image, and ``ready(request)`` returns whether a
            request can be processed.
        annotation: Optional; ``'masks'`` or ``'classes'`` if the objective works for only one of them.
        needs: Optional; constructor arguments that the run provides instead of the config: names of resources, or a
            dict from names to the settings that are passed to the resource. Only used for objectives in configs.
    """
    weight: float
    space: str

    def __call__(self, x: Tensor, batch, *level) -> Tensor:
        """Compute one loss per sample.

        A loss must not depend on other rows, except, with ``joint``, on the rows of its group. The guidance follows the
        gradient of their sum.

        Args:
            x: (B, 3, H, W) images or (B, C, h, w) latents.
            batch: The :class:`~mmdistill.generation.conditions.Condition` of the rows, with ``requests`` and, for
                generators of masks, the tensor ``mask`` (B, H, W) int64.
            *level: The :class:`~mmdistill.generation.process.Level` of ``x``, only if ``space`` is ``'noisy'``.

        Returns:
            (B,).
        """


class Guidance:
    r"""The weighted sum of objectives, and the step along its negative gradient.

    D3S2's step, :math:`z_{t-1} \leftarrow z_{t-1} - \rho \nabla_{z_t} \sum_k \lambda_k L_k(\hat x_0)` inside a window
    of steps, is ``through='xt', update='prev', norm='none'`` (our reconstruction; the paper's exact form was not
    available). The defaults are cheaper: the network's output is held constant, and the clean prediction itself is
    shifted. DMGD's step, :math:`\mu \leftarrow \mu - \rho \sigma_t \nabla_{z_t} L` through the linear form of x0, is
    ``through='linear', update='prev', step='sigma', norm='none'``.

    ``update='output'`` shifts the network's output :math:`y_t` (epsilon, v, flow or sample, after classifier-free
    guidance) along the negative gradient with respect to that output, before the scheduler's step:

    .. math:: y_t \leftarrow y_t - \rho_t \, \nabla_{y_t} L(\hat x_0(z_t, y_t)), \qquad
        \nabla_{y_t} L = \frac{\partial \hat x_0}{\partial y_t} \nabla_{\hat x_0} L, \qquad
        \frac{\partial \hat x_0}{\partial y_t} = -\frac{\sigma_t}{\alpha_t}, \; -\sigma_t, \; -\sigma_t, \; 1

    for epsilon, v, flow and sample. For flow, this is CRFM's correction (arXiv 2512.16740; its form is known from its
    released code; no code is copied), and ``window=(0, 4 / 23)`` are its first 4 of 23 steps. Our choices are the
    objectives (CRFM's loss is the cross-entropy of the pixels that the segmentor gets wrong), a constant step size, no
    clamping of the output to [-1, 1], and the other prediction types. With ``through='xt'``, the gradient with respect
    to the output is :math:`\alpha_t (\partial \hat x_0 / \partial y_t) \nabla_{z_t} L`. For epsilon, this is classifier
    guidance, :math:`\epsilon + \rho \sigma_t \nabla_{z_t} L` (Dhariwal & Nichol, arXiv 2105.05233, algorithm 2); if the
    predicted noise does not depend on :math:`z_t`, it equals ``through='x0'``. A shift of the output shifts x0 by the
    factor above, so ``'output'`` gives more weight to early steps than ``'x0'``.

    ``update='conditional'`` shifts the clean prediction of the conditional pass before classifier-free guidance, which
    then amplifies the shift: CoDA's correction (:class:`~mmdistill.guidance.points.PointMatching`).

    For an objective of the noisy latents, the gradient is with respect to :math:`z_t` for any ``through``, and it needs
    ``update='prev'``: the gradient at :math:`z_t` shifts :math:`z_{t-1}`.

    Args:
        objectives: A dict by name, or a sequence; then their class names are used.
        window: Part of the steps to guide, ``0 <= first < last <= 1``, in sampling order: ``(0, 0.2)`` is the first
            fifth, which starts from pure noise. Ends are rounded to whole steps.
        scale: The step size, rho, at least 0. Equal shifts of x0, the output and x_{t-1} have different effects: early
            in the trajectory, a shift of x0 moves the sample much less than the same shift of x_{t-1}.
        through: ``'x0'``: gradient with respect to x0, with the network's output held constant; ``'linear'``: gradient
            with respect to x_t with the predicted noise held constant, which multiplies the gradient for x0 by
            dx0/dx_t = 1 / alpha_t, so the guided steps need a signal, alpha_t > 0; ``'xt'``: gradient with respect to
            x_t, through the network.
        update: What is shifted: ``'x0'``: the clean prediction before the scheduler's step; ``'prev'``: the latents
            after it; ``'output'``: the network's output before it; ``'conditional'``: the clean prediction of the
            conditional pass. The last two need ``through='x0'`` or ``'xt'``.
        norm: ``'none'``; ``'unit'``: the gradient of each sample is normalised to L2 norm 1; ``'rms'``: to root mean
            square 1, so that the scale does not depend on the latent size.
        step: ``'constant'``; ``'sigma'``: the scale is multiplied by the standard deviation of the ancestral step's
            posterior, :math:`\sigma_t^2 = \frac{1 - \bar\alpha_{t-1}}{1 - \bar\alpha_t}
            (1 - \bar\alpha_t / \bar\alpha_{t-1})`, whatever the scheduler's variance is. DMGD's released code uses the
            variance learned by the DiT, which differs by at most 0.33 % in the guided steps of DMGD's configs with 50
            steps, and by much more in the last steps (``benchmarks/sigma.py``). ``'noise'``, with ``norm='unit'``: the
            shift of each sample has the length :math:`\rho \sqrt{1 - \bar\alpha_t} \, \|\hat\epsilon_t\|`, with
            :math:`\hat\epsilon_t = (z_t - \alpha_t \hat x_0) / \sigma_t` for any prediction type. This is the rule of
            LGD, which we know from a description by others; for flow matching, :math:`\sigma_t` replaces
            :math:`\sqrt{1 - \bar\alpha_t}` (our choice).
        every: Guide every ``every``-th step of the window.
        semantic: Function ``(condition, t) -> condition`` for the network, such as
            :class:`~mmdistill.guidance.semantic.SemanticMatching`. With it, ``objectives`` may be empty.

    Raises:
        DistillError: Settings or objectives do not fit each other.

    Example:
        >>> from mmdistill.generation import ClassConditionalGenerator
        >>> from mmdistill.plan import Request
        >>> class Brightness:
        ...     space, weight = 'image', 1.0
        ...     def __call__(self, images, batch):  # (B, 3, H, W) in [-1, 1] -> (B,)
        ...         return -images.flatten(1).mean(1)
        >>> generator = ClassConditionalGenerator.from_pretrained('mmdistill://objects', num_steps=4)
        >>> requests = [Request('boat/0', seed=1, classes=(0, ))]
        >>> plain, = generator.generate(requests)
        >>> guided, = generator.generate(requests, guidance=Guidance([Brightness()], window=(0.5, 1.0), scale=30.0))
        >>> plain.shape, bool(guided.mean() > plain.mean())
        ((64, 64, 3), True)
    """

    @validated
    def __init__(self, objectives: Any, *, window: Tuple[Share, Share] = (0.25, 1.0), scale: Scale = 3.0,
                 through: Literal['x0', 'linear', 'xt'] = 'x0',
                 update: Literal['x0', 'prev', 'output', 'conditional'] = 'x0',
                 norm: Literal['none', 'unit', 'rms'] = 'unit',
                 step: Literal['constant', 'sigma', 'noise'] = 'constant',
                 every: PositiveInt = 1, semantic: Optional[Callable] = None):
        self.check(dict(window=window, through=through, update=update, norm=norm, step=step), 'Guidance')
        if isinstance(objectives, Sequence):
            named = {type(objective).__name__: objective for objective in objectives}
            if len(named) < len(objectives):
                raise DistillError('guidance: two objectives have the same class: pass a dict that names each of them')
            objectives = named
        check_objectives(objectives, update, 'guidance')
        if not objectives and semantic is None:
            raise DistillError('guidance: no objectives: list at least one, or leave the guidance out')
        self.objectives: Dict[str, Objective] = dict(objectives)
        self.window, self.every, self.semantic = tuple(window), every, semantic
        self.scale, self.through, self.update, self.norm, self.step = scale, through, update, norm, step

    @classmethod
    def check(cls, settings: Mapping[str, Any], where: str, steps: Optional[range] = None) -> None:
        """Raise a DistillError if settings do not fit each other, or the window contains none of the steps.

        Args:
            settings: Arguments of the constructor.
            where: Key of the settings in the config, for messages.
            steps: The steps of the images, if known; at least one must be guided.
        """
        window, every = setting(cls, settings, 'window'), setting(cls, settings, 'every')
        through, update, norm, step = (setting(cls, settings, key) for key in ('through', 'update', 'norm', 'step'))
        by = dict(output='output', conditional='clean prediction').get(update)
        if by and through == 'linear':
            raise DistillError(f"{where}: update={update!r} needs the gradient with respect to the {by}, which "
                               "through='linear' does not give: set through='x0' (network held constant) or 'xt' "
                               '(through the network)')
        if step == 'noise' and norm != 'unit':
            raise DistillError(f"{where}: step='noise' sets the length of the shift, so norm={norm!r} has no meaning: "
                               "set norm='unit'")
        if not window[0] < window[1]:
            raise DistillError(f'{where}: window={tuple(window)} has to be 0 <= first < last <= 1')
        if steps and not set(steps) & set(_guided(window, every, steps.stop)):
            skipped = f'; strength skips the first {steps.start}' if steps.start else ''
            raise DistillError(f'{where}: window={tuple(window)} with every={every} guides none of the steps '
                               f'({steps.stop} steps{skipped}): widen it, use more steps, or leave the guidance out')

    def check_signal(self, process, first: int, where: str) -> None:
        """Raise a DistillError if the gradient of a guided step would be divided by a signal of 0.

        Flow matching, and schedulers with ``rescale_betas_zero_snr``, start from pure noise.

        Args:
            process: The noise process.
            first: The first step of the images.
            where: Key of the settings in the config, for messages.
        """
        if self.through != 'linear' or not self._spaces - {'noisy'}:
            return
        count = len(process)
        silent = [i for i in self.steps(count) if i >= first and process.alphas[i] < _NO_SIGNAL]
        if silent:
            begin = math.ceil((silent[-1] + 1) / count * 100) / 100
            raise DistillError(f"{where}: through='linear' divides by the signal, which {process.name} sets to 0 at "
                               f'step {silent[-1]} of {count}: start window at {begin:g} or later, set a strength that '
                               "skips the step if the images start from latents, or set through='x0'")

    @property
    def memories(self) -> List:
        """The ``greedy`` objectives, whose ``remember(request, latents)`` must be called with finished samples."""
        return [objective for objective in self.objectives.values() if getattr(objective, 'greedy', False)]

    @property
    def joint(self) -> bool:
        """Whether the images of a group must be generated together, in one batch."""
        return any(getattr(objective, 'joint', False) for objective in self.objectives.values())

    @property
    def through_network(self) -> bool:
        """Whether the gradient is backpropagated through the denoising network."""
        return self.through == 'xt' and any(o.space != 'noisy' for o in self.objectives.values())

    def steps(self, num_steps: int) -> range:
        """Indices of the guided steps; without objectives, an empty range that starts at ``num_steps``."""
        return _guided(self.window, self.every, num_steps) if self.objectives else range(num_steps, num_steps)

    def shift(self, x: Tensor, x0: Tensor, condition, i: int, process=None,
              decode: Optional[Callable[[Tensor], Tensor]] = None) -> Tuple[Tensor, Dict[str, Tensor]]:
        """Compute the shift for one step.

        Args:
            x, x0: (B, C, h, w) noisy latents and clean prediction. With :attr:`through_network`, ``x`` must require a
                gradient and ``x0`` depend on it.
            condition: Condition of B rows, for the objectives.
            i: Index of the step.
            process: The noise process, for objectives of noisy latents, ``through='linear'``, ``update='output'`` and
                step sizes that are not constant.
            decode: Differentiable function from latents (B, C, h, w) to images (B, 3, H, W) in [-1, 1], for objectives
                of images.

        Returns:
            The shift (B, C, h, w) of the tensor selected by ``update``, and the unweighted loss (B,) of each objective.
            The shift may be non-finite, which the caller must check.
        """
        with torch.enable_grad():
            x, x0, leaves = self._leaves(x, x0)
            inputs: Dict[str, Tuple] = dict(latent=(x0, condition))
            if 'noisy' in self._spaces:
                inputs['noisy'] = (x, condition, process.level(i))
            if decode is not None and 'image' in self._spaces:
                inputs['image'] = (decode(x0), condition)  # once for all objectives
            losses = {name: o(*inputs[o.space]) for name, o in self.objectives.items()}
            energy = self._energy(losses, len(x0))
            gradients = dict(zip(leaves, torch.autograd.grad(energy.sum(), [*leaves.values()])))
        if self.through == 'linear' and 'clean' in gradients:
            gradients['clean'] = gradients['clean'] / process.alphas[i]
        gradient: Any = reduce(torch.add, gradients.values())
        if self.update == 'output':
            gradient = gradient * (process.slope(i) * (process.alphas[i] if self.through == 'xt' else 1.0))
        shift = -self._scale(x, x0.detach(), i, process) * self._normalise(gradient)
        return shift, {name: loss.detach() for name, loss in losses.items()}

    def _energy(self, losses: Mapping[str, Any], rows: int) -> Tensor:
        """The weighted sum of the losses (B,).

        Raises:
            DistillError: An objective did not return one loss per image, or no loss depends on its input.
        """
        for name, loss in losses.items():
            if getattr(loss, 'shape', None) != (rows, ):
                found = f'shape {tuple(loss.shape)}' if isinstance(loss, Tensor) else f'type {type(loss).__name__}'
                raise DistillError(f'guidance: {name} returned a loss of {found}: return a tensor of shape ({rows},), '
                                   'one loss per image')
        energy: Any = sum(self.objectives[name].weight * loss for name, loss in losses.items())
        if not energy.requires_grad:
            raise DistillError(f'guidance: the loss of {", ".join(losses)} does not depend on the first argument: '
                               'compute it with differentiable operations, without detach(), no_grad() or NumPy')
        return energy

    @property
    def _spaces(self) -> Set[str]:
        return {objective.space for objective in self.objectives.values()}

    def _leaves(self, x: Tensor, x0: Tensor) -> Tuple[Tensor, Tensor, Dict[str, Tensor]]:
        """Noisy latents and clean prediction for the objectives, and the leaves of the gradient: ``'clean'`` for
        objectives of the clean prediction, ``'noisy'`` for the others."""
        if self.through_network:
            return x, x0, dict(clean=x)  # also the leaf for objectives of the noisy latents
        leaves, x0 = {}, x0.detach().requires_grad_()
        if self._spaces != {'noisy'}:
            leaves['clean'] = x0
        if 'noisy' in self._spaces:
            x = leaves['noisy'] = x.detach().requires_grad_()
        return x, x0, leaves

    def _scale(self, x: Tensor, x0: Tensor, i: int, process) -> Any:
        """The step size: a number, or (B, 1, 1, 1) with one per sample."""
        if self.step == 'noise':
            noise = (x.detach() - process.alphas[i] * x0) / process.sigmas[i]
            return self.scale * process.sigmas[i] * noise.flatten(1).norm(dim=1).view(-1, *[1] * (x.ndim - 1))
        return self.scale * (process.posterior_std(i) if self.step == 'sigma' else 1.0)

    def _normalise(self, gradient: Tensor) -> Tensor:
        if self.norm == 'none':
            return gradient
        # Divided by its maximum first, so that squares of a small gradient do not underflow. Zero gradients, such as
        # those of samples without labelled pixels, stay 0.
        rows = gradient.flatten(1)
        rows = rows / rows.abs().amax(1, keepdim=True).clamp_min(torch.finfo(rows.dtype).tiny)
        rows = rows / rows.square().sum(1, keepdim=True).sqrt().clamp_min(1)
        return (rows if self.norm == 'unit' else rows * rows.shape[1]**0.5).view_as(gradient)


def group_rows(requests: Sequence[Request]) -> List[List[int]]:
    """The rows of each group (:attr:`~mmdistill.plan.Request.group`) in a batch of requests."""
    groups: Dict[Tuple, List[int]] = {}
    for row, request in enumerate(requests):
        groups.setdefault(request.group, []).append(row)
    return list(groups.values())


def _guided(window: Sequence[float], every: int, num_steps: int) -> range:
    return range(round(window[0] * num_steps), round(window[1] * num_steps), every)
