"""Which settings of two configs differ, in one line."""
import pytest

from mmdistill.differences import differing

OLD = dict(model=dict(steps=5, size=(64, 64)), hooks=[dict(type='a.Flip', p=0.5), dict(type='Crop')], seed=0)


@pytest.mark.parametrize('new, text', [
    (OLD, ''),
    (dict(OLD, model=dict(steps=5, size=[64, 64])), ''),  # as JSON stores it
    (dict(OLD, seed=None), 'seed is 0 in the plan and None in the config'),
    (dict(OLD, model=None), 'model.size is [64, 64] in the plan and not set in the config; model.steps is 5 in the '
     'plan and not set in the config'),
    (dict(OLD, seed=1), 'seed is 0 in the plan and 1 in the config'),
    (dict(OLD, model=dict(steps=9, size=(64, 64))), 'model.steps is 5 in the plan and 9 in the config'),
    (dict(OLD, model=dict(size=(64, 64))), 'model.steps is 5 in the plan and not set in the config'),
    (dict(OLD, hooks=[dict(type='a.Flip', p=1), dict(type='Crop')]),
     'hooks.Flip.p is 0.5 in the plan and 1 in the config'),
    (dict(OLD, hooks=[dict(type='Crop')]), "hooks is [{'p': 0.5, 'type': 'a.Flip'}, {'type': 'Crop'}] in the plan and "
                                           "[{'type': 'Crop'}] in the config"),
    (dict(a=1, b=2, c=3, d=4, e=5), 'a is not set in the plan and 1 in the config; b is not set in the plan and 2 in '
     'the config; c is not set in the plan and 3 in the config; 5 more settings differ'),
    (dict(OLD, seed='x' * 99), f"seed is 0 in the plan and '{'x' * 56}... in the config")])
def test_the_first_few_are_named(new, text):
    assert differing(OLD, new, 'the plan') == text
