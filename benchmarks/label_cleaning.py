"""Several images per mask, and label cleaning: the mIoU of students on the built-in street scenes.

    python benchmarks/label_cleaning.py [--work-dir work_dirs/guidance_updates] [--seeds 3]

Prints the share of labelled pixels that are ignored, and the mIoU of the students. Sets with the same number of images
per mask have the same images. Re-running resumes an interrupted run. 25 minutes on 2 cores.
"""
import argparse

from guidance_updates import DEFAULT, config, hook
from students import Bench, spread

from mmdistill.evaluation import markdown

VOTE, LOSS = dict(type='MajorityVote'), dict(type='LossThreshold', factor=1.25)
ROWS = [(1, []), (1, [LOSS]), (4, []), (4, [VOTE]), (4, [LOSS]), (4, [VOTE, LOSS])]


def text_of(images, cleaners):
    """A config with a number of images per mask and cleaners."""
    if images == 1 and not cleaners:
        return config(*DEFAULT)
    hooks = f'dict(_base_.selection, images_per_mask={images}), {hook(*DEFAULT)}'
    if cleaners:
        hooks += f", dict(type='LabelCleaningHook', cleaners={cleaners!r}, segmentor=_base_.guidance['segmentor'])"
    return f'custom_hooks = [{hooks}]'


def ignored(bench, units, cleaners):
    """Share of labelled pixels that are ignored by at least one cleaner."""
    manifests = [bench.manifest(unit) for unit in units] if cleaners else []
    shares = [list(manifest['extra']['cleaning']['ignored'].values())[-1]['share'] for manifest in manifests] or [0]
    return sum(shares) / len(shares)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    Bench.add_arguments(parser, 'work_dirs/guidance_updates')
    bench = Bench(parser.parse_args())
    seeds = range(bench.seeds)
    bench.measure((text_of(images, []), seed) for seed in seeds for images in (1, 4))
    bench.same_images = {text_of(images, cleaners): text_of(images, []) for images, cleaners in ROWS if cleaners}
    bench.measure((text_of(*row), seed) for seed in seeds for row in ROWS)
    lines, first = [], None
    for images, cleaners in ROWS:
        units = [(text_of(images, cleaners), seed) for seed in seeds]
        found = [bench.miou(unit, 'table') for unit in units]
        first = first or found
        lines.append([str(images), ', '.join(one['type'] for one in cleaners) or 'none',
                      f'{ignored(bench, units, cleaners):.1%}', spread(found),
                      spread([one - other for one, other in zip(found, first)])])
    print(f'\nmIoU of {len(seeds)} image sets, scenes table; difference to the first line at the same seeds')
    print(markdown([['images per mask', 'cleaning', 'ignored', 'mIoU', 'difference'], *lines]))


if __name__ == '__main__':
    main()
