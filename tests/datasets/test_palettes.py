"""The palette that mmseg makes up is recognised, and no other one."""
from mmseg.datasets import BaseSegDataset

from mmdistill.datasets.palettes import without_random_palette


def test_mmsegs_own_palette(tmp_path):
    names = ('sky', 'road', 'car')
    colours = [[6, 230, 230], [140, 140, 140], [0, 102, 200]]
    for given, kept in ((dict(), None), (dict(palette=colours), colours)):
        dataset = BaseSegDataset(metainfo=dict(classes=names, **given), lazy_init=True)
        assert len(dataset.metainfo['palette']) == 3
        assert without_random_palette(dataset.metainfo).get('palette') == kept
        assert without_random_palette(dataset.metainfo)['classes'] == names
    assert without_random_palette({}) == {}
