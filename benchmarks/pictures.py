"""Draws the pictures in README.md and docs/guidance.md: masks, and below them the images of several distilled sets.

    python benchmarks/pictures.py OUT.png 'no guidance=work_dirs/a' 'scale 0.12=work_dirs/b'
"""
import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from mmdistill.datasets.manifest import read_manifest

MARGIN = 110  # pixels for the names of the rows


def rows_of(sets: dict, count: int) -> list:
    """(Name, images) of each row, for the first ``count`` images of the first set."""
    rows, ids = [], None
    for name, root in sets.items():
        root = Path(root) / 'distilled'
        manifest = read_manifest(root)
        images = {image['id']: image for image in manifest['images']}
        if ids is None:
            ids = list(images)[:count]
            palette = np.full((256, 3), 255, np.uint8)
            palette[:len(manifest['palette'])] = manifest['palette']
            rows.append(('mask', [palette[np.asarray(Image.open(root / images[one]['mask']))] for one in ids]))
        rows.append((name, [np.asarray(Image.open(root / images[one]['image']).convert('RGB')) for one in ids]))
    return rows


def draw(rows: list, zoom: int) -> Image.Image:
    """Draw all rows in one picture."""
    height, width = (zoom * side for side in rows[0][1][0].shape[:2])
    picture = Image.new('RGB', (MARGIN + (width + 4) * len(rows[0][1]), (height + 4) * len(rows)), 'white')
    for top, (name, images) in enumerate(rows):
        ImageDraw.Draw(picture).text((4, top * (height + 4) + height // 2 - 6), name, fill='black', font_size=14)
        for left, image in enumerate(images):
            large = Image.fromarray(image).resize((width, height), Image.Resampling.NEAREST)
            picture.paste(large, (MARGIN + left * (width + 4), top * (height + 4)))
    return picture


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('out', help='the picture')
    parser.add_argument('sets', nargs='+', metavar='NAME=WORK_DIR')
    parser.add_argument('--count', type=int, default=6, help='images in a row')
    parser.add_argument('--zoom', type=int, default=2, help='width in the picture of one pixel of an image')
    args = parser.parse_args()
    sets = dict(given.split('=', 1) for given in args.sets)
    draw(rows_of(sets, args.count), args.zoom).save(args.out, optimize=True)
