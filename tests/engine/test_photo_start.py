"""Masks whose images start from their own photos."""
import json

import cv2
import numpy as np
import pytest
import torch
from diffusers import AutoencoderTiny

OPTIONS = ('custom_hooks.MaskSelectionHook.start=photo', 'test_cfg.method=photo-start', 'model.generator.strength=0.5')
# Keeps what the generator is given to start from.
RECORD = '''
import numpy as np
from mmdistill.models.distiller import Distiller
made = Distiller.test_step
def test_step(self, batch):
    for request, latents in zip(batch['requests'], batch['latents']):
        np.save(f'FOLDER/{request.id}.npy', latents)
    return made(self, batch)
Distiller.test_step = test_step
'''


@pytest.fixture(scope='module')
def finished(tools, streets, tmp_path_factory):
    """Work dir of a run, and the folder with the latents that its images started from."""
    work, starts = (tmp_path_factory.mktemp(name) for name in ('work', 'starts'))
    done = tools('distill', streets, '--work-dir', work, '--cfg-options', *OPTIONS,
                 before=RECORD.replace('FOLDER', str(starts)))
    assert done.returncode == 0, done.stderr
    return work, starts


def test_images_start_from_the_latents_of_their_photos(finished, weights):
    from mmdistill.toy.street_scenes import street_scene
    work, starts = finished
    vae = AutoencoderTiny.from_pretrained(weights / 'vae').eval()
    requests = json.loads((work / 'plan.json').read_text())['requests']
    assert len(requests) == 6
    for request in requests:
        photo = street_scene(request['source_index'], 'train', 32)[0].copy()
        pixels = torch.from_numpy(photo).permute(2, 0, 1)[None].float() / 127.5 - 1
        with torch.no_grad():
            latents = vae.encode(pixels).latents * vae.config.scaling_factor
        np.testing.assert_allclose(np.load(starts / f'{request["id"]}.npy'), latents[0].numpy(), atol=1e-5)


def test_the_weaker_the_noise_the_closer_to_the_photo(tools, streets, finished, weights, tmp_path):
    work = tmp_path / 'weak'
    done = tools('distill', streets, '--work-dir', work, '--cfg-options', *OPTIONS[:2], 'model.generator.strength=0.25')
    assert done.returncode == 0, done.stderr
    vae = AutoencoderTiny.from_pretrained(weights / 'vae').eval()

    def distance(folder):
        requests = json.loads((folder / 'plan.json').read_text())['requests']
        found = []
        for request in requests:
            start = torch.from_numpy(np.load(finished[1] / f'{request["id"]}.npy'))[None]
            with torch.no_grad():
                photo = vae.decode(start / vae.config.scaling_factor).sample[0].permute(1, 2, 0).numpy()
            path = next((folder / 'distilled').rglob(f'{request["id"]}.png'))
            image = cv2.imread(str(path))[..., ::-1].astype(float) / 127.5 - 1
            found.append(np.abs(image - photo.clip(-1, 1)).mean())
        return np.mean(found)

    assert distance(work) < distance(finished[0])


def test_the_plan_says_so_and_a_run_goes_on_with_the_same_bytes(tools, streets, finished, tree, tmp_path):
    whole, _ = finished
    plan = json.loads((whole / 'plan.json').read_text())
    assert plan['provenance']['start'] == 'photo' and plan['method'] == 'photo-start'
    work = tmp_path / 'work'
    tools.killed('distill', streets, '--work-dir', work, '--cfg-options', *OPTIONS,
                 when=lambda: len(list(work.glob('distilled/**/*.png'))) > 1)
    done = tools('distill', streets, '--work-dir', work, '--resume', '--cfg-options', *OPTIONS)
    assert done.returncode == 0, done.stderr
    names = [name for name in tree(whole / 'distilled') if name.endswith('.png')]
    assert len(names) == 12 and all(
        (work / 'distilled' / name).read_bytes() == (whole / 'distilled' / name).read_bytes() for name in names)
    # From noise it is another run.
    done = tools('distill', streets, '--work-dir', work, '--resume', '--cfg-options', *OPTIONS[1:])
    assert done.returncode != 0 and ("belongs to another config (custom_hooks.MaskSelectionHook.start is 'photo' in "
                                     'the plan and not set in the config)') in done.stderr


def test_an_unknown_start_is_refused(tools, streets, tmp_path):
    done = tools('distill', streets, '--work-dir', tmp_path, '--dry-run', '--cfg-options',
                 'custom_hooks.MaskSelectionHook.start=prototype')
    assert done.returncode != 0 and "start='prototype'" in done.stderr and 'photo' in done.stderr


@pytest.mark.parametrize('options, error', [
    (OPTIONS[:2], "start='photo' has no effect if all denoising steps are run: set model.generator.strength"),
    (OPTIONS[::2], "start='photo' is another method than test_cfg.method='D3S2': set test_cfg.method to another name")])
def test_a_start_without_effect_or_under_another_name_is_refused(tools, streets, tmp_path, options, error):
    done = tools('distill', streets, '--work-dir', tmp_path, '--dry-run', '--cfg-options', *options)
    assert done.returncode != 0 and error in done.stderr.splitlines()[-1]


def test_a_strength_without_a_start_is_named(tools, streets, tmp_path):
    done = tools('distill', streets, '--work-dir', tmp_path, '--dry-run', '--cfg-options', OPTIONS[2])
    say = ('model.generator.strength=0.5 has no effect, since images start from pure noise: use '
           "start='photo' of MaskSelectionHook, or remove it")
    assert done.returncode == 0 and say in done.stdout + done.stderr
