"""mmdistill distill on a classification set: prototypes, plan, synthesis, distilled set."""
import json
import pprint
import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from mmdistill.imagenet import imagenet_wnids
from mmdistill.plan import Plan
from mmdistill.selection import ClassClusters

WNIDS = ('n01440764', 'n02102040', 'n02979186')
TEXTS = ('tench', 'English springer', 'cassette player')
COUNTS = (7, 9, 2)  # the last class has fewer images than prototypes are asked for
IPC = 3


@pytest.fixture(scope='module')
def photos(tmp_path_factory):
    """An ImageNet tree of 3 classes with photos of several sizes, one of them grey."""
    root, rng = tmp_path_factory.mktemp('photos'), np.random.default_rng(0)
    for wnid, count in zip(WNIDS, COUNTS):
        (root / 'train' / wnid).mkdir(parents=True)
        for n in range(count):
            pixels = rng.integers(0, 256, (4, 5, 3), dtype=np.uint8)
            image = Image.fromarray(pixels).resize((40 + n, 36), Image.BICUBIC)
            (image.convert('L') if n == 1 else image).save(root / 'train' / wnid / f'{wnid}_{n}.JPEG')
    return root


def write_config(root, path, photos, generator, hook):
    keys = dict(
        model=dict(type='Distiller', generator=generator),
        test_dataloader=dict(
            batch_size=4, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=dict(type='mmpretrain.ImageNet', data_root=str(photos), split='train', classes=list(WNIDS),
                         metainfo=dict(label_texts=list(TEXTS)))),
        test_cfg=dict(type='DistillLoop', method='D4M', writer=dict(type='ClassWriter', size=24)),
        test_evaluator=[],
        custom_hooks=[hook, dict(type='PreviewHook')],
        default_hooks=dict(logger=dict(interval=1), checkpoint=None))
    lines = [f'_base_ = {str(root / "configs/_base_/default_runtime.py")!r}']
    lines += [f'{key} = {pprint.pformat(value, sort_dicts=False)}' for key, value in keys.items()]
    path.write_text('\n'.join(lines) + '\n')
    return path


def derive(config, folder, lines):
    """A config that stands on another."""
    path = folder / 'derived.py'
    path.write_text(f'_base_ = {str(config)!r}\n{lines}\n')
    return path


@pytest.fixture(scope='module')
def config(root, photos, class_weights, tmp_path_factory):
    generator = dict(type='ClassConditionalGenerator', weights=str(class_weights), strength=0.75, num_steps=4,
                     scheduler='DPMSolverMultistepScheduler', micro_batch=2)
    return write_config(root, tmp_path_factory.mktemp('config') / 'd4m.py', photos, generator,
                        dict(type='PrototypeHook', ipc=IPC, batch_size=4, prompt='a photo of a {}'))


@pytest.fixture(scope='module')
def finished(tools, config, tmp_path_factory):
    """An undisturbed run."""
    work = tmp_path_factory.mktemp('finished')
    done = tools('distill', config, '--work-dir', work)
    assert done.returncode == 0, done.stderr[-3000:]
    return SimpleNamespace(work=work, log=done.stdout)


def test_prototypes_without_effect_are_warned_of(tools, config, finished, tmp_path):
    done = tools('distill', config, '--work-dir', tmp_path, '--dry-run', '--cfg-options',
                 'model.generator.strength=1.0')
    say = 'PrototypeHook has almost no effect if all denoising steps are run: set model.generator.strength'
    assert done.returncode == 0 and say in done.stdout + done.stderr and say not in finished.log


