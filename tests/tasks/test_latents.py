"""The key of cached latents, and the weights that it depends on."""
import gc
from types import SimpleNamespace

import pytest
import torch

from mmdistill.tasks.latents import RealLatents
from mmdistill.weights import hub


@pytest.fixture
def hashed(monkeypatch):
    """The networks whose weights were read."""
    seen, digest = [], hub.network_digest
    monkeypatch.setattr(hub, 'network_digest', lambda network: seen.append(type(network).__name__) or digest(network))
    return seen


def run_with(vae):
    return SimpleNamespace(generator=SimpleNamespace(vae=vae, image_size=(32, 32), dtype=torch.float32,
                                                     device=torch.device('cpu')))


def test_weights_are_hashed_once_and_only_for_a_key(hashed):
    run = run_with(torch.nn.Linear(3, 2))
    latents = [RealLatents(run, crop, 4) for crop in (True, False, True)]
    assert hashed == []
    keys = [one.key for one in latents]
    assert hashed == ['Linear'] and keys[0] == keys[2] != keys[1]


def test_the_key_depends_on_the_weights_and_not_on_the_object(hashed):
    first, second, other = (torch.nn.Linear(3, 2) for _ in range(3))
    second.load_state_dict(first.state_dict())
    keys = [RealLatents(run_with(vae), True, 4).key for vae in (first, second, other)]
    assert keys[0] == keys[1] != keys[2] and len(hashed) == 3


def test_a_digest_does_not_keep_its_network():
    network = torch.nn.Linear(3, 2)
    before = len(hub._DIGESTS)
    assert hub.frozen_digest(network) == hub.network_digest(network) and len(hub._DIGESTS) == before + 1
    del network
    gc.collect()
    assert len(hub._DIGESTS) == before
