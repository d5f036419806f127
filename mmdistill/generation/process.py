"""The noise process of a stock diffusers scheduler, with the quantities that guidance needs."""
from typing import List, NamedTuple, Optional, Tuple

import torch
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler, FlowMatchEulerDiscreteScheduler
from torch import Tensor

from ..errors import DistillError
from ..weights.configs import config_errors
from .schedulers import scheduler_class


class Level(NamedTuple):
    """The noise level of a step: its latents are ``alpha * x0 + sigma * eps``."""
    step: int  # index of the step, 0 for the first
    timestep: float  # input of the network
    alpha: float
    sigma: float


class NoiseProcess:
    """A scheduler's steps and noise levels, ``x_t = alpha_i * x0 + sigma_i * eps``, for one batch at a time.

    Guidance changes the clean prediction, and :meth:`to_output` converts it back to a network output for the stock
    ``step``. Multistep solvers therefore store the guided predictions in their history.

    Args:
        scheduler: One of :data:`~mmdistill.generation.schedulers.SCHEDULERS`, with settings that allow guidance through
            x0. It is copied and never changed.
        num_steps: Number of denoising steps.

    Attributes:
        memoryless: Whether a step only depends on its latents; False for multistep solvers.
        timesteps: (num_steps,) inputs of the network, on the CPU, descending.
        alphas, sigmas: Python floats, one per step, so that no step has to wait for a device.

    Raises:
        DistillError: The scheduler's settings do not allow guidance, or ``num_steps`` is out of range.

    Example:
        >>> from diffusers import DPMSolverMultistepScheduler
        >>> process = NoiseProcess(DPMSolverMultistepScheduler(), num_steps=4)
        >>> len(process), process.memoryless
        (4, False)
    """

    def __init__(self, scheduler, num_steps: int):
        cls = scheduler_class(type(scheduler).__name__)
        config = dict(scheduler.config)
        _check(cls.__name__, config, num_steps)
        # DPM-Solver assumes 3 channels when it removes learned variances, so they are removed before its step.
        learned = cls is DPMSolverMultistepScheduler and config.get('variance_type')
        with config_errors(f'the config of {cls.__name__}'):
            self._scheduler = cls.from_config(config, **(dict(variance_type=None) if learned else {}))
            self._scheduler.set_timesteps(num_steps)
        self.timesteps: Tensor = self._scheduler.timesteps
        self.name, self._num_steps = cls.__name__, num_steps
        self._prediction = config.get('prediction_type', 'flow_prediction')
        self.memoryless = cls in (DDIMScheduler, DDPMScheduler, FlowMatchEulerDiscreteScheduler)
        self._learned = cls is DDPMScheduler and str(config.get('variance_type')).startswith('learned')
        self.alphas, self.sigmas = self._levels()
        if self._prediction == 'epsilon' and min(self.alphas) == 0:
            raise DistillError(f'{self.name}: at zero signal (rescale_betas_zero_snr) an epsilon prediction does '
                               'not determine x0: set scheduler rescale_betas_zero_snr=False')
        # DDIM's step always goes back by num_train_timesteps // num_steps, whatever the timesteps are.
        stride, spacing = config.get('num_train_timesteps', 1000) // num_steps, config.get('timestep_spacing')
        met = bool((self.timesteps.diff() == -stride).all())
        if cls is DDIMScheduler and (not met or (spacing == 'linspace' and num_steps == 1)):
            raise DistillError(f'DDIMScheduler: timestep_spacing={spacing!r} with {num_steps} steps does not match its '
                               f"stride of {stride}: set scheduler timestep_spacing='leading', or use "
                               'DPMSolverMultistepScheduler')

    def __len__(self) -> int:
        return len(self.timesteps)

    def level(self, i: int) -> Level:
        """The noise level of the latents at the beginning of step ``i``."""
        return Level(i, self.timesteps[i].item(), self.alphas[i], self.sigmas[i])

    def start(self, first: int = 0) -> None:
        """Reset the scheduler for a new batch; the next step is ``first``."""
        self._scheduler.set_timesteps(self._num_steps)
        if hasattr(self._scheduler, 'set_begin_index'):
            self._scheduler.set_begin_index(first)

    def posterior_std(self, i: int) -> float:
        """Standard deviation of x_{i+1} given x_i and x0; 0 at the last step."""
        if i + 1 == len(self):
            return 0.0
        (a, b), (sigma, after) = self.alphas[i:i + 2], self.sigmas[i:i + 2]
        return after / sigma * max(sigma**2 - (a / b * after)**2, 0.0)**0.5

    def noisy(self, clean: Tensor, noise: Tensor, i: int) -> Tensor:
        """The latents of step ``i`` from clean latents and standard normal noise, all (B, C, h, w)."""
        return self.alphas[i] * clean + self.sigmas[i] * noise

    def x0(self, x: Tensor, out: Tensor, i: int) -> Tensor:
        """The clean latents (B, C, h, w) predicted by the network's output ``out`` at step ``i``."""
        a, b, c = self._linear(i)
        return (a * x - b * out[:, :x.shape[1]]) / c

    def slope(self, i: int) -> float:
        """The derivative of :meth:`x0` with respect to the output, by prediction type: 1 for sample, -sigma / alpha for
        epsilon, -sigma for v and flow."""
        if self._prediction == 'sample':
            return 1.0
        return -self.sigmas[i] / (self.alphas[i] if self._prediction == 'epsilon' else 1.0)

    def to_output(self, x: Tensor, x0: Tensor, out: Tensor, i: int) -> Tensor:
        """The inverse of :meth:`x0`: the output that predicts ``x0``; a learned variance in ``out`` is kept."""
        a, b, c = self._linear(i)
        return torch.cat([(a * x - c * x0) / b, out[:, x.shape[1]:]], dim=1)

    def _linear(self, i: int) -> Tuple[float, float, float]:
        """The coefficients a, b and c in ``x0 = (a * x - b * out) / c``."""
        alpha, sigma = self.alphas[i], self.sigmas[i]
        return dict(epsilon=(1, sigma, alpha), v_prediction=(alpha, sigma, 1), flow_prediction=(1, sigma, 1),
                    sample=(0, -1, 1))[self._prediction]

    def step(self, out: Tensor, i: int, x: Tensor, generators: Optional[List[torch.Generator]] = None) -> Tensor:
        """The latents of step ``i + 1``, computed by the stock scheduler. Steps must be called in order.

        Args:
            out: (B, C or 2C, h, w) network output.
            i: Index of the step.
            x: (B, C, h, w) latents of step ``i``.
            generators: One random generator per row, for schedulers that add noise.
        """
        channels = x.shape[1]
        if self._learned and out.shape[1] != 2 * channels:
            raise DistillError(f'{self.name}: variance_type expects a network with {2 * channels} output channels, '
                               f"got {out.shape[1]}: set scheduler variance_type='fixed_small'")
        out = out if self._learned else out[:, :channels]
        noise = {} if self.name == 'UniPCMultistepScheduler' else dict(generator=generators)  # UniPC adds no noise
        return self._scheduler.step(out, self.timesteps[i], x, return_dict=False, **noise)[0]

    def _levels(self) -> Tuple[List[float], List[float]]:
        if self.name in ('DDIMScheduler', 'DDPMScheduler'):
            kept = self._scheduler.alphas_cumprod[self.timesteps]
            return (kept**0.5).tolist(), ((1 - kept)**0.5).tolist()
        sigmas = self._scheduler.sigmas[:len(self.timesteps)]
        if self._prediction == 'flow_prediction':
            return (1 - sigmas).tolist(), sigmas.tolist()
        alphas = 1 / (sigmas**2 + 1)**0.5  # these schedulers store sigma / alpha
        return alphas.tolist(), (sigmas * alphas).tolist()


