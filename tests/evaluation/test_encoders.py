from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.dataset import BaseDataset
from mmpretrain import FeatureExtractor
from mmpretrain.datasets import CustomDataset
from mmpretrain.registry import MODELS
from mmpretrain.utils import register_all_modules
from PIL import Image
from safetensors.torch import save_file

from mmdistill.config import read_config
from mmdistill.errors import DistillError
from mmdistill.evaluation.encoders import BackboneEncoder, LatentEncoder, encode_dataset
from mmdistill.generation.autoencoders import encode, load_vae
from mmdistill.toy.street_scenes import street_scene
from mmdistill.toy.streets import StreetScenes

STREETS = 'mmdistill://streets'
RESNET = dict(type='ImageClassifier', backbone=dict(type='ResNet', depth=18, base_channels=8, stem_channels=8),
              data_preprocessor=dict(mean=[120., 110., 100.], std=[50., 60., 70.], to_rgb=True))
RESIZE = (dict(type='Resize', scale=32), )


@pytest.fixture
def photos(tmp_path):
    """An mmpretrain dataset of two classes, five PNGs of different sizes."""
    for i in range(5):
        folder = tmp_path / 'photos' / 'ab'[i % 2]
        folder.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(i).integers(0, 256, (40 + i, 60, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f'{i}.png')
    return CustomDataset(data_root=str(tmp_path / 'photos'))


def checkpoint(model, path):
    """A checkpoint of mmpretrain with random weights, and a head that no encoder reads."""
    register_all_modules(init_default_scope=False)
    torch.manual_seed(0)
    network = MODELS.build(ConfigDict(model, _scope_='mmpretrain')).eval()
    for module in network.modules():  # as trained: statistics that matter
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
    torch.save(dict(state_dict=dict(network.state_dict(), **{'head.fc.weight': torch.zeros(7, 3)})), path)
    return network


@pytest.fixture
def backbone(tmp_path):
    checkpoint(RESNET, tmp_path / 'net.pth')
    return lambda **kwargs: BackboneEncoder(RESNET, str(tmp_path / 'net.pth'),
                                            **{**dict(pipeline=RESIZE, device='cpu'), **kwargs})


def test_latents_of_a_segmentation_set():
    dataset = StreetScenes(5, pipeline=[])
    features = encode_dataset(LatentEncoder(STREETS, 64, device='cpu'), dataset, 2)
    scenes = np.stack([street_scene(i, 'train', 64)[0] for i in range(5)])
    with torch.no_grad():
        expected = encode(load_vae(STREETS), torch.from_numpy(scenes).permute(0, 3, 1, 2) / 127.5 - 1).flatten(1)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, expected, atol=1e-4)


