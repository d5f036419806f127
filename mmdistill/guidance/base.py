"""Guidance: objectives that steer the denoising loop by their gradient."""
from functools import reduce
from typing import Any, Callable, Dict, List, Literal, Mapping, Optional, Protocol, Sequence, Set, Tuple

import torch
from torch import Tensor

from ..errors import DistillError
from ..plan import Request
from ..settings import PositiveInt, Share, setting, validated


class Objective(Protocol):
    """A loss of the clean prediction, or of the noisy latents.

    Attributes:
        weight: Factor of this objective in the sum.
        space: ``'image'`` for a loss of the decoded clean prediction in [-1, 1], ``'latent'`` for one of the clean
            prediction itself, ``'noisy'`` for one of the noisy latents.
        joint: Optional; True where the images of a group (:attr:`~mmdistill.plan.Request.group`: those of a class)
            have to be made together, because the loss of one depends on the others.
        greedy: Optional; True where they have to be made one after the other: ``remember(request, latents)`` takes each
            finished one, and ``ready(request)`` says whether a request can be made.
        annotation: ``'masks'`` or ``'classes'`` where it works for one of them only.
        needs: What its constructor is given by the run instead of the config: names of resources, or a dict of them
            to the settings that go to the resource. Only read of objectives that are built from a config.
    """
    weight: float
    space: str

    def __call__(self, x: Tensor, batch, *level) -> Tensor:
        """(B,): one loss for each sample, which depends on no other row, or if ``joint`` on those of its group; the
        gradient of their sum is what guides.

        Args:
            x: (B, 3, H, W) images or (B, C, h, w) latents.
            batch: The :class:`~mmdistill.generation.conditions.Condition` of the rows: tensors by name, among them
                ``mask`` (B, H, W) int64 for generators of masks, and ``requests``.
            *level: Given where ``space`` is ``'noisy'``: the :class:`~mmdistill.generation.process.Level` of ``x``.
        """