def test_files_of_a_run(finished, photos, tree):
    plan = Plan.load(finished.work / 'plan.json')
    assert [request.id for request in plan.requests[:4]] == [*(f'{wnid}/00000' for wnid in WNIDS),
                                                             f'{WNIDS[0]}/00001']
    assert {request.prompt for request in plan.requests} == {f'a photo of a {text}' for text in TEXTS}
    assert len({request.seed for request in plan.requests}) == 9
    # Three prototypes of the first class, two images for three requests of the last.
    latents = {request.id: request.latent for request in plan.requests}
    assert [latents[f'{WNIDS[0]}/{n:05d}'] for n in range(3)] == [f'prototypes.safetensors#0/{n}' for n in range(3)]
    assert [latents[f'{WNIDS[2]}/{n:05d}'] for n in range(3)] == [f'prototypes.safetensors#2/{n}' for n in (0, 1, 0)]
    assert 'Fewer than 3 real images' in finished.log and f'{WNIDS[2]} 2' in finished.log
    assert 'real ones, 3 per class for 3 classes' in finished.log
    assert re.search(r'\[ *[123]/3\].*eta: ', next(finished.work.rglob('*.log')).read_text())

    manifest = json.loads((finished.work / 'distilled/meta/distilled.json').read_text())
    assert manifest['method'] == 'D4M' and manifest['layout']['name'] == 'imagenet'
    assert manifest['provenance']['label_texts'] == list(TEXTS)
    first = manifest['images'][0]
    assert first['image'] == f'train/{WNIDS[0]}/00000.JPEG' and first['classes'] == [0]
    assert first['latent'] == 'prototypes.safetensors#0/0' and 'mask' not in first
    files = tree(finished.work / 'distilled')
    assert len(files) == 11 and not [name for name in files if name.endswith('.tmp')]
    sizes = {Image.open(finished.work / 'distilled' / image['image']).size for image in manifest['images']}
    assert sizes == {(24, 24)}
    lines = files['meta/train.txt'].decode().splitlines()
    assert lines[2] == f'{WNIDS[2]}/00000.JPEG 2' and len(lines) == 9
    assert list(finished.work.rglob('preview_*.png')) and not (finished.work / 'prototypes').exists()


def test_the_prototypes_are_those_of_the_latents(finished, photos, class_weights):
    """The reference: every image decoded, squashed to cover, encoded one by one."""
    from PIL import ImageOps

    from mmdistill.generation.autoencoders import encode, load_vae
    clusters = ClassClusters.load(finished.work / 'prototypes.safetensors')
    assert [values.sum() for values in clusters.counts.values()] == list(COUNTS)
    vae = load_vae(str(class_weights))
    latents = []
    for path in sorted((photos / 'train' / WNIDS[2]).iterdir()):
        image = ImageOps.fit(Image.open(path).convert('RGB'), (32, 32), Image.Resampling.BICUBIC)
        with torch.no_grad():
            latents.append(encode(vae, torch.tensor(np.asarray(image)).permute(2, 0, 1)[None].float() / 127.5 - 1)[0])
    torch.testing.assert_close(torch.tensor(clusters.centers[2]), torch.stack(latents), rtol=1e-4, atol=1e-5)
    assert clusters.centers[0].shape == (3, 4, 8, 8)


def test_a_dry_run_makes_a_plan_and_reads_no_weights(tools, config, finished, tmp_path):
    done = tools('distill', config, '--work-dir', tmp_path, '--dry-run')
    assert done.returncode == 0, done.stderr
    assert (tmp_path / 'plan.json').read_bytes() == (finished.work / 'plan.json').read_bytes()
    assert not (tmp_path / 'distilled').exists() and not (tmp_path / 'prototypes.safetensors').exists()


@pytest.mark.parametrize('batch', [1, 5])
def test_another_batch_size_gives_the_same_bytes(tools, config, finished, tree, tmp_path, batch):
    done = tools('distill', config, '--work-dir', tmp_path, '--cfg-options', f'test_dataloader.batch_size={batch}',
                 f'test_dataloader.num_workers={batch - 1}')
    assert done.returncode == 0, done.stderr
    assert tree(tmp_path / 'distilled') == tree(finished.work / 'distilled')


def test_two_processes_give_the_same_bytes(tools, config, finished, tree, tmp_path):
    tools.in_two_processes('distill', config, '--work-dir', tmp_path)
    assert tree(tmp_path / 'distilled') == tree(finished.work / 'distilled')
    assert ((tmp_path / 'prototypes.safetensors').read_bytes()
            == (finished.work / 'prototypes.safetensors').read_bytes())


def test_killed_and_resumed_gives_the_same_bytes(tools, config, finished, tree, tmp_path):
    arguments = ('distill', config, '--work-dir', tmp_path, '--cfg-options', 'test_dataloader.batch_size=1')
    tools.killed(*arguments, when=lambda: len(list((tmp_path / 'distilled').rglob('*.JPEG'))) >= 2)
    before = tree(tmp_path / 'distilled')
    assert 2 <= len(before) < 11 and 'meta/distilled.json' not in before
    done = tools(*arguments)  # a new run does not mix with the old one
    assert done.returncode == 1 and '--resume' in done.stderr and tree(tmp_path / 'distilled') == before
    done = tools(*arguments, '--resume')
    assert done.returncode == 0 and 'images exist' in done.stdout and 'Encoding' not in done.stdout, done.stderr
    assert tree(tmp_path / 'distilled') == tree(finished.work / 'distilled')


