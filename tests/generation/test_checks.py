"""Settings that are refused before weights are read, in one line that names the key."""
import pytest

from mmdistill.errors import DistillError
from mmdistill.generation import ClassConditionalGenerator, ControlNetGenerator, Img2ImgGenerator, LayoutUNetGenerator
from mmdistill.settings import check_settings

PALETTE = [(128, 64, 128), (70, 130, 180), (0, 0, 142)]
NAMES = ['road', 'sky', 'car']
RIGHT = [
    (LayoutUNetGenerator, dict(image_size=64, scheduler='DPMSolverMultistepScheduler', dtype='bfloat16')),
    (LayoutUNetGenerator, dict(image_size=(64, 96), scheduler=dict(use_karras_sigmas=True))),
    (ClassConditionalGenerator, dict(classes=NAMES, class_ids=[3, 1, 2], cfg_channels=3, compile=dict(mode='default'))),
    (Img2ImgGenerator, dict(negative_prompt='blurry', strength=0.02, guidance_vae='madebyollin/taesd')),
    (ControlNetGenerator, dict(controlnet='a/b', palette=PALETTE, classes=NAMES, image_size=512, cfg_scale=7.5,
                               scheduler=dict(type='DDIMScheduler', timestep_spacing='trailing'))),
    (ControlNetGenerator, dict(controlnet='a/b', rendering='one_hot')),
]


def check(cls, settings):
    settings = dict(settings, weights='someone/weights')
    check_settings(cls, settings, 'g', cls.needs)
    cls.check(settings, 'g')


@pytest.mark.parametrize('cls,settings', RIGHT)
def test_right_settings(cls, settings):
    check(cls, settings)


@pytest.mark.parametrize('cls,settings,message', [
    (LayoutUNetGenerator, dict(image_sice=64), 'g.image_sice: unknown setting of LayoutUNetG.*; did you mean image_s'),
    (LayoutUNetGenerator, {}, 'do not contain their image size: set g.image_size'),
    (LayoutUNetGenerator, dict(image_size=64, unet='x'), 'g.unet: unknown setting'),
    (LayoutUNetGenerator, dict(image_size=64, num_classes=3), 'g.num_classes: unknown setting'),
    (LayoutUNetGenerator, dict(image_size=(64, 64, 3)), 'g.image_size'),
    (LayoutUNetGenerator, dict(image_size=64, num_steps=0), 'g.num_steps=0 is out of range'),
    (LayoutUNetGenerator, dict(image_size=64, dtype='half'), "g.dtype='half' is unknown: set it to 'float32'"),
    (LayoutUNetGenerator, dict(image_size=64, micro_batch=2.5), 'g.micro_batch=2.5 has to be'),
    (LayoutUNetGenerator, dict(image_size=64, scheduler='PNDMScheduler'), 'g.scheduler: PNDMScheduler cannot be'),
    (LayoutUNetGenerator, dict(image_size=64, scheduler=dict(type='DDIMScheduler', spacing='leading')),
     'g.scheduler.spacing: unknown setting of DDIMScheduler'),
    (LayoutUNetGenerator, dict(image_size=64, scheduler=dict(use_karras_sigma=True)), 'did you mean use_karras_sigmas'),
    (LayoutUNetGenerator, dict(image_size=64, scheduler=dict(type='DDIMScheduler', clip_sample='no')),
     'g.scheduler.clip_sample'),
    (Img2ImgGenerator, dict(strength=0.01), r'g: strength=0.01 leaves none of 50 steps: set strength in \[0.02, 1\]'),
    (Img2ImgGenerator, dict(num_steps=1), 'g: strength=0.7 leaves none of 1 steps'),
    (Img2ImgGenerator, dict(strength=0), 'g.strength=0 is out of range'),
    (Img2ImgGenerator, dict(guidance_vae=3), 'g.guidance_vae=3'),
    (Img2ImgGenerator, dict(vae=3), 'g.vae=3'),
    (ClassConditionalGenerator, dict(classes=NAMES, class_ids=[1]), 'g: 1 class_ids for the 3 classes'),
    (ClassConditionalGenerator, dict(class_ids=[1, -1]), 'g.class_ids'),
    (ControlNetGenerator, {}, 'ControlNetGenerator needs controlnet'),
    (ControlNetGenerator, dict(controlnet='a/b', prompt='a {thing}'), 'g: prompt=.*only field'),
    (ControlNetGenerator, dict(controlnet='a/b', rendering='hot'), "g.rendering='hot' is unknown"),
    (ControlNetGenerator, dict(controlnet='a/b', palette=PALETTE[:2], classes=NAMES), 'g: palette: 2 colours for 3'),
    (ControlNetGenerator, dict(controlnet='a/b', palette=None, classes=NAMES), 'needs a palette'),
    (ControlNetGenerator, dict(controlnet='a/b', palette=[[0, 0, 256]] * 3, classes=NAMES), "of class 'road' is not"),
])
def test_wrong_settings(cls, settings, message):
    with pytest.raises(DistillError, match=message) as raised:
        check(cls, settings)
    assert '\n' not in str(raised.value)


def test_subclasses_inherit_what_they_need():
    class Mine(ControlNetGenerator):

        def __init__(self, *modules, tone: float = 1.0, **settings):
            super().__init__(*modules, **settings)

    assert Mine.needs == ('classes', 'palette') and Mine.annotation == 'masks'
    check(Mine, dict(controlnet='a/b', tone=0.5, num_steps=4))
    with pytest.raises(DistillError, match='g.tone'):
        check(Mine, dict(controlnet='a/b', tone='dark'))


def test_steps_that_are_taken():
    assert Img2ImgGenerator.steps({}) == range(15, 50)
    assert Img2ImgGenerator.steps({}, start_latents=False) == range(50)
    assert ClassConditionalGenerator.steps(dict(num_steps=8, strength=0.3)) == range(6, 8)
