"""The trainings' losses against the formulas, with a network that returns what it is told to."""
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mmdistill.errors import DistillError
from mmdistill.generation.autoencoders import encode, load_vae
from mmdistill.models import ClassDiffusion, LayoutDiffusion

WIDTHS = dict(block_out_channels=(32, 32))


class Recorder(nn.Module):
    """A network that returns half of its input, and keeps what it was given."""

    def __init__(self, config):
        super().__init__()
        self.config, self.scale = config, nn.Parameter(torch.tensor(0.5))

    def forward(self, sample, timestep, condition):
        self.given = sample, timestep, condition
        return type('Output', (), dict(sample=self.scale * sample))


@pytest.fixture
def classes(vae_folder):
    def make(**settings):
        model = ClassDiffusion(vae_folder, dict(num_classes=5, **WIDTHS), **settings)
        model.unet = Recorder(model.unet.config)
        return model
    return make


@pytest.fixture
def layouts(vae_folder):
    def make(**settings):
        model = LayoutDiffusion(vae_folder, dict(num_classes=3, layout_factor=4, **WIDTHS), **settings)
        model.unet = Recorder(model.unet.config)
        return model
    return make


@pytest.fixture
def images():
    return torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1


def alphas_bar(t):
    """Nichol & Dhariwal's cosine schedule, betas at most 0.999."""
    f = np.cos((np.arange(1001) / 1000 + 0.008) / 1.008 * np.pi / 2)**2
    return np.cumprod(1 - np.minimum(1 - f[1:] / f[:-1], 0.999))[t]


def expected_errors(model, vae_folder, images, noise, t):
    """(B, C, h, w) squared errors of the recorder by the definition of v, and the noisy latents."""
    with torch.no_grad():
        latents = encode(load_vae(vae_folder), images)
    signal = torch.tensor(alphas_bar(t.numpy())).float().view(-1, 1, 1, 1)
    noisy = signal.sqrt() * latents + (1 - signal).sqrt() * noise
    velocity = signal.sqrt() * noise - (1 - signal).sqrt() * latents
    return (0.5 * noisy - velocity).square(), noisy


def drawn(shape, seed):
    """What the training draws: noise, timesteps, and a number for each sample's condition."""
    torch.manual_seed(seed)
    return torch.randn(shape), torch.randint(1000, shape[:1]), torch.rand(shape[:1])


def test_the_loss_is_of_v(classes, vae_folder, images, classes_as_samples):
    model, labels = classes(class_drop=0.5), torch.tensor([0, 4, 2, 2])
    noise, t, chance = drawn((4, 4, 4, 4), seed=3)
    errors, noisy = expected_errors(model, vae_folder, images, noise, t)
    torch.manual_seed(3)
    loss = model(images, classes_as_samples(labels.tolist()), mode='loss')
    assert list(loss) == ['loss_diffusion']
    assert float(loss['loss_diffusion']) == pytest.approx(float(errors.mean()), rel=1e-4)
    given, timesteps, condition = model.unet.given
    torch.testing.assert_close(given, noisy, rtol=1e-3, atol=1e-4)
    assert torch.equal(timesteps, t)
    assert torch.equal(condition, torch.where(chance < 0.5, 5, labels))


def test_validation_is_the_same_at_every_time(classes, vae_folder, images, classes_as_samples):
    """Fixed noise, evenly spread timesteps, no condition dropped."""
    model = classes(class_drop=1.0)
    noise = torch.randn((4, 4, 4, 4), generator=torch.Generator().manual_seed(0))
    errors, _ = expected_errors(model, vae_folder, images, noise, torch.tensor([125, 375, 625, 875]))
    losses = model(images, classes_as_samples([0, 1, 2, 3]), mode='predict')
    np.testing.assert_allclose([row['loss'] for row in losses], errors.mean((1, 2, 3)), rtol=1e-4)
    assert model.unet.given[2].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize('wrong', [-1, 5])
def test_ids_of_classes_that_the_network_does_not_have(classes, images, classes_as_samples, wrong):
    with pytest.raises(DistillError, match=f'class id {wrong} in the dataset, but model.unet.num_classes is 5: set'):
        classes()(images, classes_as_samples([0, 4, wrong, 1]), mode='loss')


@pytest.mark.parametrize('drop', [0.0, 0.1, 1.0])
def test_the_share_that_is_trained_without_its_class(classes, classes_as_samples, drop):
    model, labels = classes(class_drop=drop), [1] * 1000
    torch.manual_seed(0)
    model(torch.zeros(1000, 3, 4, 4), classes_as_samples(labels), mode='loss')
    dropped = (model.unet.given[2] == 5).float().mean()
    assert float(dropped) == pytest.approx(drop, abs=0.03 if 0 < drop < 1 else 0)


def test_the_share_that_is_trained_without_its_map(layouts, masks_as_samples):
    model, masks = layouts(layout_drop=0.2), torch.zeros(500, 4, 4, dtype=torch.uint8)
    torch.manual_seed(0)
    model(torch.zeros(500, 3, 4, 4), masks_as_samples(masks), mode='loss')
    maps = model.unet.given[2]
    dropped = (maps == 255).all((1, 2))
    assert float(dropped.float().mean()) == pytest.approx(0.2, abs=0.05) and (maps[~dropped] == 0).all()


