"""Every part is found by name in a stock config, and every root registry of MMEngine has a child in mmdistill."""
import json

import pytest
from mmengine import logging
from mmengine import registry as mmengine_registry
from mmengine.registry import DefaultScope, Registry
from mmengine.registry import root as mmengine_roots

from mmdistill import registry

PARTS = {
    'DATASETS': ['StreetScenes', 'DistilledDataset'],
    'LOOPS': ['DistillLoop'],
    'HOOKS': ['MaskSelectionHook', 'GuidedSynthesisHook', 'CandidateChoiceHook', 'ImageWeightsHook'],
    'MODELS': ['AutoencoderTrainer', 'LayoutDiffusion'],
}
OWN_PARTS = {
    'SELECTORS': ['ClassBalancedGreedy', 'HerdingSelector', 'RandomPerClassSelector'],
    'GENERATORS': ['LayoutUNetGenerator', 'ControlNetGenerator'],
    'GUIDANCES': ['SegmentationConsistency', 'ClassFeatureMatching'],
    'CHOICES': ['CoverageChoice'],
    'IMAGE_WEIGHTS': ['ClusterShares'],
    'WRITERS': ['SegWriter'],
    'ENCODERS': ['LatentEncoder', 'BackboneEncoder'],
}

# As with a stock config: only MMEngine is imported, and the default scope is that of mmseg.
RESOLVE = """
import importlib, json
from mmengine.registry import init_default_scope
init_default_scope('mmseg')
module = importlib.import_module({module!r})
found = {{}}
for name, types in {parts!r}.items():
    with getattr(module, name).switch_scope_and_registry(None) as scoped:
        found[name] = [scoped.get('mmdistill.' + type_).__module__ for type_ in types]
print('RESULT' + json.dumps(found))
"""


@pytest.mark.parametrize('scope', ['mmseg', 'mmpretrain', 'mmdistill', 'mmengine'])
def test_no_scope_is_warned_of(scope, monkeypatch):
    """Registries of mmdistill build in the default scope of any stock config, and do not change it."""
    said, seen = [], []
    monkeypatch.setattr(logging, 'print_log', lambda text, *args, **kwargs: said.append(text))

    class Selector:
        def __init__(self):
            seen.append(DefaultScope.get_current_instance().scope_name)

    with DefaultScope.overwrite_default_scope(scope):
        for name in OWN_PARTS:
            with getattr(registry, name).switch_scope_and_registry(None) as found:
                assert found is getattr(registry, name)
        registry.SELECTORS.build(dict(type=Selector))
        registry.SELECTORS.build(dict(type=Selector, _scope_='mmseg'))
    assert seen == [scope, 'mmseg'] and not [text for text in said if 'Failed to search' in text]


def test_a_child_of_another_package_is_found():
    child = Registry('selector', parent=registry.SELECTORS, scope='mmseg')
    try:
        with registry.SELECTORS.switch_scope_and_registry('mmseg') as found:
            assert found is child
    finally:
        registry.SELECTORS._children.pop('mmseg')


def resolve(python, module, parts):
    return json.loads(python(RESOLVE.format(module=module, parts=parts)).partition('RESULT')[2])


def test_parts_resolve_in_a_stock_scope_without_custom_imports(python):
    found = resolve(python, 'mmengine.registry', PARTS)
    assert {name: len(modules) for name, modules in found.items()} == {k: len(v) for k, v in PARTS.items()}
    assert all(module.startswith('mmdistill.') for modules in found.values() for module in modules)


def test_own_parts_resolve_in_a_stock_scope(python):
    found = resolve(python, 'mmdistill.registry', OWN_PARTS)
    assert all(module.startswith('mmdistill.') for modules in found.values() for module in modules)


def test_one_child_for_every_root_of_mmengine():
    roots = {name: value for name, value in vars(mmengine_roots).items()
             if isinstance(value, mmengine_registry.Registry)}
    assert len(roots) > 20
    for name, parent in roots.items():
        child = getattr(registry, name)
        assert child.parent is parent, name
        assert child.scope == 'mmdistill'
        assert parent.children['mmdistill'] is child


def test_own_registries_are_roots():
    for name in OWN_PARTS:
        assert getattr(registry, name).parent is None


def test_locations_can_be_imported():
    for name in vars(registry):
        if name.isupper() and isinstance(getattr(registry, name), mmengine_registry.Registry):
            getattr(registry, name).import_from_location()


def test_an_unknown_name_is_not_found_in_other_registries():
    assert registry.HOOKS.get('mmdistill.CheckpointHook') is None