def test_pooled_latents_are_means_of_cells():
    dataset = StreetScenes(2, pipeline=[])
    plain, pooled = (encode_dataset(LatentEncoder(STREETS, 64, pool=pool, device='cpu'), dataset)
                     for pool in (None, 2))
    side = int((plain.shape[1] / (pooled.shape[1] // 4))**0.5)
    cells = plain.reshape(2, -1, 2, side // 2, 2, side // 2).mean((3, 5))
    np.testing.assert_allclose(pooled, cells.reshape(2, -1), atol=1e-5)


@pytest.mark.parametrize('crop', [True, False])
def test_photos_are_cropped_or_squashed(tmp_path, crop):
    """Red in the middle square, blue at both sides: a crop is red only."""
    pixels = np.full((64, 128, 3), (0, 0, 255), np.uint8)
    pixels[:, 32:96] = (255, 0, 0)
    Image.fromarray(pixels).save(tmp_path / 'a.png')
    image = LatentEncoder(STREETS, (64, 32), crop=crop, device='cpu').read(str(tmp_path / 'a.png'))
    assert image.shape == (3, 64, 32) and (image[0, :, 12:20] == 1).all()
    assert bool((image[2] == -1).all()) is crop


def test_backbone_features_equal_mmpretrain(tmp_path):
    """A stock config with its pipeline and preprocessing, against mmpretrain's feature extractor."""
    config = read_config('mmpretrain::resnet/resnet18_8xb32_in1k.py')
    path = tmp_path / 'photo.png'
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 80, 3), np.uint8)).save(path)
    network = checkpoint(dict(config.model, data_preprocessor=config.data_preprocessor), tmp_path / 'net.pth')
    network._config = config
    expected = FeatureExtractor(network, device='cpu')(str(path), stage='backbone')[0][-1].mean((1, 2))
    encoder = BackboneEncoder('mmpretrain::resnet/resnet18_8xb32_in1k.py', str(tmp_path / 'net.pth'), device='cpu')
    found = encode_dataset(encoder, CustomDataset(data_root=str(tmp_path), with_label=False))
    np.testing.assert_allclose(found[0], expected, rtol=1e-4, atol=1e-5)


def test_both_kinds_of_data_set_and_any_batch_size(backbone, photos):
    encoder = backbone()
    for dataset in (photos, StreetScenes(5, pipeline=[])):
        features = encode_dataset(encoder, dataset, 5)
        assert features.shape == (5, 64) and np.isfinite(features).all()
        for size, workers in ((2, 0), (1, 2)):
            again = encode_dataset(encoder, dataset, size, workers=workers)
            np.testing.assert_allclose(again, features, atol=1e-5)
        assert len({tuple(row) for row in features}) == 5


def test_safetensors_weights(backbone, photos, tmp_path):
    state = torch.load(tmp_path / 'net.pth', weights_only=True)['state_dict']
    save_file(state, tmp_path / 'net.safetensors')
    encoder = BackboneEncoder(RESNET, str(tmp_path / 'net.safetensors'), RESIZE, 'cpu')
    assert encoder.fingerprint() == backbone().fingerprint()


def test_cache_is_of_files_weights_and_settings(backbone, photos, tmp_path, monkeypatch):
    cache, made = tmp_path / 'features', []
    monkeypatch.setattr(BackboneEncoder, 'encode', lambda self, x, encode=BackboneEncoder.encode: (
        made.append(len(x)), encode(self, x))[1])

    def features(encoder):
        made.clear()
        return encode_dataset(encoder, photos, cache=cache), sum(made)

    first, count = features(backbone())
    assert count == 5
    again, count = features(backbone())
    assert count == 0 and again.dtype == np.float32
    np.testing.assert_array_equal(again, first)
    assert features(backbone(pipeline=[dict(type='Resize', scale=64)]))[1] == 5
    weight = backbone()
    next(weight.network.backbone.parameters()).data[0] += 1
    assert features(weight)[1] == 5
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(photos.get_data_info(0)['img_path'])
    assert features(weight)[1] == 5
    for file in cache.rglob('*.safetensors'):
        file.write_bytes(b'cut short')
    assert features(weight)[1] == 5 and features(weight)[1] == 0


def test_features_are_kept_in_parts_that_work_dirs_share(backbone, photos, tmp_path, monkeypatch):
    """An interrupted encoding continues after its last part; moving the dataset does not change the features."""
    monkeypatch.setenv('MMDISTILL_CACHE', str(tmp_path / 'shared'))
    monkeypatch.setattr('mmdistill.evaluation.encoders._PART', 2)
    plain, made = encode_dataset(backbone(), photos, 2), []

    def encode(self, images, encode=BackboneEncoder.encode):
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(len(images))
        return encode(self, images)

    with monkeypatch.context() as broken_off, pytest.raises(KeyboardInterrupt):
        broken_off.setattr(BackboneEncoder, 'encode', encode)
        encode_dataset(backbone(), photos, 2, cache=tmp_path / 'a')
    monkeypatch.setattr(BackboneEncoder, 'encode', lambda self, x, encode=BackboneEncoder.encode: (
        made.append(len(x)), encode(self, x))[1])
    made.clear()
    np.testing.assert_array_equal(encode_dataset(backbone(), photos, 2, cache=tmp_path / 'b'), plain)
    assert made == [1]
    (tmp_path / 'photos').rename(tmp_path / 'moved')
    moved = CustomDataset(data_root=str(tmp_path / 'moved'))
    np.testing.assert_array_equal(encode_dataset(backbone(), moved, 2, cache=tmp_path / 'c'), plain)
    assert made == [1] and sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ['moved', 'shared']


def in_memory(samples):
    """A dataset of mmpretrain with the given entries."""
    dataset = BaseDataset(lazy_init=True, serialize_data=False)
    dataset.data_list, dataset._fully_initialized = samples, True
    return dataset


def test_refused_in_one_line(backbone, photos, tmp_path):
    def refused(message, function, *args, **kwargs):
        with pytest.raises(DistillError, match=message) as error:
            function(*args, **kwargs)
        assert '\n' not in str(error.value)

    path = str(tmp_path / 'net.pth')
    refused('use multiples of', LatentEncoder, STREETS, 63)
    refused('pool 99 is out of range', LatentEncoder, STREETS, 64, pool=99)
    refused('has no test_dataloader: give the encoder a pipeline', BackboneEncoder, RESNET, path)
    refused('has no backbone', BackboneEncoder, dict(type='TimmClassifier'), path, RESIZE)
    wide = dict(RESNET, backbone=dict(RESNET['backbone'], base_channels=16))
    refused('do not fit the backbone of the given model', BackboneEncoder, wide, path, RESIZE)
    deep = dict(RESNET, backbone=dict(RESNET['backbone'], depth=34))
    refused(r'do not fit the backbone of the given model \(backbone.layer1.2.*\): give a checkpoint', BackboneEncoder,
            deep, path, RESIZE)
    for workers in (0, 1):
        refused("^the encoder's pipeline returns images of sizes", encode_dataset, backbone(pipeline=[]), photos,
                workers=workers)
    broken = photos.get_data_info(3)['img_path']
    for content in (b'no image', b''):
        Path(broken).write_bytes(content)
        for encoder in (backbone(), LatentEncoder(STREETS, 64, device='cpu')):
            refused(f'{broken} is not a readable image', encode_dataset, encoder, photos)
    Path(broken).unlink()
    for workers in (0, 1):  # a worker's error comes without its traceback
        refused(f'^{broken} is not a readable image .No such file', encode_dataset, backbone(), photos, workers=workers)
    for samples in ([], [dict(img=np.zeros((4, 4, 3), np.uint8), gt_label=0)]):  # nothing; an array, as in CIFAR
        refused('BaseDataset names no image files', encode_dataset, backbone(), in_memory(samples))