class Guidance:
    r"""The weighted sum of objectives, and how its gradient moves the sample.

    D3S2's step, :math:`z_{t-1} \leftarrow z_{t-1} - \rho \nabla_{z_t} \sum_k \lambda_k L_k(\hat x_0)` inside a window
    of steps, is ``through='xt', update='prev', norm='none'`` (reconstruction; the paper's exact form was not
    available). The defaults are cheaper: the network's output is held constant and the clean prediction itself is
    moved. DMGD's step, :math:`\mu \leftarrow \mu - \rho \sigma_t \nabla_{z_t} L` through the linear form of x0, is
    ``through='linear', update='prev', step='sigma', norm='none'``.

    ``update='output'`` moves what the network says, :math:`y_t` (epsilon, v, flow or sample, after classifier-free
    guidance), against the gradient by that output, before the scheduler's step:

    .. math:: y_t \leftarrow y_t - \rho_t \, \nabla_{y_t} L(\hat x_0(z_t, y_t)), \qquad
        \nabla_{y_t} L = \frac{\partial \hat x_0}{\partial y_t} \nabla_{\hat x_0} L, \qquad
        \frac{\partial \hat x_0}{\partial y_t} = -\frac{\sigma_t}{\alpha_t}, \; -\sigma_t, \; -\sigma_t, \; 1

    for epsilon, v, flow and sample. For flow that is CRFM's correction (arXiv 2512.16740; its form is known from its
    released code, none of which is here), and ``window=(0, 4 / 23)`` its first 4 of 23 steps. Ours: the objectives (its
    loss is the cross-entropy of the pixels that the segmentor gets wrong), a step that does not fall from one to the
    next, no clamp of the output to [-1, 1], and the other kinds of output. With ``through='xt'`` the gradient by the
    output is taken to be :math:`\alpha_t (\partial \hat x_0 / \partial y_t) \nabla_{z_t} L`: for epsilon that is
    classifier guidance, :math:`\epsilon + \rho \sigma_t \nabla_{z_t} L` (Dhariwal & Nichol, arXiv 2105.05233, algorithm
    2), and where the predicted noise does not depend on :math:`z_t` it is what ``through='x0'`` gives. A shift of the
    output is one of x0 by the factor above, so that ``'output'`` weighs early steps more than ``'x0'`` does.

    ``update='conditional'`` shifts the clean prediction of the conditional pass before classifier-free guidance, which
    then amplifies the shift: CoDA's correction (:class:`~mmdistill.guidance.points.PointMatching`).

    An objective of the noisy latents gives its gradient by :math:`z_t`, whatever ``through`` is for the others, and
    needs ``update='prev'``: the gradient at :math:`z_t` shifts :math:`z_{t-1}`.

    Args:
        objectives: By name, or in a sequence (their class names then name them).
        window: Part of the scheduler's steps that is guided, ``0 <= first < last <= 1``, in the order in which they
            are taken: ``(0, 0.2)`` is the first fifth, from pure noise; edges are rounded to whole steps.
        scale: The step size, rho. Shifts of x0, of the output and of x_{t-1} of one size are not alike: early in the
            trajectory the first move the sample much less than the last.
        through: ``'x0'``: gradient with respect to x0 with the network's output held constant (the constant factor
            dx0/dx_t of that linear form is left out); ``'linear'``: with that factor, 1 / alpha_t, the predicted noise
            held constant; ``'xt'``: with respect to the noisy latents, through the network.
        update: ``'x0'`` shifts the clean prediction before the scheduler's step, ``'prev'`` the latents after it,
            ``'output'`` the network's output before it, ``'conditional'`` the clean prediction of the conditional pass
            alone; the last two with ``through='x0'`` or ``'xt'``.
        norm: ``'none'``; ``'unit'``: each sample's gradient has L2 norm 1; ``'rms'``: root mean square 1, so that one
            scale serves any latent size.
        step: ``'constant'``, or ``'sigma'``: the scale times the standard deviation of the ancestral step's posterior,
            :math:`\sigma_t^2 = \frac{1 - \bar\alpha_{t-1}}{1 - \bar\alpha_t}(1 - \bar\alpha_t / \bar\alpha_{t-1})`,
            whatever variance the scheduler takes. DMGD's released code takes the one that the DiT learned, which is at
            most 0.33 % away in the guided steps of the configs and far more in the last ones
            (``benchmarks/sigma.py``); or ``'noise'``, with ``norm='unit'``: each sample's shift has the length
            :math:`\rho \sqrt{1 - \bar\alpha_t} \, \|\hat\epsilon_t\|` and the direction of the gradient, the rule of
            LGD by a third party's note, with :math:`\hat\epsilon_t = (z_t - \alpha_t \hat x_0) / \sigma_t` whatever the
            network predicts; flow matching has :math:`\sigma_t` in place of :math:`\sqrt{1 - \bar\alpha_t}` (ours).
        every: Guide each ``every``-th step of the window.
        semantic: ``(condition, t) -> condition`` that the network sees, e.g.
            :class:`~mmdistill.guidance.semantic.SemanticMatching`; objectives may be empty with it.

    Example:
        >>> guidance = Guidance(dict(seg=SegmentationConsistency(net)), scale=3.0)
        >>> images = generator.generate(requests, masks, guidance)
    """

    @validated
    def __init__(self, objectives: Any, *, window: Tuple[Share, Share] = (0.25, 1.0), scale: float = 3.0,
                 through: Literal['x0', 'linear', 'xt'] = 'x0',
                 update: Literal['x0', 'prev', 'output', 'conditional'] = 'x0',
                 norm: Literal['none', 'unit', 'rms'] = 'unit',
                 step: Literal['constant', 'sigma', 'noise'] = 'constant',
                 every: PositiveInt = 1, semantic: Optional[Callable] = None):
        self.check(dict(window=window, through=through, update=update, norm=norm, step=step), 'Guidance')
        if isinstance(objectives, Sequence):
            named = {type(objective).__name__: objective for objective in objectives}
            if len(named) < len(objectives):
                raise DistillError('guidance: two objectives of one class: give them as a dict with a name for each')
            objectives = named
        check_objectives(objectives, update, 'guidance')
        if not objectives and semantic is None:
            raise DistillError('guidance: no objectives: name at least one, or leave the guidance out')
        self.objectives: Dict[str, Objective] = dict(objectives)
        self.window, self.every, self.semantic = tuple(window), every, semantic
        self.scale, self.through, self.update, self.norm, self.step = scale, through, update, norm, step

    @classmethod
    def check(cls, settings: Mapping[str, Any], where: str, steps: Optional[range] = None) -> None:
        """Raise a DistillError where settings do not fit each other, or the window guides none of the steps.

        ``where`` names the settings in messages. With the ``steps`` that the images take, up to the last, the window
        has to guide one of them.
        """
        window, every = setting(cls, settings, 'window'), setting(cls, settings, 'every')
        through, update, norm, step = (setting(cls, settings, key) for key in ('through', 'update', 'norm', 'step'))
        by = dict(output='output', conditional='clean prediction').get(update)
        if by and through == 'linear':
            raise DistillError(f"{where}: update={update!r} takes the gradient by the {by}, which through='linear' is "
                               "not: set through='x0' (the network held constant) or 'xt' (through the network)")
        if step == 'noise' and norm != 'unit':
            raise DistillError(f"{where}: step='noise' sets the length of the shift, so norm={norm!r} has no meaning: "
                               "set norm='unit'")
        if not window[0] < window[1]:
            raise DistillError(f'{where}: window={tuple(window)} has to be 0 <= first < last <= 1')
        if steps and not set(steps) & set(_guided(window, every, steps.stop)):
            raise DistillError(f'{where}: window={tuple(window)} with every={every} guides none of the steps that are '
                               f'taken, {steps.start} to {steps.stop - 1} of {steps.stop}: widen it, take more steps, '
                               'or leave the guidance out')

    @property
    def memories(self) -> List:
        """The objectives with a true ``greedy``: their ``remember(request, latents)`` takes each finished sample."""
        return [objective for objective in self.objectives.values() if getattr(objective, 'greedy', False)]

    @property
    def joint(self) -> bool:
        """Whether the images of a group have to be made together, in one batch."""
        return any(getattr(objective, 'joint', False) for objective in self.objectives.values())

    @property
    def through_network(self) -> bool:
        """Whether the gradient goes through the network's prediction."""
        return self.through == 'xt' and any(o.space != 'noisy' for o in self.objectives.values())

    def steps(self, num_steps: int) -> range:
        """Indices of the guided steps; the range starts at ``num_steps`` where there are no objectives."""
        return _guided(self.window, self.every, num_steps) if self.objectives else range(num_steps, num_steps)

    def shift(self, x: Tensor, x0: Tensor, condition, i: int, process=None,
              decode: Optional[Callable[[Tensor], Tensor]] = None) -> Tuple[Tensor, Dict[str, Tensor]]:
        """The shift (B, C, h, w) of what ``update`` names, and the unweighted loss (B,) of each objective.

        The shift is not finite where the gradient is not, which the caller looks for.

        Args:
            x, x0: (B, C, h, w) noisy latents and clean prediction; the latter has to depend on ``x``, which requires a
                gradient, where :attr:`through_network`.
            condition: Of B rows, given to the objectives.
            i: Index of the step.
            process: The noise process, for objectives of noisy latents, ``through='linear'``, ``update='output'`` and
                steps that are not constant.
            decode: Latents (B, C, h, w) to images (B, 3, H, W) in [-1, 1], differentiable; for objectives of images.
        """
        with torch.enable_grad():
            x, x0, leaves = self._leaves(x, x0)
            inputs: Dict[str, Tuple] = dict(latent=(x0, condition))
            if 'noisy' in self._spaces:
                inputs['noisy'] = (x, condition, process.level(i))
            if decode is not None and 'image' in self._spaces:
                inputs['image'] = (decode(x0), condition)  # once for all objectives
            losses = {name: o(*inputs[o.space]) for name, o in self.objectives.items()}
            energy: Any = sum(self.objectives[name].weight * loss for name, loss in losses.items())
            gradients = dict(zip(leaves, torch.autograd.grad(energy.sum(), [*leaves.values()])))
        if self.through == 'linear' and 'clean' in gradients:
            gradients['clean'] = gradients['clean'] / process.alphas[i]
        gradient: Any = reduce(torch.add, gradients.values())
        if self.update == 'output':
            gradient = gradient * (process.slope(i) * (process.alphas[i] if self.through == 'xt' else 1.0))
        shift = -self._scale(x, x0.detach(), i, process) * self._normalise(gradient)
        return shift, {name: loss.detach() for name, loss in losses.items()}

    @property
    def _spaces(self) -> Set[str]:
        return {objective.space for objective in self.objectives.values()}

    def _leaves(self, x: Tensor, x0: Tensor) -> Tuple[Tensor, Tensor, Dict[str, Tensor]]:
        """Noisy latents and clean prediction for the objectives, and what the gradient is taken by: ``'clean'`` for
        those of the clean prediction, ``'noisy'`` for the others."""
        if self.through_network:
            return x, x0, dict(clean=x)  # which the noisy latents are, too
        leaves, x0 = {}, x0.detach().requires_grad_()
        if self._spaces != {'noisy'}:
            leaves['clean'] = x0
        if 'noisy' in self._spaces:
            x = leaves['noisy'] = x.detach().requires_grad_()
        return x, x0, leaves

    def _scale(self, x: Tensor, x0: Tensor, i: int, process) -> Any:
        """The step size of all samples, or of each, (B, 1, 1, 1)."""
        if self.step == 'noise':
            noise = (x.detach() - process.alphas[i] * x0) / process.sigmas[i]
            return self.scale * process.sigmas[i] * noise.flatten(1).norm(dim=1).view(-1, *[1] * (x.ndim - 1))
        return self.scale * (process.posterior_std(i) if self.step == 'sigma' else 1.0)

    def _normalise(self, gradient: Tensor) -> Tensor:
        if self.norm == 'none':
            return gradient
        # Divided by its peak first, so that squares of a small gradient do not vanish. A sample without labelled
        # pixels has no gradient: it stays 0.
        rows = gradient.flatten(1)
        rows = rows / rows.abs().amax(1, keepdim=True).clamp_min(torch.finfo(rows.dtype).tiny)
        rows = rows / rows.square().sum(1, keepdim=True).sqrt().clamp_min(1)
        return (rows if self.norm == 'unit' else rows * rows.shape[1]**0.5).view_as(gradient)


