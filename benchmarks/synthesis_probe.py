"""Measures with a linear probe how much each stage of the synthesis of CamVid frames loses.

    python benchmarks/synthesis_probe.py [SET ...] [--data-root data/camvid] [--vae madebyollin/taesd]

SET is a work dir of `mmdistill distill`. The probe (linear_probe.py) is trained on random frames, on the photos of a
set's masks, and on the images of the set. Frames and photos are used unchanged, and after the autoencoder at 256x192
and at twice this size. The probe is tested on every other validation frame. Frames are read at 256x192. The test frames
are not read. A row takes seconds; a student would take minutes. Needs the package of the extra `benchmarks`.
"""
import argparse

import cv2
import numpy as np
import torch
from camvid_frames import begin, distilled, frames
from linear_probe import Pixels, moments, probe

from mmdistill.bars import track
from mmdistill.evaluation import markdown
from mmdistill.generation.autoencoders import decode, encode, load_vae
from mmdistill.selection import RandomSelector

SIZE, FILES = (192, 256), (360, 480)  # (height, width) of the frames for the probe, and of the photo files


@torch.no_grad()
def through(vae, photo, mask, times):
    """Image and mask of SIZE; the image is the photo, encoded and decoded at `times` this size."""
    large = cv2.resize(photo, [side * times for side in SIZE[::-1]], interpolation=cv2.INTER_LINEAR)
    latents = encode(vae, torch.from_numpy(large).permute(2, 0, 1)[None] / 127.5 - 1)
    decoded = ((decode(vae, latents)[0] / 2 + 0.5).clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    return cv2.resize(decoded, SIZE[::-1], interpolation=cv2.INTER_AREA), mask


def stages(indices, real, vae):
    """Name → (image, mask) pairs of SIZE: photos, and the same photos after the autoencoder."""
    photos = [real.pair(index, SIZE) for index in indices]
    whole = [real.pair(index, FILES)[0] for index in indices]
    return {
        'photos': photos,
        'through the autoencoder': [through(vae, *pair, 1) for pair in photos],
        'through the autoencoder at twice the size':
            [through(vae, image, mask, 2) for image, (_, mask) in zip(whole, photos)]}


def measure(args):
    """Print the rows and the table."""
    real, val = (frames(split, args.data_root) for split in ('train', 'val'))
    sets = {folder: distilled(folder) for folder in args.sets}
    vae, pixels, rows, draws = load_vae(args.vae).eval(), Pixels(), [], range(args.draws)
    test = pixels(val.pair(index, SIZE) for index in track(range(0, len(val), 2), len(val) // 2, 'frames'))

    def report(name, samples):
        values = [probe(one, test, scale, draw) for draw, one in zip(draws, samples)]
        spread = f' ± {np.std(values, ddof=1):.1f}' if len(values) > 1 else ''
        rows.append([name, f'{np.mean(values):.1f}{spread}'])
        print(': '.join(rows[-1]), flush=True)

    drawn = [RandomSelector(args.budget, random_state=draw).fit(real.histograms()).selected_ for draw in draws]
    samples = [{name: pixels(pairs) for name, pairs in stages(indices, real, vae).items()} for indices in drawn]
    scale = moments(torch.cat([one['photos'][0] for one in samples]))
    for name in samples[0]:
        report(f'random frames: {name}', [one[name] for one in samples])
    known = set()
    for folder, (images, indices) in sets.items():
        kinds = {} if indices in known else stages(indices, real, vae)  # sets of the same masks have the same photos
        known.add(indices)
        kinds['distilled'] = [images.pair(index, SIZE) for index in range(len(images))]
        for name, pairs in kinds.items():
            report(f'{folder}: {name}', [pixels(pairs)] * args.draws)
    print(markdown([['frames', 'mIoU'], *rows]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('sets', nargs='*', metavar='SET')
    parser.add_argument('--data-root', default='data/camvid')
    parser.add_argument('--vae', metavar='FOLDER', default='madebyollin/taesd')
    parser.add_argument('--budget', type=int, default=19, help='random frames')
    parser.add_argument('--draws', type=int, default=3, help='number of random selections, and of classifiers per set')
    begin(measure, parser.parse_args())


if __name__ == '__main__':
    main()
