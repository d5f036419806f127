import json

import pytest
import torch

from mmdistill.errors import DistillError
from mmdistill.generation.autoencoders import decode, encode, load_vae
from mmdistill.models import AutoencoderTrainer, DecoderTrainer

from .conftest import TINY


@pytest.fixture
def images():
    return torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1


def reconstruction(model, images):
    return model.autoencoder.decode(model.autoencoder.encode(images).latents).sample


def test_the_loss_is_weighted_reconstruction(images, masks_as_samples):
    torch.manual_seed(0)
    model = AutoencoderTrainer(TINY, mse_weight=3.0, class_balance=dict(num_classes=2, gamma=1.0))
    masks = torch.zeros(4, 16, 16, dtype=torch.uint8)
    masks[:, :4] = 1
    losses = model(images, masks_as_samples(masks), mode='loss')
    frequency = 0.98 * 0.5 + 0.02 * torch.tensor([0.75, 0.25])
    weights = (1 / frequency / 2)[masks.long()][:, None]
    error = reconstruction(model, images) - images
    assert float(losses['loss_l1']) == pytest.approx(float((weights * error.abs()).mean()), rel=1e-4)
    assert float(losses['loss_mse']) == pytest.approx(3 * float((weights * error**2).mean()), rel=1e-4)
    assert set(losses) == {'loss_l1', 'loss_mse'}


@pytest.mark.parametrize('wrong, message', [
    (7, 'None: id 7 in 2 pixels, but the classes are 0..1, and 255 is ignored: .* and model.class_balance.num_classes'),
    (-1, 'None: id -1 in 2 pixels')])
def test_unknown_ids_in_masks(wrong, message, images, masks_as_samples):
    model = AutoencoderTrainer(TINY, class_balance=dict(num_classes=2, gamma=1.0))
    masks = torch.full((4, 16, 16), 255, dtype=torch.int16)
    masks[2, 3, :2] = wrong
    with pytest.raises(DistillError, match=message):
        model(images, masks_as_samples(masks), mode='loss')
    assert float(model.latent_std) == 1 and torch.equal(model.balance.frequency, torch.full((2, ), 0.5))


def test_masks_with_channels(images, masks_as_samples):
    model = AutoencoderTrainer(TINY, class_balance=dict(num_classes=2, gamma=1.0))
    samples = masks_as_samples(torch.zeros(4, 16, 16))
    samples[1].gt_sem_seg.data = torch.zeros(3, 16, 16)
    with pytest.raises(DistillError, match='a mask has one channel, .* and this one has several'):
        model(images, samples, mode='loss')


def test_without_weights(images):
    torch.manual_seed(0)
    model = AutoencoderTrainer(TINY)
    losses = model(images, mode='loss')
    error = reconstruction(model, images) - images
    assert float(losses['loss_l1']) == pytest.approx(float(error.abs().mean()), rel=1e-4)
    assert float(losses['loss_mse']) == pytest.approx(2 * float((error**2).mean()), rel=1e-4)
    pairs = model(images, mode='predict')
    torch.testing.assert_close(torch.stack([pair['pred_img'] for pair in pairs]), (error + images).clamp(-1, 1))
    assert all(torch.equal(pair['gt_img'], image) for pair, image in zip(pairs, images))


def test_exported_latents_have_unit_variance(images, tmp_path):
    """The running deviation is measured in training alone, and the scale is its inverse."""
    torch.manual_seed(0)
    model = AutoencoderTrainer(dict(TINY, latent_channels=6))
    with torch.no_grad():
        deviation = float(model.autoencoder.encode(images).latents.std())
    model(images, mode='predict')
    assert float(model.latent_std) == 1
    model(images, mode='loss')
    assert float(model.latent_std) == pytest.approx(0.99 + 0.01 * deviation, rel=1e-5)
    for _ in range(1500):
        model.latent_std.lerp_(torch.tensor(deviation), 0.01)
    model.export(str(tmp_path))
    vae = load_vae(str(tmp_path))
    assert float(encode(vae, images).std()) == pytest.approx(1, rel=0.01)
    assert json.loads((tmp_path / 'vae/config.json').read_text())['latent_channels'] == 6
    for name, value in model.autoencoder.state_dict().items():
        assert value.dtype is torch.float32 and torch.equal(vae.state_dict()[name].half(), value.half())


