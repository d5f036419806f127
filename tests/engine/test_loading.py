"""Files that MMEngine loads in our commands cannot run code."""
import pickle

import mmengine
import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader

from mmdistill import cli
from mmdistill.engine.loading import restrict_loading
from mmdistill.errors import DistillError


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, 'w')


@pytest.fixture(autouse=True)
def distrusted():
    restrict_loading()


def test_checkpoints(tmp_path):
    history = HistoryBuffer([1.0, 0.5], [1, 1])
    torch.save(dict(state_dict=dict(w=torch.ones(2)), meta=dict(iter=3, time='now', scale=np.float64(0.5)),
                    message_hub=dict(log_scalars=dict(loss=history)), trap=Trap(tmp_path / 'ran')), tmp_path / 'a.pth')
    found = CheckpointLoader.load_checkpoint(str(tmp_path / 'a.pth'), map_location='cpu')
    assert found['meta'] == dict(iter=3, time='now', scale=0.5) and torch.equal(found['state_dict']['w'], torch.ones(2))
    assert found['message_hub']['log_scalars']['loss'].mean() == 0.75
    with pytest.raises(pickle.UnpicklingError):
        torch.load(tmp_path / 'a.pth', weights_only=False)
    assert not (tmp_path / 'ran').exists()


def test_annotations(tmp_path):
    plain = dict(metainfo=dict(classes=['a']), data_list=[dict(img_path='x', gt_score=np.arange(3, dtype=np.float32))],
                 kinds={1, 2}, pair=(1, 2.5), scalar=np.int64(3), text=np.array(['a', 'b']), flags=np.ones(2, bool))
    mmengine.dump(plain, tmp_path / 'plain.pkl')
    found = mmengine.load(tmp_path / 'plain.pkl')
    np.testing.assert_array_equal(found['data_list'][0].pop('gt_score'), [0, 1, 2])
    assert found['kinds'] == {1, 2} and found['scalar'] == 3 and found['text'].tolist() == ['a', 'b']
    (tmp_path / 'trap.pkl').write_bytes(pickle.dumps(dict(data_list=[Trap(tmp_path / 'ran')])))
    (tmp_path / 'half.pkl').write_bytes((tmp_path / 'plain.pkl').read_bytes()[:50])
    for name, line in (('trap.pkl', 'it names '), ('half.pkl', 'no')):
        with pytest.raises(DistillError, match=line) as caught:
            mmengine.load(tmp_path / name)
        assert '\n' not in str(caught.value)
    assert not (tmp_path / 'ran').exists()


@pytest.mark.parametrize('command', ['distill', 'train', 'evaluate', 'label'])
def test_a_yaml_config_with_tags(tmp_path, command):
    config = tmp_path / 'config.yaml'
    config.write_text(f'model: !!python/object/apply:builtins.open ["{tmp_path}/ran", "w"]\n')
    with pytest.raises(SystemExit, match=r'^error: cannot read the config [^\n]*config.yaml[^\n]*$'):
        cli.main([command, str(config)])
    assert not (tmp_path / 'ran').exists()


def test_a_training_resumes_from_a_checkpoint_with_a_trap(root, tools, tmp_path):
    command = ['train', root / 'configs/generators/autoencoder_streets-64x64.py', '--work-dir', tmp_path / 'work',
               '--cfg-options', 'train_cfg.max_iters=2', 'train_cfg.val_interval=10', 'train_dataloader.batch_size=2',
               'train_dataloader.dataset.num_scenes=4', 'default_hooks.logger.interval=1']
    done = tools(*command)
    assert done.returncode == 0, done.stderr[-2000:]
    last = (tmp_path / 'work/last_checkpoint').read_text()
    torch.save(dict(CheckpointLoader.load_checkpoint(last), trap=Trap(tmp_path / 'ran')), last)
    done = tools(*command, 'train_cfg.max_iters=4', '--resume')
    assert done.returncode == 0 and '[3/4]' in done.stdout, done.stderr[-2000:]
    assert not (tmp_path / 'ran').exists()
