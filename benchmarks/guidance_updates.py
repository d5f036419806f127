"""The mIoU of students for settings of guidance on the built-in street scenes: update x window x step rule.

    python benchmarks/guidance_updates.py [--work-dir work_dirs/guidance_updates] [--seeds 3]

First round: one student for each case and scale, on scenes used only for this choice. Second round: the two best cases,
the default and no guidance, with new image sets, students and scenes. Third round: the best case, the default and no
guidance, with new image sets, students and scenes that no choice was based on. Re-running resumes an interrupted run.
Two hours on 2 cores.
"""
import argparse

from students import Bench, spread

from mmdistill.evaluation import markdown

WHOLE, EARLY = (0.25, 1.0), (0.0, 0.2)
# (update, window, step): scales to try. Shifts of the latents and shifts of the output have different sizes.
CASES = {
    ('prev', WHOLE, 'constant'): (1, 2), ('prev', WHOLE, 'noise'): (.06, .12),
    ('prev', EARLY, 'constant'): (2, 4), ('prev', EARLY, 'noise'): (.06, .12),
    ('output', WHOLE, 'constant'): (5, 10), ('output', WHOLE, 'noise'): (.2, .4),
    ('output', EARLY, 'constant'): (10, 20), ('output', EARLY, 'noise'): (.3, .6)}
DEFAULT = ('prev', WHOLE, 'noise'), .12  # as in the quickstart's config
FINALISTS = 2  # cases of the second round, in addition to the default


def hook(case, scale):
    """The hook of a case, for a config that inherits the quickstart's config."""
    settings = dict(zip(('update', 'window', 'step'), case), scale=scale)
    return f'dict(_base_.guidance, **{settings!r})'


def config(case, scale):
    """The config of a case; None: without guidance."""
    return 'custom_hooks = [_base_.selection]' if case is None else (
        f'custom_hooks = [_base_.selection, {hook(case, scale)}]')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    Bench.add_arguments(parser, 'work_dirs/guidance_updates')
    bench = Bench(parser.parse_args())
    rows = [(None, None), *((case, scale) for case, scales in CASES.items() for scale in scales)]
    first = table(bench, rows, 'choice', [0])
    finalists = []
    for case, scale in sorted(first, key=first.__getitem__, reverse=True):
        if case not in [None, DEFAULT[0], *(other for other, _ in finalists)]:
            finalists.append((case, scale))
    rows = [(None, None), DEFAULT, *finalists[:FINALISTS]]
    table(bench, rows, 'table', range(1, 1 + bench.seeds))
    table(bench, rows[:3], 'confirm', range(1 + bench.seeds, 1 + 2 * bench.seeds))


def table(bench, rows, scenes, seeds):
    """Measure the cases and print a table. Returns the mean of each."""
    bench.measure((config(*row), seed) for seed in seeds for row in rows)
    values = {row: [bench.miou((config(*row), seed), scenes) for seed in seeds] for row in rows}
    lines = [[*map(str, case or ('no guidance', '', '')), '' if scale is None else f'{scale:g}', spread(found),
              spread([one - other for one, other in zip(found, values[DEFAULT])])]
             for (case, scale), found in values.items()]
    print(f'\nmIoU on the scenes {scenes}, {len(seeds)} image sets; difference to the default at the same seeds')
    print(markdown([['update', 'window', 'step', 'scale', 'mIoU', 'difference'], *lines]), flush=True)
    return {row: sum(found) / len(found) for row, found in values.items()}


if __name__ == '__main__':
    main()