def first_step(num_steps: int, strength: float, where: str = 'generator') -> int:
    """Index of the first step for a strength, computed as in diffusers' image-to-image pipelines.

    Args:
        num_steps: Number of denoising steps.
        strength: Share of the steps to run, in (0, 1].
        where: Key of the settings in the config, for messages.

    Raises:
        DistillError: The strength leaves no step or is out of range.
    """
    count = min(int(num_steps * strength), num_steps)
    if not 0 < strength <= 1 or count == 0:
        raise DistillError(f'{where}: strength={strength} leaves none of {num_steps} steps: set strength in '
                           f'[{1 / num_steps:.3g}, 1]')
    return num_steps - count


def _check(name: str, config: dict, num_steps: int) -> None:
    trained = config.get('num_train_timesteps', 1000)
    if not 1 <= num_steps <= trained:
        raise DistillError(f'num_steps={num_steps} is outside [1, {trained}] of {name}')
    for key in ('clip_sample', 'thresholding', 'use_dynamic_shifting', 'invert_sigmas'):
        if config.get(key):
            raise DistillError(f'{name}: {key}=True does not work with guided latents: set scheduler {key}=False')
    flow = name.startswith('Flow') or config.get('use_flow_sigmas', False)
    if flow != (config.get('prediction_type', 'flow_prediction') == 'flow_prediction'):
        raise DistillError(f"{name}: use_flow_sigmas={flow} and prediction_type={config['prediction_type']!r} do not "
                           "go together: flow networks need both use_flow_sigmas=True and 'flow_prediction'")