def check_objectives(objectives: Mapping[str, Any], update: str, where: str) -> None:
    """Raise a DistillError where objectives, by name, are none, or do not fit each other or the ``update``."""
    for name, objective in objectives.items():
        space = getattr(objective, 'space', None)
        if space not in ('image', 'latent', 'noisy') or not hasattr(objective, 'weight'):
            raise DistillError(f"{where}: {name} needs a space, 'image', 'latent' or 'noisy', and a weight: set both")
        if space == 'noisy' and update != 'prev':
            raise DistillError(f"{where}: {name} is a loss of the noisy latents, and update={update!r} shifts "
                               "something else: set update='prev'")
    joint, greedy = ([name for name, o in objectives.items() if getattr(o, attribute, False)]
                     for attribute in ('joint', 'greedy'))
    if joint and greedy:
        raise DistillError(f'{where}: {joint[0]} makes the images of a class together, {greedy[0]} one after the '
                           'other: leave one of them out')


def group_rows(requests: Sequence[Request]) -> List[List[int]]:
    """The rows of each group (:attr:`~mmdistill.plan.Request.group`) among the requests of a batch."""
    groups: Dict[Tuple, List[int]] = {}
    for row, request in enumerate(requests):
        groups.setdefault(request.group, []).append(row)
    return list(groups.values())


def _guided(window: Sequence[float], every: int, num_steps: int) -> range:
    return range(round(window[0] * num_steps), round(window[1] * num_steps), every)
