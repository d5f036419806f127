"""The bound that the docs give for ``step='sigma'``, and that a DiT with a learned variance satisfies it."""
import importlib

import pytest
import torch
from diffusers import AutoencoderKL, DDPMScheduler, DiTTransformer2DModel

from mmdistill.config import read_config
from mmdistill.generation import ClassConditionalGenerator, sample
from mmdistill.plan import Request


@pytest.fixture
def sigma(root, monkeypatch):
    monkeypatch.syspath_prepend(str(root / 'benchmarks'))
    return importlib.import_module('sigma')


def test_the_figure_of_the_docs(sigma, root, monkeypatch, capsys):
    """The window is that of the configs."""
    window = read_config(str(root / 'configs/_base_/methods/dmgd.py')).guidance.window
    monkeypatch.setattr('sys.argv', ['sigma.py', '--window', *map(str, window)])
    sigma.main()
    assert 'steps 4 to 19 of 50: at most 0.33%' in capsys.readouterr().out
    assert '0.33 %' in (root / 'docs/methods/dmgd.md').read_text()


def test_a_dit_with_a_learned_variance(sigma, sd_folder):
    """What diffusers makes of the network's output in each guided step, inside the range of the output."""
    torch.manual_seed(0)
    dit = DiTTransformer2DModel(num_attention_heads=2, attention_head_dim=8, in_channels=4, out_channels=8,
                                num_layers=2, sample_size=8, patch_size=2, num_embeds_ada_norm=3).eval()
    for parameter in dit.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    scheduler = DDPMScheduler(**sigma.SCHEDULER)
    generator = ClassConditionalGenerator(AutoencoderKL.from_pretrained(sd_folder / 'vae'), dit, scheduler,
                                          num_steps=50, cfg_scale=1.0)
    process, outputs = generator.process, []

    def denoiser(*inputs):
        outputs.append(generator.denoiser(*inputs).detach())
        return outputs[-1]

    request = Request('a', 3, classes=(1, ))
    noise = [torch.Generator().manual_seed(3)]
    with torch.no_grad():
        sample(denoiser, process, torch.randn(1, 4, 8, 8, generator=noise[0]), generator.condition([request]),
               generators=noise, end=20)
    scheduler.set_timesteps(50)
    largest = 0.0
    for i in range(4, 20):
        said = outputs[i][:, 4:].clamp(-1, 1)
        assert said.std() > 0.1
        learned = torch.exp(scheduler._get_variance(int(process.timesteps[i]), predicted_variance=said) / 2)
        torch.testing.assert_close(learned.double(), torch.from_numpy(sigma.learned_std(process, i, said)), rtol=1e-5,
                                   atol=0)
        largest = max(largest, (learned / process.posterior_std(i) - 1).abs().max().item())
    assert 0.001 < largest < 0.00335