def test_png_images_stopped_and_resumed(tools, config, finished, tree, tmp_path):
    """The same pixels but for JPEG's loss; what the manifest says of the files; an other format is another run."""
    arguments = ('distill', config, '--work-dir', tmp_path, '--cfg-options', 'test_dataloader.batch_size=1',
                 'test_cfg.writer.image_format=PNG', 'test_cfg.writer.resample=bicubic')
    tools.killed(*arguments, when=lambda: len(list((tmp_path / 'distilled').rglob('*.png'))) >= 2)
    done = tools('distill', config, '--work-dir', tmp_path, '--resume')
    assert done.returncode == 1 and 'belongs to another config' in done.stderr
    done = tools(*arguments, '--resume')
    assert done.returncode == 0 and 'images exist' in done.stdout, done.stderr
    assert tools('verify', tmp_path / 'distilled').returncode == 0
    files = [json.loads((work / 'distilled/meta/distilled.json').read_text())['extra']['files']
             for work in (finished.work, tmp_path)]
    resized = dict(size=[24, 24], resized_from=[32, 32])
    assert files == [dict(resized, format='JPEG', quality=95, subsampling='4:4:4', resample='lanczos'),
                     dict(resized, format='PNG', resample='bicubic')]
    names = [name for name in tree(tmp_path / 'distilled') if name.endswith('.png')]
    assert len(names) == 9
    for name in names:
        pixels, jpeg = (np.asarray(Image.open(path).convert('RGB')).astype(int) for path in (
            tmp_path / 'distilled' / name, finished.work / 'distilled' / name.replace('.png', '.JPEG')))
        assert pixels.shape == (24, 24, 3) and 0 < np.abs(pixels - jpeg).mean() < 12


BROKEN_OFF = '''
from mmdistill.selection import LatentClusters
finish = LatentClusters.finish
def broken(self):
    if self.label == 1:
        raise SystemExit(3)
    return finish(self)
LatentClusters.finish = broken
'''


def test_finished_classes_are_kept_after_an_interruption(tools, config, finished, tree, tmp_path):
    assert tools('distill', config, '--work-dir', tmp_path, before=BROKEN_OFF).returncode == 3
    done = tools('distill', config, '--work-dir', tmp_path, '--resume')
    assert done.returncode == 0 and '2 of 3 classes to do' in done.stdout, done.stderr
    assert tree(tmp_path / 'distilled') == tree(finished.work / 'distilled')


def test_the_same_generator_without_prototypes(tools, config, finished, tree, tmp_path):
    child = derive(config, tmp_path, "custom_hooks = [dict(type='ClassPlanHook', ipc=2)]")
    done = tools('distill', child, '--work-dir', tmp_path)
    assert done.returncode == 0, done.stderr
    manifest = json.loads((tmp_path / 'distilled/meta/distilled.json').read_text())
    assert len(manifest['images']) == 6 and {image['latent'] for image in manifest['images']} == {None}
    assert manifest['images'][0]['prompt'] == 'tench' and not (tmp_path / 'prototypes.safetensors').exists()
    shared = {name for name in tree(tmp_path / 'distilled') if name.endswith('JPEG')}
    assert all((tmp_path / 'distilled' / name).read_bytes() != (finished.work / 'distilled' / name).read_bytes()
               for name in shared)


