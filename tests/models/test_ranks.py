"""Running statistics of two ranks: the ranks have different images, but the same statistics."""
import json
import os
import subprocess
import sys

import pytest
import torch

from mmdistill.models.class_balance import ClassBalance

from .conftest import TINY

RANK = '''
import json, sys
import torch
from mmdistill.models.autoencoder import AutoencoderTrainer
from mmdistill.models.class_balance import ClassBalance
path, rank, batches, tiny = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3]), json.loads(sys.argv[4])
torch.distributed.init_process_group('gloo', init_method=f'file://{path}', rank=rank, world_size=2)
balance = ClassBalance(3, 0.5)
for batch in batches:
    balance.update(torch.tensor(batch[rank]))
torch.manual_seed(0)
model, deviations = AutoencoderTrainer(tiny), []
for step in range(2):
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(rank)) * (rank + 1)
    model(images, mode='loss')
    deviations.append(float(model.autoencoder.encode(images).latents.std()))
print('RESULT' + json.dumps(dict(frequency=balance.frequency.tolist(), std=float(model.latent_std),
                                 deviations=deviations)))
torch.distributed.destroy_process_group()
'''
# For each step the masks of rank 0 and of rank 1; 255 is unlabelled.
BATCHES = [[[[[0, 0, 1, 2]]], [[[1, 1, 255, 255]]]], [[[[255] * 4]], [[[2, 2, 2, 0]]]], [[[[255] * 4]], [[[255] * 4]]]]


@pytest.fixture(scope='module')
def ranks(tmp_path_factory):
    path = tmp_path_factory.mktemp('ranks') / 'store'
    env = dict(os.environ, GLOO_SOCKET_IFNAME='lo', OMP_NUM_THREADS='1')
    command = [sys.executable, '-c', RANK, str(path)]
    running = [subprocess.Popen([*command, str(rank), json.dumps(BATCHES), json.dumps(TINY)], env=env, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE) for rank in range(2)]
    outputs = [process.communicate(timeout=300) for process in running]
    assert all('RESULT' in out for out, _ in outputs), outputs
    return [json.loads(out.rpartition('RESULT')[2]) for out, _ in outputs]


def test_frequencies_are_those_of_all_images(ranks):
    single = ClassBalance(3, 0.5)
    for batch in BATCHES:
        single.update(torch.tensor(batch).flatten(0, 1))
    assert ranks[0]['frequency'] == ranks[1]['frequency'] == single.frequency.tolist()


def test_the_deviation_of_latents_is_the_mean_over_ranks(ranks):
    first, second = (torch.tensor(rank['deviations']) for rank in ranks)
    assert not torch.allclose(first, second)
    expected = 1.0
    for deviation in ((first + second) / 2).tolist():
        expected = 0.99 * expected + 0.01 * deviation
    assert ranks[0]['std'] == ranks[1]['std'] == pytest.approx(expected, rel=1e-5)
