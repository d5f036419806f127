"""How a guiding segmentor sees distilled CamVid frames: its losses, which guidance minimises, and features per class.

    python benchmarks/guide_statistics.py SET ... --guide FILE [--data-root data/camvid]

SET is a folder that `mmdistill distill` wrote. Rows: the real frames of the sets' masks, at the same size, and the
sets. Columns: the losses of D3S2's objectives, mean per image; then, per layer of the guide, the distance from the mean
features of each class in the whole set to those in all training frames, in standard deviations of the real pixels, mean
over the classes. A minute for ten sets. Needs the package of the extra `benchmarks`.
"""
import argparse

import torch
from mmengine.config import ConfigDict

import mmdistill.registry  # noqa: F401  'mmdistill::' in configs
from mmdistill.bars import track
from mmdistill.config import read_config
from mmdistill.datasets.manifest import read_manifest
from mmdistill.evaluation import markdown
from mmdistill.guidance import ClassFeatureMatching, ClassStatistics, SegmentationConsistency
from mmdistill.registry import DATASETS, MODELS
from mmdistill.tasks.segmentation import Segmentation
from mmdistill.tasks.statistics import real_batches

CONFIG = 'configs/d3s2/d3s2_layout-unet_5p_camvid-512x384.py'


class Indexed:
    """The samples of a source at some indices."""

    def __init__(self, source, indices):
        self.source, self.indices = source, indices

    def __len__(self):
        return len(self.indices)

    def pair(self, index, size):
        return self.source.pair(self.indices[index], size)


def source(cfg):
    """A dataset whose `pair` gives images and masks."""
    return Segmentation().source(DATASETS.build(cfg))


@torch.no_grad()
def measured(guide, frames, size, objectives, classes):
    """The mean losses of the objectives over some frames, and the statistics of their features."""
    losses, statistics = [], ClassStatistics(classes)
    for images, masks in real_batches(frames, size):
        losses.append(torch.stack([objective(images, dict(mask=masks)) for objective in objectives]))
        statistics.fit(guide.features(images), masks)
    return torch.cat(losses, 1).mean(1).tolist(), statistics


def distances(statistics, real):
    """Per layer, the distance of the classes' mean features, in standard deviations of the real pixels."""
    seen = (statistics.images_ > 0) & (real.images_ > 0)
    rows = []
    for (mean, _), (target, deviation) in zip(statistics.layers, real.layers):
        scale = deviation[real.images_ > 0].square().mean(0).sum()
        rows.append(float(((mean - target)[seen].square().sum(1) / scale).sqrt().mean()))
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('sets', nargs='+', metavar='SET')
    parser.add_argument('--guide', required=True, metavar='FILE', help='weights of the guide')
    parser.add_argument('--data-root', default='data/camvid')
    args = parser.parse_args()
    cfg = read_config(CONFIG)
    size = tuple(cfg.model.generator.image_size)
    guide = MODELS.build(ConfigDict(cfg.guidance.segmentor, checkpoint=args.guide, _scope_='mmdistill'))
    real = source(dict(cfg.train_dataset, data_root=args.data_root))
    classes, statistics = len(real.classes), ClassStatistics(len(real.classes))
    with torch.no_grad():
        for images, masks in track(real_batches(real, size), -(-len(real) // 16), 'batches of real frames'):
            statistics.fit(guide.features(images), masks)
    objectives = [SegmentationConsistency(guide, class_weight='balanced'),
                  ClassFeatureMatching(guide.features, statistics)]
    frames, known = {}, set()
    for folder in args.sets:
        indices = tuple(image['source_index'] for image in read_manifest(folder)['images'])
        if indices not in known:  # sets of the same masks have the same photos
            known.add(indices)
            frames[f'photos of {folder}'] = Indexed(real, indices)
        frames[folder] = source(dict(type='mmdistill.DistilledDataset', data_root=folder))
    rows = []
    for name, one in frames.items():
        losses, found = measured(guide, one, size, objectives, classes)
        rows.append([name, *(f'{value:.3f}' for value in (*losses, *distances(found, statistics)))])
    layers = [f'layer {number}' for number in range(len(statistics.layers))]
    print(markdown([['frames', 'consistency', 'matching', *layers], *rows]))


if __name__ == '__main__':
    main()
