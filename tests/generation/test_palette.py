import pytest
import torch

from mmdistill.errors import DistillError
from mmdistill.generation.palette import check_palette, render_one_hot, render_palette, same_colours

PALETTE = [(255, 0, 0), (0, 128, 0), (255, 0, 0)]
NAMES = ('road', 'sky', 'skyscraper')


def test_each_pixel_has_its_classes_colour():
    mask = torch.tensor([[[0, 1], [2, 255]]])
    image = render_palette(mask, PALETTE)
    assert image.shape == (1, 3, 2, 2)
    assert (image[0, :, 0, 1] * 255).tolist() == [0, 128, 0]
    assert image[0, :, 1, 1].tolist() == [0, 0, 0]


def test_classes_of_one_colour_are_reported():
    assert same_colours(PALETTE, NAMES) == [('road', 'skyscraper')]
    assert same_colours(PALETTE[:2], NAMES[:2]) == []


@pytest.mark.parametrize('channels', [3, 4])
def test_one_hot(channels):
    mask = torch.tensor([[[0, 1], [2, 255]]])
    planes = render_one_hot(mask, 3, channels)
    assert planes.shape == (1, channels, 2, 2)
    assert planes[0, :, 1, 0].tolist() == [0, 0, 1, 0][:channels]
    assert planes[0, :, 1, 1].tolist() == [0, 0, 0, 1][:channels]


@pytest.mark.parametrize('palette', [PALETTE[:2], PALETTE[:2] + [(0, 0, 256)], PALETTE[:2] + [(0, 0)]])
def test_a_wrong_palette(palette):
    with pytest.raises(DistillError, match='palette'):
        check_palette(palette, NAMES, 'generator')
