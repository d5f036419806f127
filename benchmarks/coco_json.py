"""Memory and time to read COCO-Stuff's JSON with the index of mmdistill.COCOStuff and with pycocotools.coco.COCO.

The files have the size of train2017 (118 287 images, 860 001 things as polygons, 6.6 regions of stuff per image as
run lengths) and random shapes. They are removed afterwards.

    python benchmarks/coco_json.py [--share 0.1] [--reader index COCO]
"""
import argparse
import json
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path

import numpy as np


def make_files(folder: Path, images: int) -> list:
    """Write a stuff and a things file with this number of images."""
    from pycocotools import mask as coco
    rng = np.random.default_rng(0)
    runs, polygons = [], []
    y, x = np.mgrid[:480, :640]
    for _ in range(64):  # templates, since only the number and length of the annotations matter
        discs = [(y - rng.integers(480))**2 + (x - rng.integers(640))**2 < rng.integers(20, 150)**2 for _ in range(3)]
        runs.append(coco.encode(np.asfortranarray(np.any(discs, 0), np.uint8))['counts'].decode())
        polygons.append(np.round(rng.random(2 * rng.integers(10, 60)) * 480, 2).tolist())
    listed = [dict(license=1, file_name=f'{i:012d}.jpg', height=480, width=640, id=i) for i in range(1, images + 1)]
    files = []
    for name, count, make in (
            ('stuff', int(6.6 * images), lambda i: dict(size=[480, 640], counts=runs[i % 64])),
            ('instances', int(7.27 * images), lambda i: [polygons[i % 64]])):
        files.append(folder / f'{name}.json')
        with open(files[-1], 'w') as stream:
            stream.write(json.dumps(dict(info={}, images=listed))[:-1] + ', "annotations": [')
            for i in range(count):
                image = (i * 7919) % images + 1 if name == 'instances' else i * images // count + 1
                stream.write(', ' * bool(i) + json.dumps(dict(
                    segmentation=make(i), area=1000.5, iscrowd=0, image_id=image, bbox=[1.0, 2.0, 3.0, 4.0],
                    category_id=92 + i % 90 if name == 'stuff' else 1 + i % 10, id=i)))
            stream.write('], "categories": [{"id": 1, "name": "person"}]}')
    return [str(file) for file in files]


def peak() -> float:
    """Peak memory of this process, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def measure(reader: str, files: list) -> None:
    """Read the files and 200 masks, and print time and memory."""
    from mmdistill.datasets.coco_stuff.index import JsonIndex
    before, start = peak(), time.perf_counter()
    if reader == 'COCO':
        from pycocotools.coco import COCO
        kept = [COCO(file) for file in files]
        print(f'COCO: {time.perf_counter() - start:.0f} s, {peak() - before:.2f} GB for {len(kept)} files')
        return
    index = JsonIndex(files)
    print(f'\nindex: {time.perf_counter() - start:.0f} s, {index.nbytes / 1e6:.0f} MB kept, '
          f'{peak() - before:.2f} GB at most')
    start = time.perf_counter()
    for image_id in index.ids[::len(index.ids) // 200].tolist():
        index.mask(image_id)
    print(f'{(time.perf_counter() - start) * 5:.1f} ms a mask of 640x480')


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--share', type=float, default=1.0, help='share of the images')
    parser.add_argument('--reader', nargs='+', choices=['index', 'COCO'], default=['index'])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        made = make_files(Path(folder), int(118287 * arguments.share))
        print(', '.join(f'{Path(file).name} {Path(file).stat().st_size / 1e6:.0f} MB' for file in made))
        for name in arguments.reader:  # each reader in a separate process
            process = multiprocessing.get_context('spawn').Process(target=measure, args=(name, made))
            process.start()
            process.join()
