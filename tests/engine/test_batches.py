import pytest

from mmdistill.engine.batches import RequestBatches
from mmdistill.plan import Request


def requests(classes):
    return [Request(f'r{n}', n, classes=(label, )) for n, label in enumerate(classes)]


def inputs(batch, upcoming=()):
    return dict(latents=[request.seed for request in [*batch, *upcoming]])


@pytest.mark.parametrize('classes, batch_size, expected', [
    ((0, 1, 2, 0, 1, 2), 3, [[0, 1, 2], [3, 4, 5]]),
    ((0, 1, 2, 0, 1, 2), 2, [[0, 1], [2, 3], [4, 5]]),
    ((0, 0, 1, 1, 0), 4, [[0], [1, 2], [3, 4]]),
    ((), 4, []),
])
def test_no_batch_has_a_class_twice(classes, batch_size, expected):
    batches = RequestBatches(requests(classes), inputs, batch_size, upcoming=2)
    made = list(batches)
    assert [[request.seed for request in batch['requests']] for batch in made] == expected
    assert len(batches) == len(expected)
    for batch in made:
        after = batch['requests'][-1].seed + 1
        assert [request.seed for request in batch['upcoming']] == list(range(len(classes)))[after:after + 2]
        assert batch['latents'] == [request.seed for request in [*batch['requests'], *batch['upcoming']]]


def test_without_spare_batches_are_full():
    made = list(RequestBatches(requests((0, 0, 0, 1, 1)), inputs, 2))
    assert [[request.seed for request in batch['requests']] for batch in made] == [[0, 1], [2, 3], [4]]
    assert all(set(batch) == {'requests', 'latents'} for batch in made)


def test_joint_batches_are_groups():
    plan = [Request(f'r{n}', n, classes=(label, ), candidate=candidate)
            for n, (label, candidate) in enumerate([(0, 0), (0, 0), (0, 0), (0, 1), (1, 1), (1, 1)])]
    batches = RequestBatches(plan, inputs, 2, joint=True)
    assert [[request.seed for request in batch['requests']] for batch in batches] == [[0, 1, 2], [3], [4, 5]]
    assert len(batches) == 3
