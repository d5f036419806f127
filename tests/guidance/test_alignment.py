"""Feature alignment against a naive form that calls the layers of the networks one after the other."""
import numpy as np
import pytest
import torch
from diffusers import AutoencoderTiny, DDIMScheduler, DiTTransformer2DModel

from mmdistill.errors import DistillError
from mmdistill.generation import ClassConditionalGenerator, Condition, NoiseProcess
from mmdistill.generation.inner import inner_features, inner_layers
from mmdistill.generation.unets import ClassUNet
from mmdistill.guidance import FeatureAlignment, Guidance
from mmdistill.plan import Request, request_seed

SHAPE, CLASSES = (4, 8, 8), 2
PLAN = [Request(f'{label}/{n}', n, classes=(label, )) for n in range(2) for label in range(CLASSES)]
SUPPORTS = {label: np.random.default_rng(label).standard_normal((3, *SHAPE)).astype(np.float32)
            for label in range(CLASSES)}


def build(kind='unet', **settings):
    torch.manual_seed(0)
    vae = AutoencoderTiny(encoder_block_out_channels=(8, ) * 3, decoder_block_out_channels=(8, ) * 3,
                          num_encoder_blocks=(1, 1, 1), num_decoder_blocks=(1, 1, 1)).eval()
    if kind == 'unet':
        network = ClassUNet(CLASSES, 4, 8, block_out_channels=(16, 32))
    else:
        network = DiTTransformer2DModel(num_attention_heads=2, attention_head_dim=8, in_channels=4, out_channels=4,
                                        num_layers=4, sample_size=8, patch_size=2, num_embeds_ada_norm=CLASSES)
    network.eval().requires_grad_(False)
    return ClassConditionalGenerator(vae, network, DDIMScheduler(clip_sample=False), image_size=32, num_steps=10,
                                     micro_batch=2, **settings)


def condition_of(generator, requests=PLAN):
    return generator.condition(list(requests))


def latents(seed=1):
    return torch.randn(len(PLAN), *SHAPE, generator=torch.Generator().manual_seed(seed))


def features(generator, x, timestep, labels):
    """The mean outputs of the middle block, by hooks on a complete forward pass."""
    network, seen, handles = generator.denoiser.network, [], []
    layers = [network.unet.mid_block] if hasattr(network, 'unet') else network.transformer_blocks[1:3]
    for layer in layers:
        handles.append(layer.register_forward_hook(lambda module, args, out: seen.append(out)))
    network(x, torch.full((len(x), ), timestep), torch.tensor(labels))
    for handle in handles:
        handle.remove()
    return torch.cat([out.flatten(2).mean(2) if out.ndim == 4 else out.mean(1) for out in seen], 1)


@pytest.mark.parametrize('kind, blocks', [('unet', None), ('dit', (1, 2))])
@pytest.mark.parametrize('joint', [False, True])
def test_naive_form(kind, blocks, joint):
    generator = build(kind)
    objective = FeatureAlignment(generator, SUPPORTS, PLAN, blocks=blocks, joint=joint, random_state=3)
    level, x = generator.process.level(4), latents()
    losses = objective(x, condition_of(generator), level)
    found = features(generator, x, level.timestep, [request.classes[0] for request in PLAN])
    for label in range(CLASSES):
        noise = torch.randn(3, *SHAPE, generator=torch.Generator().manual_seed(request_seed(3, f'alignment/{label}')))
        noisy = level.alpha * torch.from_numpy(SUPPORTS[label]) + level.sigma * noise
        real = features(generator, noisy, level.timestep, [label] * 3).mean(0)
        rows = found[label::CLASSES]
        if joint:
            expected = [float((rows.mean(0) - real).square().sum()) / 2] * 2
        else:
            expected = (rows - real).square().sum(1).tolist()
        assert losses[label::CLASSES].tolist() == pytest.approx(expected, rel=1e-4)


def test_gradient_against_finite_differences():
    generator = build()
    objective = FeatureAlignment(generator, SUPPORTS, PLAN)
    level, condition, x = generator.process.level(4), condition_of(generator), latents().requires_grad_()
    (gradient, ) = torch.autograd.grad(objective(x, condition, level).sum(), x)
    direction = torch.randn(x.shape, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        up, down = (float(objective(x + step * direction, condition, level).double().sum()) for step in (1e-2, -1e-2))
    assert float((gradient * direction).sum()) == pytest.approx((up - down) / 2e-2, rel=2e-2)


def test_guidance_draws_the_features_to_the_real_ones():
    generator = build()
    objective = FeatureAlignment(generator, SUPPORTS, PLAN)
    guidance = Guidance([objective], norm='unit', update='prev', scale=0.5)
    process = NoiseProcess(DDIMScheduler(clip_sample=False), 10)
    x = before = latents()
    for _ in range(10):
        x = x + guidance.shift(x, x, condition_of(generator), 4, process)[0]
    level, condition = process.level(4), condition_of(generator)
    assert (objective(x, condition, level) < 0.8 * objective(before, condition, level)).all()


def test_the_pass_ends_behind_the_last_layer_and_leaves_no_hook():
    generator = build('dit')
    network, seen = generator.denoiser.network, []
    network.transformer_blocks[3].register_forward_hook(lambda *args: seen.append(1))
    layers = inner_layers(generator.denoiser, (0, 1))
    found = inner_features(generator.denoiser, layers, latents(), torch.full((4, ), 500), condition_of(generator))
    assert found.shape == (4, 2 * 16) and not seen
    assert not layers[0]._forward_hooks and not layers[1]._forward_hooks
    network(latents(), torch.full((4, ), 500), torch.zeros(4, dtype=torch.long))
    assert seen


def test_settings_that_do_not_fit():
    unet, dit = build('unet'), build('dit')
    with pytest.raises(DistillError, match=r'blocks=\(4, 12\) is for a DiT, and ClassUNet has a middle block'):
        FeatureAlignment(unet, SUPPORTS, PLAN, blocks=(4, 12))
    with pytest.raises(DistillError, match=r'DiTTransformer2DModel has 4 blocks: give blocks=\(first, last\)'):
        FeatureAlignment(dit, SUPPORTS, PLAN)
    for blocks in ((2, 1), (0, 4)):
        with pytest.raises(DistillError, match='has blocks 0 to 3'):
            FeatureAlignment(dit, SUPPORTS, PLAN, blocks=blocks)
    unet.compiled = True
    with pytest.raises(DistillError, match='remove compile from the settings'):
        FeatureAlignment(unet, SUPPORTS, PLAN)
    with pytest.raises(DistillError, match=r'request x is for classes \[7\]'):
        FeatureAlignment(dit, SUPPORTS, [Request('x', 1, classes=(7, ))], blocks=(1, 2))


def test_other_classes_conditions_are_not_taken():
    """The real features of a class come from its own condition and latents."""
    generator = build()
    objective = FeatureAlignment(generator, SUPPORTS, PLAN)
    level, x = generator.process.level(4), latents()[:1].expand(2, -1, -1, -1)
    condition = Condition(dict(label=torch.tensor([0, 0])), dict(label=torch.tensor([2, 2])), tuple(PLAN[:2]))
    first, second = objective(x, condition, level).tolist()
    assert first != pytest.approx(second)