def test_rare_classes_weigh_more_in_the_loss(layouts, vae_folder, images, masks_as_samples):
    model = layouts(class_balance=0.5, layout_drop=1.0)  # a sample without its map has its map's weights
    masks = torch.zeros(4, 16, 16, dtype=torch.uint8)
    masks[:, :2, :2], masks[0, 8:] = 1, 255
    model.train()
    noise, t, _ = drawn((4, 4, 4, 4), seed=3)
    errors, _ = expected_errors(model, vae_folder, images, noise, t)
    torch.manual_seed(3)
    loss = model(images, masks_as_samples(masks), mode='loss')['loss_diffusion']
    counts = np.bincount(masks[masks != 255], minlength=3)
    frequency = 0.98 / 3 + 0.02 * counts / counts.sum()
    np.testing.assert_allclose(model.balance.frequency, frequency, rtol=1e-5)
    table = frequency**-0.5 / (frequency**0.5).sum()
    pixels = np.where(masks == 255, 1, table[np.minimum(masks, 2)])
    cells = F.avg_pool2d(torch.tensor(pixels)[:, None].float(), 4)
    assert float(loss) == pytest.approx(float((cells * errors).mean()), rel=1e-4)
    model.eval()  # a validation leaves the frequencies as they are
    model(images, masks_as_samples(masks), mode='predict')
    np.testing.assert_allclose(model.balance.frequency, frequency, rtol=1e-5)


def test_cached_latents(classes, vae_folder, images, classes_as_samples, monkeypatch):
    """Encoded once for each image, and once more for its mirror image."""
    model, sizes = classes(cache_latents=True), []
    monkeypatch.setattr('mmdistill.models.latent_diffusion.encode',
                        lambda vae, pixels: sizes.append(len(pixels)) or encode(vae, pixels))
    samples, both = classes_as_samples([0, 1, 2, 3]), torch.cat([images[:2], images[2:].flip(-1)])
    with torch.no_grad():
        expected = encode(load_vae(vae_folder), images), encode(load_vae(vae_folder), both)
    for pixels, wanted in ((images, expected[0]), (both, expected[1]), (images, expected[0])):
        for sample, flip in zip(samples, [False] * 2 + [pixels is both] * 2):
            sample.flip = flip
        latents = model._latents(pixels, samples)
        assert latents.dtype is torch.float32
        torch.testing.assert_close(latents, wanted, rtol=0.1, atol=0.05)  # encoded in bfloat16
    assert sizes == [4, 2]


@pytest.mark.parametrize('kind', ['classes', 'layouts'])
def test_sample_grids_have_the_conditions_of_the_batch(vae_folder, images, kind, classes_as_samples, masks_as_samples):
    """Pairs of a real image and the generator's of the same weights and condition."""
    from mmdistill.generation import ClassConditionalGenerator, LayoutUNetGenerator
    from mmdistill.plan import Request
    torch.manual_seed(0)
    requests = [Request(id='0', seed=0), Request(id='1', seed=1)]
    if kind == 'classes':
        model = ClassDiffusion(vae_folder, dict(num_classes=5, **WIDTHS), num_sampling_steps=2)
        samples, generator = classes_as_samples([3, 1]), ClassConditionalGenerator
        expected = ([Request(id='0', seed=0, classes=(3, )), Request(id='1', seed=1, classes=(1, ))], )
    else:
        model = LayoutDiffusion(vae_folder, dict(num_classes=3, layout_factor=4, **WIDTHS), num_sampling_steps=2)
        masks = torch.randint(3, (2, 16, 16), dtype=torch.uint8)
        samples, generator = masks_as_samples(masks), LayoutUNetGenerator
        expected = requests, list(masks.numpy())
    grid = model.sample_images(dict(inputs=images[:2], data_samples=samples))
    assert torch.equal(grid[0::2], images[:2])
    same = generator(model.vae, model.unet, model.scheduler, image_size=(16, 16), num_steps=2)
    torch.testing.assert_close(grid[1::2], same.sample_images(*expected))
    assert grid.shape == (4, 3, 16, 16) and not torch.allclose(grid[1], grid[3])


def test_export(vae_folder, tmp_path):
    """fp16 parts in diffusers' layout; the model goes on in float32."""
    from diffusers import DDPMScheduler

    from mmdistill.generation.unets import ClassUNet
    model = ClassDiffusion(vae_folder, dict(num_classes=5, **WIDTHS))
    model.export(str(tmp_path))
    unet = ClassUNet.from_pretrained(tmp_path / 'unet')
    for name, value in model.unet.state_dict().items():
        assert value.dtype is torch.float32 and torch.equal(unet.state_dict()[name].half(), value.half())
    scheduler = DDPMScheduler.from_pretrained(tmp_path / 'scheduler')
    assert scheduler.config.prediction_type == 'v_prediction' and not scheduler.config.clip_sample
    np.testing.assert_allclose(scheduler.alphas_cumprod, alphas_bar(np.arange(1000)), atol=1e-6)
    vae = load_vae(str(tmp_path))
    assert vae.config.scaling_factor == 0.7 and model.vae.dtype is torch.float32
    for name, value in model.vae.state_dict().items():
        assert torch.equal(vae.state_dict()[name].half(), value.half())


@pytest.mark.parametrize('kind, settings, message', [
    (ClassDiffusion, dict(unet=dict(num_classes=2, width=3)), 'Diffusion: unet.width: unknown setting of ClassUNet'),
    (ClassDiffusion, dict(class_drop=1.5), 'class_drop=1.5 is out of range'),
    (ClassDiffusion, dict(num_sampling_steps=0), 'num_sampling_steps=0 is out of range'),
    (LayoutDiffusion, dict(unet=dict(num_classes=2)), 'LayoutUNet needs layout_factor'),
    (LayoutDiffusion, dict(class_balance=-0.1), 'class_balance=-0.1 is out of range'),
    (LayoutDiffusion, dict(layout_drop='a'), "layout_drop='a' has to be a number")])
def test_settings(kind, settings, message):
    with pytest.raises(DistillError, match=message):
        kind(**{'vae': 'nowhere', 'unet': dict(num_classes=2, layout_factor=4), **settings})