def test_sample_grids_are_pairs(images):
    model = AutoencoderTrainer(TINY)
    grid = model.sample_images(dict(inputs=images))
    assert torch.equal(grid[0::2], images)
    torch.testing.assert_close(grid[1::2], reconstruction(model, images).clamp(-1, 1))


@pytest.mark.parametrize('settings, message', [
    (dict(autoencoder=dict(latent_channel=4)), 'autoencoder.latent_channel: unknown setting of AutoencoderTiny'),
    (dict(mse_weight=-1), 'mse_weight=-1 is out of range'),
    (dict(class_balance=dict(num_classes=2)), 'class_balance: ClassBalance needs gamma'),
    (dict(class_balance=dict(num_classes=2, gamma=2)), r'class_balance.gamma=2 is out of range')])
def test_settings(settings, message):
    with pytest.raises(DistillError, match=f'AutoencoderTrainer: {message}'):
        AutoencoderTrainer(**{'autoencoder': TINY, **settings})


def kl_folder(folder):
    from diffusers import AutoencoderKL
    torch.manual_seed(0)
    AutoencoderKL(down_block_types=('DownEncoderBlock2D', ) * 2, up_block_types=('UpDecoderBlock2D', ) * 2,
                  block_out_channels=(32, 32), scaling_factor=0.3, shift_factor=0.1).save_pretrained(folder / 'vae')
    return str(folder)


@pytest.mark.parametrize('kind', ['tiny', 'kl'])
def test_only_the_decoder_is_trained(kind, images, vae_folder, tmp_path):
    """The exported autoencoder has the same latents, and reconstructs the images better."""
    folder = vae_folder if kind == 'tiny' else kl_folder(tmp_path / 'kl')
    model, before = DecoderTrainer(folder), load_vae(folder)
    optimizer = torch.optim.Adam([one for one in model.parameters() if one.requires_grad], lr=1e-2)
    model.train()
    for _ in range(5):
        optimizer.zero_grad()
        losses = model(images, mode='loss')
        sum(losses.values()).backward()
        optimizer.step()
    model.export(str(tmp_path))
    after = load_vae(str(tmp_path))
    changed = {name.split('.')[0] for name, value in after.state_dict().items()
               if not torch.equal(value.half(), before.state_dict()[name].half())}
    assert changed == ({'decoder'} if kind == 'tiny' else {'decoder', 'post_quant_conv'})
    torch.testing.assert_close(encode(after, images), encode(before, images), atol=2e-3, rtol=2e-3)
    error = {name: float((decode(vae, encode(vae, images)) - images).abs().mean())
             for name, vae in (('before', before), ('after', after))}
    assert error['after'] < error['before']
    config = json.loads((tmp_path / 'vae/config.json').read_text())
    assert config['scaling_factor'] == (0.7 if kind == 'tiny' else 0.3)


def test_a_decoder_without_weights(tmp_path):
    with pytest.raises(DistillError, match='model.vae: no weights at /nowhere'):
        DecoderTrainer('/nowhere')


@pytest.mark.parametrize('mode', ['loss', 'predict'])
def test_sides_that_the_autoencoder_cannot_have(mode):
    with pytest.raises(DistillError, match=r'images of 18x16 pixels .* resize or crop them to multiples of 4'):
        AutoencoderTrainer(TINY)(torch.zeros(2, 3, 18, 16), mode=mode)


def test_a_sample_without_a_mask(images, masks_as_samples):
    model = AutoencoderTrainer(TINY, class_balance=dict(num_classes=2, gamma=1.0))
    samples = masks_as_samples(torch.zeros(4, 16, 16))
    del samples[2].gt_sem_seg
    with pytest.raises(DistillError, match='2.png: the sample has no mask: add LoadAnnotations'):
        model(images, samples, mode='loss')
