"""The losses of a guiding segmentor on distilled CamVid frames, which guidance minimises, and its features per class.

    python benchmarks/guide_statistics.py SET ... --guide FILE [--data-root data/camvid]

SET is a work dir of `mmdistill distill`. The rows are the sets, and the real frames of their masks at the same size.
The first columns are the losses of D3S2's objectives, averaged over the images. The other columns, one per layer of the
guide, are the distances between the mean features of a class in the set and in all training frames, in standard
deviations of the real pixels, averaged over the classes. Ten sets take a minute. Needs the package of the extra
`benchmarks`.
"""
import argparse

import torch
from camvid_frames import begin, distilled, frames
from mmengine.config import ConfigDict

from mmdistill.bars import track
from mmdistill.components import check_component
from mmdistill.config import read_config
from mmdistill.evaluation import markdown
from mmdistill.guidance import ClassFeatureMatching, ClassStatistics, SegmentationConsistency
from mmdistill.registry import MODELS
from mmdistill.tasks.statistics import real_batches

CONFIG = 'configs/d3s2/d3s2_layout-unet_5p_camvid-512x384.py'


@torch.no_grad()
def measured(guide, sample, size, objectives, classes):
    """The mean losses of the objectives over some frames, and the statistics of their features."""
    losses, statistics = [], ClassStatistics(classes)
    for images, masks in real_batches(sample, size):
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


def measure(args):
    """Print the table."""
    cfg = read_config(CONFIG)
    size, segmentor = tuple(cfg.model.generator.image_size), ConfigDict(cfg.guidance.segmentor, checkpoint=args.guide)
    check_component(segmentor, MODELS, '--guide: segmentor')
    real, sets = frames('train', args.data_root), {folder: distilled(folder) for folder in args.sets}
    first = {indices: folder for folder, (_, indices) in reversed(sets.items())}  # sets of the same masks share photos
    samples = {f'photos of {folder}': frames('train', args.data_root, indices=list(indices))
               for indices, folder in first.items()}
    samples.update((folder, sample) for folder, (sample, _) in sets.items())
    guide = MODELS.build(ConfigDict(segmentor, _scope_='mmdistill'))
    classes, statistics = len(real.classes), ClassStatistics(len(real.classes))
    with torch.no_grad():
        for images, masks in track(real_batches(real, size), -(-len(real) // 16), 'batches of real frames'):
            statistics.fit(guide.features(images), masks)
    objectives = [SegmentationConsistency(guide, class_weight='balanced'),
                  ClassFeatureMatching(guide.features, statistics)]
    rows = []
    for name, sample in samples.items():
        losses, found = measured(guide, sample, size, objectives, classes)
        rows.append([name, *(f'{value:.3f}' for value in (*losses, *distances(found, statistics)))])
    layers = [f'layer {number}' for number in range(len(statistics.layers))]
    print(markdown([['frames', 'consistency', 'matching', *layers], *rows]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('sets', nargs='+', metavar='SET')
    parser.add_argument('--guide', required=True, metavar='FILE', help='weights of the guide')
    parser.add_argument('--data-root', default='data/camvid')
    begin(measure, parser.parse_args())


if __name__ == '__main__':
    main()
