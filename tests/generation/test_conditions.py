import torch

from mmdistill.generation import Condition
from mmdistill.plan import Request

REQUESTS = tuple(Request(name, 1) for name in 'abc')


def make():
    mask = torch.arange(12).view(3, 2, 2)
    return Condition(dict(mask=mask, control=mask.float()), dict(mask=torch.full_like(mask, 255)), REQUESTS)


def test_null_replaces_only_what_has_one():
    null = make().null()
    assert (null['mask'] == 255).all() and torch.equal(null['control'], make()['control'])


def test_cat():
    both = make().null().cat(make())
    assert len(both['mask']) == 6 and both.requests == 2 * REQUESTS
    assert torch.equal(both['mask'][3:], make()['mask']) and len(both.null()['mask']) == 6


def test_replace_keeps_the_rest():
    other = make().replace(dict(mask=torch.zeros(3, 1)), dict(mask=torch.ones(3, 1)))
    assert torch.equal(other['mask'], torch.zeros(3, 1)) and torch.equal(other.null()['mask'], torch.ones(3, 1))
    assert torch.equal(other['control'], make()['control']) and other.requests == REQUESTS
