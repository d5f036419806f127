import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from mmseg.utils import register_all_modules
from PIL import Image
from safetensors.torch import save_file

from mmdistill.errors import DistillError
from mmdistill.models import SegmentorGuide


def model(bgr_to_rgb=True):
    norm = dict(type='BN')
    colours = dict(bgr_to_rgb=True) if bgr_to_rgb else {}
    return dict(
        type='EncoderDecoder',
        data_preprocessor=dict(type='SegDataPreProcessor', mean=[123.675, 116.28, 103.53], std=[58.4, 57.1, 50.],
                               pad_val=0, seg_pad_val=255, size=(16, 16), **colours),
        backbone=dict(type='UNet', base_channels=4, num_stages=2, strides=(1, 1), enc_num_convs=(1, 1),
                      dec_num_convs=(1, ), downsamples=(True, ), enc_dilations=(1, 1), dec_dilations=(1, ),
                      norm_cfg=norm),
        decode_head=dict(type='FCNHead', in_channels=4, in_index=1, channels=4, num_convs=1, concat_input=False,
                         num_classes=3, norm_cfg=norm),
        train_cfg=dict(), test_cfg=dict(mode='whole'))


@pytest.fixture(params=[True, False], ids=['rgb', 'bgr'])
def guide(request, tmp_path):
    """A guide with random weights, and mmseg's network with the same weights."""
    register_all_modules(init_default_scope=False)
    torch.manual_seed(0)
    cfg = ConfigDict(model(request.param))
    network = MODELS.build(ConfigDict(cfg, _scope_='mmseg')).eval()
    torch.save(dict(state_dict=network.state_dict()), tmp_path / 'guide.pth')
    return SegmentorGuide(cfg, str(tmp_path / 'guide.pth'), layers=['backbone']), network


def test_reads_the_same_as_mmseg(guide):
    guide, network = guide
    pixels = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8)  # RGB; mmseg loads BGR
    samples = [SegDataSample(gt_sem_seg=PixelData(data=torch.zeros(1, 16, 16)),
                             metainfo=dict(img_shape=(16, 16), ori_shape=(16, 16))) for _ in range(2)]
    with torch.no_grad():
        predicted = network.test_step(dict(inputs=list(pixels.flip(1)), data_samples=samples))
    expected = torch.stack([sample.seg_logits.data for sample in predicted])
    torch.testing.assert_close(guide(pixels.float() / 127.5 - 1), expected, rtol=1e-4, atol=1e-5)


def test_one_pass_serves_logits_and_features(guide):
    guide, _ = guide
    passes = []
    guide.model.backbone.register_forward_hook(lambda *_: passes.append(1))
    images = torch.rand(1, 3, 16, 16, requires_grad=True)
    logits, features = guide(images), guide.features(images)
    assert len(passes) == 1 and [f.shape for f in features] == [(1, 8, 8, 8), (1, 4, 16, 16)]
    assert torch.autograd.grad(logits.sum() + features[0].sum(), images)[0].abs().sum() > 0
    assert all(parameter.grad is None for parameter in guide.parameters())
    others = images.detach() / 2
    assert not torch.allclose(guide(others), logits) and not torch.allclose(guide.features(others)[0], features[0])
    assert len(passes) == 2
    guide.forget()
    guide(others)
    assert len(passes) == 3


def test_images_of_another_size_are_resized(guide, tmp_path):
    plain, _ = guide
    sized = SegmentorGuide(model(plain.rgb), str(tmp_path / 'guide.pth'), layers=['backbone'], size=(16, 16))
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    small = torch.stack([torch.from_numpy(np.array(Image.fromarray(image.permute(1, 2, 0).numpy()).resize(
        (16, 16), Image.Resampling.BILINEAR))).permute(2, 0, 1) for image in images])
    large, small = images.float() / 127.5 - 1, small.float() / 127.5 - 1
    expected = torch.nn.functional.interpolate(plain(small), (32, 32), mode='bilinear', align_corners=False)
    # Pillow rounds to 8 bits.
    torch.testing.assert_close(sized(large), expected, rtol=0.05, atol=0.03)
    assert [f.shape for f in sized.features(large)] == [(2, 8, 8, 8), (2, 4, 16, 16)]
    torch.testing.assert_close(sized(small), plain(small))
    large.requires_grad_()
    assert torch.autograd.grad(sized(large).square().sum(), large)[0].abs().flatten(1).amax(1).gt(0).all()


def test_it_is_frozen(guide):
    guide, _ = guide
    assert not any(parameter.requires_grad for parameter in guide.parameters()) and not guide.model.training


def test_weights_and_layers_that_do_not_fit(guide, tmp_path):
    path, cfg = str(tmp_path / 'guide.pth'), model()
    wide = dict(cfg, decode_head=dict(cfg['decode_head'], num_classes=4))
    with pytest.raises(DistillError, match='do not fit the given model'):
        SegmentorGuide(wide, path)
    with pytest.raises(DistillError, match="no layer 'neck'"):
        SegmentorGuide(cfg, path, layers=['neck'])
    (tmp_path / 'broken.pth').write_bytes(b'nothing')
    for missing in ('broken.pth', 'none.pth', 'none.safetensors'):
        with pytest.raises(DistillError, match=f'cannot read weights from .*{missing}'):
            SegmentorGuide(cfg, str(tmp_path / missing))
    SegmentorGuide.check(dict(config=cfg, checkpoint=path), 'guide')
    with pytest.raises(DistillError, match=r'^guide\.checkpoint: cannot read weights .*broken\.pth \(it is damaged'):
        SegmentorGuide.check(dict(config=cfg, checkpoint=str(tmp_path / 'broken.pth')), 'guide')


@pytest.mark.parametrize('name', ['guide.pth', 'guide.safetensors'])
def test_a_checkpoint_that_does_not_fit_is_refused_without_its_values(guide, tmp_path, name):
    _, network = guide
    if name.endswith('.safetensors'):
        save_file(network.state_dict(), tmp_path / name)
    settings = dict(type='SegmentorGuide', config=model(), checkpoint=str(tmp_path / name))
    SegmentorGuide.check_fits(settings, 'guide')
    wide = dict(model(), decode_head=dict(model()['decode_head'], num_classes=4))
    with pytest.raises(DistillError, match=rf'^guide\.checkpoint: the weights \S*{name} do not fit the given model \('
                                           r'size mismatch for decode_head\.conv_seg\.weight: .*\[3, 4, 1, 1\].*\): '
                                           'give a checkpoint that was trained with this config$'):
        SegmentorGuide.check_fits(dict(settings, config=wide), 'guide')
    SegmentorGuide.check_fits(dict(settings, config=wide, checkpoint='https://not.asked/guide.pth'), 'guide')


def test_fingerprint_changes_with_a_weight(guide):
    guide, _ = guide
    before = guide.fingerprint()
    next(guide.model.parameters()).data[0] += 1
    assert guide.fingerprint() != before
