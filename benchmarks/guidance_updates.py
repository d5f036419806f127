"""What guidance of the built-in street scenes is worth: update x window x step rule, by the students' mIoU.

    python benchmarks/guidance_updates.py [--work-dir work_dirs/guidance_updates] [--seeds 3]

The scale of each case is chosen by one student, on scenes that only serve for this; the table is of other scenes. The
best case, today's default and no guidance are then compared by other image sets and students, on scenes that nothing
was chosen on. Run again, it goes on where it was stopped. An hour on 2 cores.
"""
import argparse

from students import Bench, spread

from mmdistill.evaluation import markdown

WHOLE, EARLY = (0.25, 1.0), (0.0, 0.2)
# (update, window, step): the scales that are tried. Shifts of the latents and of the output are of other sizes.
CASES = {
    ('prev', WHOLE, 'constant'): (1, 2), ('prev', WHOLE, 'noise'): (.06, .12),
    ('prev', EARLY, 'constant'): (2, 4), ('prev', EARLY, 'noise'): (.06, .12),
    ('output', WHOLE, 'constant'): (5, 10), ('output', WHOLE, 'noise'): (.2, .4),
    ('output', EARLY, 'constant'): (10, 20), ('output', EARLY, 'noise'): (.3, .6)}
DEFAULT = ('prev', WHOLE, 'constant'), 2


def config(case, scale):
    """A config of a case; None: no guidance."""
    if case is None:
        return 'custom_hooks = [_base_.selection]'
    settings = dict(zip(('update', 'window', 'step'), case), scale=scale)
    return f'custom_hooks = [_base_.selection, dict(_base_.guidance, **{settings!r})]'


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    Bench.add_arguments(parser, 'work_dirs/guidance_updates')
    bench = Bench(parser.parse_args())
    bench.measure((config(case, scale), 0) for case, scales in CASES.items() for scale in scales)
    chosen = {case: max(scales, key=lambda scale, case=case: bench.miou((config(case, scale), 0), 'choice'))
              for case, scales in CASES.items()}

    def table(rows, scenes, seeds):
        bench.measure((config(*row), seed) for seed in seeds for row in rows)
        values = {row: [bench.miou((config(*row), seed), scenes) for seed in seeds] for row in rows}
        lines = [[*map(str, case or ('no guidance', '', '')), '' if scale is None else f'{scale:g}', spread(found),
                  spread([one - other for one, other in zip(found, values[DEFAULT])])]
                 for (case, scale), found in values.items()]
        print(f'\nmIoU of {len(seeds)} image sets, scenes {scenes}; difference to the default at the same seeds')
        print(markdown([['update', 'window', 'step', 'scale', 'mIoU', 'difference'], *lines]))
        return max(rows, key=lambda row: sum(values[row]))

    rows = list(dict.fromkeys([(None, None), DEFAULT, *chosen.items()]))
    best = table(rows, 'table', range(bench.seeds))
    table(list(dict.fromkeys([(None, None), DEFAULT, best])), 'confirm', range(bench.seeds, 2 * bench.seeds))


if __name__ == '__main__':
    main()
