from types import SimpleNamespace

import pytest
import torch
from diffusers import (DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler, EulerDiscreteScheduler,
                       FlowMatchEulerDiscreteScheduler, HeunDiscreteScheduler, PNDMScheduler, UniPCMultistepScheduler)

from mmdistill.errors import DistillError
from mmdistill.generation.process import NoiseProcess, first_step

TYPES = ('epsilon', 'v_prediction', 'sample')
CASES = [(cls, prediction) for cls in (DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler,
                                       UniPCMultistepScheduler) for prediction in TYPES]
KARRAS = dict(use_karras_sigmas=True)


def build(cls, prediction=None, **config):
    if cls in (DDIMScheduler, DDPMScheduler):
        config.setdefault('clip_sample', False)
    if prediction:
        config['prediction_type'] = prediction
    return cls(**config)


def batch(seed=0):
    return torch.randn(2, 2, 4, 4, 4, generator=torch.Generator().manual_seed(seed)).unbind(0)


@pytest.mark.parametrize('cls,prediction,config', [(*case, {}) for case in CASES] + [
    (DPMSolverMultistepScheduler, 'epsilon', KARRAS), (UniPCMultistepScheduler, 'v_prediction', KARRAS),
    (DPMSolverMultistepScheduler, 'flow_prediction', dict(use_flow_sigmas=True, flow_shift=3.0)),
    (DPMSolverMultistepScheduler, 'epsilon', dict(algorithm_type='sde-dpmsolver++'))])
def test_x0_equals_that_of_the_scheduler(cls, prediction, config):
    x, out = batch()
    stock = build(cls, prediction, **config)
    process = NoiseProcess(stock, 10)
    stock.set_timesteps(10)
    for i in (0, 4, 9):
        if hasattr(stock, 'convert_model_output'):
            stock._step_index = i
            expected = stock.convert_model_output(out, sample=x)
        else:
            expected = stock.step(out, stock.timesteps[i], x, generator=torch.Generator()).pred_original_sample
        torch.testing.assert_close(process.x0(x, out, i), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize('cls,prediction', CASES + [(FlowMatchEulerDiscreteScheduler, None)])
def test_to_output_inverts_x0(cls, prediction):
    x, out = (value.double() for value in batch())
    process = NoiseProcess(build(cls, prediction), 10)
    for i in range(10):
        torch.testing.assert_close(process.to_output(x, process.x0(x, out, i), out, i), out, rtol=1e-4, atol=1e-5)


def test_flow_steps_towards_x0():
    x, out = batch()
    process = NoiseProcess(FlowMatchEulerDiscreteScheduler(shift=3.0), 8)
    process.start()
    for i in range(8):
        following = process.step(out, i, x)
        sigma = (process.sigmas + [0.0])[i + 1]
        eps = x + process.alphas[i] * out
        torch.testing.assert_close(following, (1 - sigma) * process.x0(x, out, i) + sigma * eps, rtol=1e-4, atol=1e-5)
        x = following


@pytest.mark.parametrize('cls', [DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler, UniPCMultistepScheduler])
def test_levels_are_those_of_add_noise(cls):
    clean, noise = batch()
    scheduler = build(cls)
    process = NoiseProcess(scheduler, 10)
    scheduler.set_timesteps(10)
    expected = scheduler.add_noise(clean, noise, scheduler.timesteps[3:4])
    torch.testing.assert_close(process.noisy(clean, noise, 3), expected)


def test_learned_variance_is_kept_and_used():
    x, out = batch()
    variance = torch.linspace(-1, 1, out.numel()).view_as(out)
    scheduler = DDPMScheduler(variance_type='learned_range', timestep_spacing='linspace', clip_sample=False)
    process = NoiseProcess(scheduler, 50)
    scheduler.set_timesteps(50)
    both = torch.cat([out, variance], 1)
    same = process.to_output(x, process.x0(x, both, 5), both, 5)
    assert torch.equal(same[:, 4:], variance)
    process.start()
    seeds = [[torch.Generator().manual_seed(n) for n in (3, 4)] for _ in range(2)]
    expected = scheduler.step(both, scheduler.timesteps[5], x, generator=seeds[0]).prev_sample
    assert torch.equal(process.step(both, 5, x, seeds[1]), expected)
    with pytest.raises(DistillError, match='fixed_small'):
        process.step(out, 5, x)


@pytest.mark.parametrize('cls', [DDIMScheduler, DPMSolverMultistepScheduler])
def test_learned_variance_is_dropped_where_the_scheduler_has_none(cls):
    x, out = batch()
    config = dict(variance_type='learned_range') if cls is DPMSolverMultistepScheduler else {}
    process = NoiseProcess(build(cls, **config), 10)
    process.start()
    plain = process.step(out, 0, x)
    process.start()
    assert plain.shape[1] == 4 and torch.equal(process.step(torch.cat([out, out], 1), 0, x), plain)


@pytest.mark.parametrize('cls', [PNDMScheduler, HeunDiscreteScheduler, EulerDiscreteScheduler])
def test_other_schedulers_are_refused_by_name(cls):
    with pytest.raises(DistillError, match=f'{cls.__name__}.*DDIMScheduler.*FlowMatch'):
        NoiseProcess(cls(), 10)


@pytest.mark.parametrize('scheduler,message', [
    (DDIMScheduler(), 'clip_sample=False'),
    (DPMSolverMultistepScheduler(thresholding=True), 'thresholding=False'),
    (DDIMScheduler(clip_sample=False, timestep_spacing='linspace'), 'leading'),
    (DDIMScheduler(clip_sample=False, rescale_betas_zero_snr=True, timestep_spacing='trailing'), 'rescale_betas'),
    (FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True), 'use_dynamic_shifting=False'),
    (DPMSolverMultistepScheduler(prediction_type='flow_prediction'), 'use_flow_sigmas'),
])
def test_settings_that_break_guidance_are_refused(scheduler, message):
    with pytest.raises(DistillError, match=message):
        NoiseProcess(scheduler, 10)


def test_ddim_spacing():
    trailing = DDIMScheduler(clip_sample=False, timestep_spacing='trailing')
    assert len(NoiseProcess(trailing, 20)) == 20
    with pytest.raises(DistillError, match='30 steps'):
        NoiseProcess(trailing, 30)
    assert len(NoiseProcess(DDIMScheduler(clip_sample=False), 30)) == 30


@pytest.mark.parametrize('strength', [0.0, 0.05, 1.2])
def test_strength_out_of_range(strength):
    with pytest.raises(DistillError, match='strength'):
        first_step(10, strength)


def test_the_given_scheduler_is_not_touched():
    scheduler = DPMSolverMultistepScheduler()
    before = scheduler.timesteps.clone()
    process = NoiseProcess(scheduler, 10)
    x, out = batch()
    process.start()
    process.step(out, 0, x)
    assert torch.equal(scheduler.timesteps, before) and scheduler.step_index is None


@pytest.mark.parametrize('steps,strength', [(10, 0.68), (50, 0.29), (20, 0.99), (10, 0.7), (3, 1.0), (7, 0.5)])
def test_strength_is_cut_as_in_diffusers(steps, strength):
    from diffusers import StableDiffusionImg2ImgPipeline
    process = NoiseProcess(build(DPMSolverMultistepScheduler), steps)
    stock = SimpleNamespace(scheduler=DPMSolverMultistepScheduler())
    stock.scheduler.set_timesteps(steps)
    timesteps, _ = StableDiffusionImg2ImgPipeline.get_timesteps(stock, steps, strength, 'cpu')
    assert torch.equal(process.timesteps[first_step(len(process), strength):], timesteps)
