"""No tool uses the network: the guard of tests/test_no_network.py, in each tool and its child processes."""
import numpy as np
from PIL import Image

from tests.test_no_network import GUARD


def test_network(tools, jobs, tmp_path):
    attempts = tmp_path / 'attempts'
    env = dict(ATTEMPTS=str(attempts), HF_HUB_OFFLINE='0', HF_HOME=str(tmp_path / 'hub'))
    commands = []
    for name, job in jobs.items():
        (tmp_path / name).mkdir()
        commands.append((job.tool, *job.command(tmp_path / name)))
    commands += [('verify', tmp_path / 'streets'), ('report', tmp_path / 'evaluate', tmp_path / 'streets')]
    (tmp_path / 'masks').mkdir()
    Image.fromarray(np.full((8, 8), 92, np.uint8)).save(tmp_path / 'masks/000000000001.png')
    commands.append(('convert', 'stuffthingmaps', tmp_path / 'masks', '--out', tmp_path / 'converted'))
    for command in commands:
        done = tools(*command, before=GUARD, **env)
        assert done.returncode == 0, (command, done.stderr[-2000:])
        assert not attempts.exists(), (command, attempts.read_text())
    done = tools(*commands[0], '--resume', before=GUARD + '\nsocket.create_connection(("192.0.2.1", 80), 1)', **env)
    assert '192.0.2.1' in attempts.read_text()  # the guard is there
