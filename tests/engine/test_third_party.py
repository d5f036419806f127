"""Parts of a third party: a registered class each, in a file that the config imports."""
import json
import re

import pytest

PARTS = '''
import numpy as np
from mmdistill.datasets.writers import SegWriter
from mmdistill.generation import LayoutUNetGenerator
from mmdistill.guidance import SegmentationConsistency
from mmdistill.registry import GENERATORS, GUIDANCES, SELECTORS, WRITERS
from mmdistill.selection import BaseSelector


@GUIDANCES.register_module()
class Brightness:
    space = 'image'
    needs = ('classes', 'segmentor', 'requests')

    def __init__(self, segmentor, classes, requests, target: float = 0.0, weight: float = 1.0):
        assert len(classes) == segmentor.num_classes and len(requests) == 3
        self.target, self.weight = target, weight

    def __call__(self, x, batch):
        return (x.mean((1, 2, 3)) - self.target).square()


@GUIDANCES.register_module()
class LoudConsistency(SegmentationConsistency):
    def __init__(self, loudness: float = 1.0, **kwargs):
        super().__init__(**kwargs)
        self.weight *= loudness


@SELECTORS.register_module()
class LastSelector(BaseSelector):
    def __init__(self, skip: int = 0, **kwargs):
        super().__init__(**kwargs)
        self.skip = skip

    def _select(self, counts, usable, budget, init):
        return np.flatnonzero(usable)[::-1][self.skip:self.skip + budget]


@GENERATORS.register_module()
class DarkGenerator(LayoutUNetGenerator):
    def __init__(self, *modules, darkness: float = 0.5, **settings):
        super().__init__(*modules, **settings)
        self.darkness = darkness

    def synthesize(self, *args, **kwargs):
        for made in super().synthesize(*args, **kwargs):
            yield made._replace(image=(made.image * self.darkness).astype('uint8'))


@WRITERS.register_module()
class CountingWriter(SegWriter):
    def write(self, request_id, image, mask):
        super().write(request_id, image, mask)
        print('WROTE', request_id, int(image.max()))
'''
CONFIG = '''
_base_ = {base!r}
custom_imports = dict(imports=['my_parts'])
model = dict(generator=dict(type='DarkGenerator', darkness=0.25))
test_cfg = dict(writer=dict(type='CountingWriter'))
custom_hooks = [
    dict(type='GuidedSynthesisHook', segmentor=_base_.custom_hooks[1].segmentor, scale=1.0,
         objectives=[dict(type='Brightness', target=1.0, weight=10),
                     dict(type='LoudConsistency', loudness=2.0, weight=0.5)]),
    dict(type='MaskSelectionHook', selector=dict(type='LastSelector', budget=3, skip=1), workers=0)]
'''


@pytest.fixture
def config(streets, tmp_path):
    (tmp_path / 'my_parts.py').write_text(PARTS)
    path = tmp_path / 'mine.py'
    path.write_text(CONFIG.format(base=str(streets)))
    return path


def test_each_objective_gets_the_declared_resources(tools, config, root, tmp_path):
    """The hooks are also tested in the other order: guidance before the plan."""
    path = f'import sys; sys.path.append({str(tmp_path)!r})'
    done = tools('distill', config, '--work-dir', tmp_path / 'work', before=path)
    assert done.returncode == 0, done.stderr
    manifest = json.loads((tmp_path / 'work/distilled/meta/distilled.json').read_text())
    assert [image['source_index'] for image in manifest['images']] == [10, 9, 8]
    written = re.findall(r'WROTE (\d+) (\d+)', done.stdout)
    assert [name for name, _ in written] == ['000010', '000009', '000008'] and all(int(top) < 64 for _, top in written)
    log, = (tmp_path / 'work').glob('*/*.log')
    assert re.search(r'first to last guided step: Brightness .* LoudConsistency .*% of the latents', log.read_text())
    scalars = [json.loads(line) for path in (tmp_path / 'work').rglob('scalars.json')
               for line in path.read_text().splitlines()]
    kept = next(row for row in scalars if 'guidance/step' in row)
    names = {f'guidance/{name}/{end}' for name in ('Brightness', 'LoudConsistency') for end in ('first', 'last')}
    assert names < kept.keys()
    assert kept['guidance/Brightness/last'] < kept['guidance/Brightness/first'] and 0 < kept['guidance/step'] < 1


@pytest.mark.parametrize('option, say', [
    ('custom_hooks.0.objectives.Brightness.targt=1', r'targt: unknown setting of Brightness; did you mean target\?'),
    ('custom_hooks.0.objectives.LoudConsistency.loudnes=1', r'loudnes: .*LoudConsistency; did you mean loudness\?'),
    ('custom_hooks.0.objectives.LoudConsistency.weight=x',
     r"objectives\.LoudConsistency\.weight='x' has to be a number"),
    ('custom_hooks.1.selector.skipp=1', r'selector\.skipp: unknown setting of LastSelector; did you mean skip\?'),
    ('model.generator.darknes=1', r'model\.generator\.darknes: .*DarkGenerator; did you mean darkness\?'),
    ('model.generator.num_stepz=1', r'model\.generator\.num_stepz: .*did you mean num_steps\?'),
])
def test_and_checked_by_its_own_signature(tools, config, tmp_path, option, say):
    done = tools('distill', config, '--work-dir', tmp_path / 'work', '--dry-run', '--cfg-options', option,
                 before=f'import sys; sys.path.append({str(tmp_path)!r})')
    assert done.returncode == 1 and re.search(f'error: .*{say}', done.stderr.splitlines()[-1]), done.stderr
