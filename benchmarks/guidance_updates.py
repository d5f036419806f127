"""What guidance of the built-in street scenes is worth: update x window x step rule, by the students' mIoU.

    python benchmarks/guidance_updates.py [--work-dir work_dirs/guidance_updates] [--seeds 3]

The scale of each case is chosen on scenes of its own by one student; the table is of other image sets and other
scenes; and the best case, today's default and no guidance are compared once more by students of the full length, on
scenes that nothing was chosen on. None of these scenes is in another table. Run again, it goes on where it was stopped.
"""
import argparse
import functools

from students import Bench, markdown

LATENTS, EARLY = (0.25, 1.0), (0.0, 0.2)
# (update, window, step): scales that are tried. Shifts of the output and of the latents are of other sizes.
CASES = {
    ('prev', LATENTS, 'constant'): (1, 2, 4), ('prev', LATENTS, 'noise'): (.03, .06, .12),
    ('prev', EARLY, 'constant'): (2, 4, 8), ('prev', EARLY, 'noise'): (.06, .12, .25),
    ('output', LATENTS, 'constant'): (5, 10, 20), ('output', LATENTS, 'noise'): (.15, .3, .6),
    ('output', EARLY, 'constant'): (10, 20, 40), ('output', EARLY, 'noise'): (.3, .6, 1.2)}
DEFAULT = ('prev', LATENTS, 'constant'), 2
# Scenes of the built-in data that no other table and no training of the weights has: split, first, last.
SCALE, TABLE, CONFIRM = ('val', 300, 600), ('val', 600, 900), ('test', 300, 600)
SHORT, FULL = 500, 1000


def options(case, scale):
    """``--cfg-options`` of a case."""
    update, window, step = case
    return {f'custom_hooks.GuidedSynthesisHook.{key}': value
            for key, value in dict(update=update, window=window, step=step, scale=scale).items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    Bench.add_arguments(parser, 'work_dirs/guidance_updates')
    bench = Bench(parser.parse_args())

    @functools.cache
    def miou(case, scale, seed, scenes, iterations):
        settings = options(case, scale) if case else None
        return bench.miou(bench.distilled(settings, seed), seed, scenes, iterations)

    def chosen(case):
        """The scale by one student, on the set of seed 0."""
        return max(CASES[case], key=lambda scale: miou(case, scale, 0, SCALE, SHORT))

    def over_seeds(case, scale, scenes, iterations):
        return [miou(case, scale, seed, scenes, iterations) for seed in range(1, bench.seeds + 1)]

    rows = [(case, scale := chosen(case), over_seeds(case, scale, TABLE, SHORT)) for case in CASES]
    rows += [(None, None, over_seeds(None, None, TABLE, SHORT))]
    if DEFAULT not in [row[:2] for row in rows]:
        rows.append((*DEFAULT, over_seeds(*DEFAULT, TABLE, SHORT)))

    def lines(rows):
        for case, scale, values in rows:
            update, window, step = case or ('none', '', '')
            yield [update, str(window), step, '' if scale is None else f'{scale:g}', bench.spread(values)]

    head = ['update', 'window', 'step', 'scale', 'mIoU']
    print(f'\nStudents of {SHORT} iterations, {bench.seeds} image sets, scenes {TABLE}; scales chosen on {SCALE}:')
    print(markdown([head, *lines(rows)]))
    best = max(rows, key=lambda row: sum(row[2]))[:2]
    final = [(*one, over_seeds(*one, CONFIRM, FULL)) for one in dict.fromkeys([best, DEFAULT, (None, None)])]
    print(f'\nThe best of these, the default and no guidance: students of {FULL} iterations on scenes {CONFIRM}:')
    print(markdown([head, *lines(final)]))


if __name__ == '__main__':
    main()