@pytest.mark.parametrize('name', ['imagenette', 'imagewoof', 'imagenet1k'])
def test_the_shipped_configs_run_on_a_small_stable_diffusion(tools, root, sd_folder, tmp_path, name):
    from mmengine.config import Config
    base = Config.fromfile(root / f'configs/_base_/datasets/{name}.py')
    wnids = base.get('classes') or imagenet_wnids()
    few = wnids[:2] if name == 'imagenet1k' else wnids
    for wnid in few:
        (tmp_path / 'data/train' / wnid).mkdir(parents=True)
        for n in range(2):
            Image.new('RGB', (40, 48), (n * 99, 10, 200)).save(tmp_path / f'data/train/{wnid}/{wnid}_{n}.JPEG')
    options = ['model.generator.num_steps=3', f'model.generator.weights={sd_folder}', 'model.generator.image_size=32',
               'model.generator.dtype=float32', 'model.generator.micro_batch=4', 'test_dataloader.num_workers=0',
               'custom_hooks.PrototypeHook.ipc=1']
    if name == 'imagenet1k':
        options += ['test_dataloader.dataset.type=mmdistill.ImageNetSubset',
                    f'test_dataloader.dataset.classes=[{",".join(few)}]',
                    'test_dataloader.dataset.metainfo.label_texts=[tench,goldfish]']
    done = tools('distill', root / f'configs/d4m/d4m_sd15_ipc10_{name}-512px.py', '--work-dir', tmp_path / 'work',
                 '--cfg-options', *options, f'data_root={tmp_path / "data"}')
    assert done.returncode == 0, done.stderr[-2000:]
    manifest = json.loads((tmp_path / 'work/distilled/meta/distilled.json').read_text())
    assert len(manifest['images']) == len(few)
    assert Image.open(tmp_path / 'work/distilled' / manifest['images'][0]['image']).size == (224, 224)
    settings = manifest['weights']
    assert (settings['strength'], settings['cfg_scale'], settings['negative_prompt']) == (
        0.7, 8.0, 'cartoon, anime, painting')


@pytest.fixture
def refused(tools, config, tmp_path):
    """``refused(*options, say=…)``: the tool ends with this one line, and writes no distilled set."""

    def check(*options, say, lines=''):
        options = ('--cfg-options', *options) if options else ()
        done = tools('distill', derive(config, tmp_path, lines), '--work-dir', tmp_path / 'work', *options)
        lines = done.stderr.splitlines()
        assert done.returncode == 1 and 'Traceback' not in done.stderr, done.stderr
        assert lines[-1].startswith('error: ') and re.search(say, lines[-1]), lines[-1]
        assert not list(tmp_path.glob('work/distilled/**/*.*'))

    return check


def test_bad_data(refused, photos, tmp_path):
    import shutil
    data = 'test_dataloader.dataset'
    refused(f'{data}.data_root=/no/such', say='no data at /no/such|data_root')
    refused(f'{data}.metainfo.label_texts=[tench,springer]', say='2 label texts for 3 classes; class 2')
    refused(lines='test_dataloader = dict(dataset=dict(metainfo=dict(_delete_=True)))',
            say='class n01440764 has no label text')
    copy = shutil.copytree(photos, tmp_path / 'copy')
    (copy / 'train' / WNIDS[1] / f'{WNIDS[1]}_4.JPEG').write_bytes(b'torn')
    for workers in (0, 1):
        refused(f'{data}.data_root={copy}', f'test_dataloader.num_workers={workers}',
                say=f'^error: [^:]*{WNIDS[1]}_4.JPEG is not a readable image')
    for path in (copy / 'train' / WNIDS[1]).iterdir():
        path.unlink()
    refused(f'{data}.data_root={copy}', say=rf'class 1 \({WNIDS[1]}\) has no image')


def test_bad_generators_and_writers(refused, weights, sd_folder):
    refused('model.generator.type=LayoutUNetGenerator', 'model.generator.image_size=32',
            say='LayoutUNetGenerator is for masks, .* classification: use ClassConditionalGenerator or Img2Img')
    refused('test_cfg.writer.type=SegWriter', say='SegWriter is for masks.*use ClassWriter')
    refused(f'model.generator.weights={weights}', say='holds LayoutUNet, not DiTTransformer2DModel or ClassUNet')
    refused('model.generator.timestep_shift=0', say='model.generator: timestep_shift=0 is a setting of a DiT.*leave it')
    refused('model.generator.timestep_shift=2', say='timestep_shift=2')
    refused('model.generator.class_ids=[0,1]', say='2 class_ids for the 3 classes')
    refused(lines="custom_hooks = [dict(type='MaskSelectionHook', selector=dict(type='RandomSelector', budget=1))]",
            say='plan is made from masks, but the dataset is for classification: use PrototypeHook')
    refused(lines='custom_hooks = []', say="no hook plans the images: add dict.type='PrototypeHook'")
    refused('custom_hooks.0.ipc=0', say='ipc=0 is out of range')
    refused('custom_hooks.0.prompt={thing}', say='the only field')


def test_weights_of_another_number_of_classes(refused, tmp_path):
    refused('test_dataloader.dataset.type=mmdistill.ImageNetSubset',
            f'test_dataloader.dataset.classes=[{",".join(WNIDS[:2])}]',
            "test_dataloader.dataset.metainfo.label_texts=[a,b]", say='weights have 3 classes, the dataset 2')
