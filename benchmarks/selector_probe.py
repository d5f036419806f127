"""Compares selectors of CamVid frames with a linear probe that is tested on a held-out video sequence.

    python benchmarks/selector_probe.py [--budget 19] [--draws 6] [--data-root data/camvid] [--selectors random greedy]

The frames of CamVid come from few videos, and its validation frames continue one of the training videos. On these
frames, a selector that prefers this video has an advantage that it does not have elsewhere. Therefore, one of the three
training sequences is held out at a time. Frames are selected from the other two sequences. A linear classifier of
frozen ImageNet features (EfficientNet-Lite0, all stages at 1/4 of the size) is trained on their pixels, with class
weights as in ENet, and tested on the held-out sequence. The validation and test frames are not read. A selector takes
seconds; a student would take minutes. The result compares selectors and does not predict the quality of a student.
Needs the extra `benchmarks`.
"""
import argparse

import numpy as np
import torch
from camvid_frames import begin, frames
from linear_probe import Pixels, moments, probe

from mmdistill.bars import track
from mmdistill.evaluation import markdown
from mmdistill.selection import (ClassBalancedGreedy, FeatureKCenterSelector, FrequencyWeightedSelector,
                                 HerdingSelector, KCenterSelector, RandomSelector, RarestClassFirst,
                                 UniformPerClassSelector)

SIZE = (192, 256)  # height and width of the frames
# Settings of the greedy selector by name. With min_gap=1, near-duplicates are not left out.
GREEDY = {
    'greedy': {}, **{f'greedy_gap_{gap}': dict(min_gap=gap) for gap in (1, 2)},
    **{f'greedy_density_{value:g}': dict(min_gap=1, density=value) for value in (0.05, 0.1, 0.2, 0.5)},
    **{f'greedy_tau_{value:g}': dict(min_gap=1, tau=value) for value in (0.001, 0.1, 1.0)},
    **{f'greedy_fraction_{value:g}': dict(min_gap=1, min_fraction=value) for value in (0.0, 0.005, 0.02)}}
# Name → function from a budget and a seed to a selector. FEATURES read the frames' mean features, MASKS the masks.
MASKS = dict(
    random=lambda n, seed: RandomSelector(n, random_state=seed),
    **{name: lambda n, seed, options=options: ClassBalancedGreedy(n, **options) for name, options in GREEDY.items()},
    rarest_first=lambda n, seed: RarestClassFirst(n),
    by_frequency=lambda n, seed: FrequencyWeightedSelector(n, random_state=seed),
    uniform_per_class=lambda n, seed: UniformPerClassSelector(n, random_state=seed),
    k_center=lambda n, seed: KCenterSelector(n, random_state=seed))
FEATURES = dict(
    herding_of_features=lambda n, seed: HerdingSelector(n),
    k_center_of_features=lambda n, seed: FeatureKCenterSelector(n, random_state=seed))


def read(data_root):
    """Sequence and class histogram of each training frame, its features at 1/4 of the size, and the classes there."""
    source = frames('train', data_root)
    pixels = Pixels()(track((source.pair(index, SIZE) for index in range(len(source))), len(source), 'frames'))
    sequences = np.array([path.rsplit('/', 1)[-1][:6] for path in source.images])
    return sequences, source.histograms(), *pixels


def compare(args):
    """Print the rows and the table."""
    sequences, histograms, features, labels = read(args.data_root)
    scale, pooled, held = moments(features), features.mean(1, dtype=torch.float32).numpy(), np.unique(sequences)
    found = {}
    for sequence in held:
        pool, test = np.flatnonzero(sequences != sequence), np.flatnonzero(sequences == sequence)[::2]
        vectors = pooled[pool] / (pooled.std(0) + 1e-6)
        for name in args.selectors:
            make = {**MASKS, **FEATURES}[name]
            data = vectors if name in FEATURES else histograms[pool]
            draws = args.draws if make(args.budget, 0).stochastic else 1
            selections = [pool[make(args.budget, seed).fit(data).selected_] for seed in range(draws)]
            values = [probe((features[rows], labels[rows]), (features[test], labels[test]), scale, seed)
                      for seed, rows in enumerate(selections)]
            found.setdefault(name, []).append(np.mean(values))
            print(f'without {sequence}, {name}: {found[name][-1]:.1f}', flush=True)
    rows = [[name, *(f'{value:.1f}' for value in values), f'{np.mean(values):.1f}'] for name, values in found.items()]
    print(markdown([['selector', *held, 'mean'], *rows]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--budget', type=int, default=19, help='frames to select')
    parser.add_argument('--draws', type=int, default=6, help='number of selections by random selectors')
    parser.add_argument('--selectors', nargs='+', default=[*MASKS, *FEATURES], choices=[*MASKS, *FEATURES],
                        metavar='NAME', help=f'all by default: {", ".join([*MASKS, *FEATURES])}')
    parser.add_argument('--data-root', default='data/camvid')
    begin(compare, parser.parse_args())


if __name__ == '__main__':
    main()
