"""Mistakes in a config: one line that names the key, before anything is read."""
import re
from types import SimpleNamespace

import pytest
from diffusers import FlowMatchEulerDiscreteScheduler
from mmengine.config import Config

from mmdistill.config import merge_options, read_config
from mmdistill.engine.check import check_run
from mmdistill.engine.guiding import GuidanceSettings
from mmdistill.errors import DistillError
from mmdistill.generation import NoiseProcess
from mmdistill.weights.address import builtin

D3S2 = 'mmdistill::quickstart/d3s2_streets-64x64.py'
D4M = 'mmdistill::quickstart/d4m_objects-64px.py'
DMGD = 'mmdistill::quickstart/dmgd_objects-64px.py'
SCENES = dict(type='StreetScenes', num_scenes=4)
PLAN, GUIDE = 'custom_hooks.MaskSelectionHook', 'custom_hooks.GuidedSynthesisHook'
SEGMENTOR, SELECTOR = f'{GUIDE}.segmentor', f'{PLAN}.selector'
REMOVED = object()

# Of the street scenes by D3S2: options, and what the line says.
SEGMENTATION = [
    # Keys of the runner.
    (dict(modle=dict()), r'modle: .*did you mean model\?'),
    (dict(test_cg=dict(seed=1)), r'test_cg: .*did you mean test_cfg\?'),
    (dict(tets_dataloader=dict()), r'tets_dataloader: .*did you mean test_dataloader\?'),
    (dict(custom_hook=[]), r'custom_hook: .*did you mean custom_hooks\?'),
    (dict(default_hook={}), r'default_hook: .*did you mean default_hooks\?'),
    (dict(visualiser={}), r'visualiser: .*did you mean visualizer\?'),
    (dict(wrok_dir='x'), r'wrok_dir: .*did you mean work_dir\?'),
    (dict(test_evaluater=[]), r'test_evaluater: .*did you mean test_evaluator\?'),
    (dict(defualt_scope='mmseg'), r'defualt_scope: .*did you mean default_scope\?'),
    (dict(default_scope='mmseg'), "default_scope='mmseg': set it to 'mmdistill'"),
    (dict(default_scope=REMOVED), "default_scope=None: set it to 'mmdistill'"),
    (dict(model=REMOVED), r'model=None: .*needs model=dict'),
    (dict(test_cfg=REMOVED), r'test_cfg=None: .*needs test_cfg=dict'),
    (dict(test_dataloader=REMOVED), r'test_dataloader=None: .*needs test_dataloader=dict'),
    (dict(model='Distiller'), r"model='Distiller': .*needs model=dict"),
    (dict(custom_hooks=dict(type='MaskSelectionHook')), 'custom_hooks: give it a list'),
    (dict(custom_hooks='MaskSelectionHook'), 'custom_hooks: give it a list'),
    (dict(custom_hooks=[]), r"no hook plans the images: add dict\(type='MaskSelectionHook'"),
    # The model and its generator.
    ({'model.type': 'Distiler'}, r"model\.type='Distiler' is unknown .*did you mean Distiller\?"),
    ({'model.type': 'LayoutDiffusion'}, r'model.*LayoutDiffusion'),
    ({'model.generater': dict(type='X')}, r'model\.generater: unknown setting of Distiller; did you mean generator\?'),
    ({'model.generator': REMOVED}, r'model: Distiller needs generator'),
    ({'model.generator': 'LayoutUNetGenerator'}, r"model\.generator='LayoutUNetGenerator'"),
    ({'model.generator.type': 'LayoutUnetGenerator'}, r'model\.generator\.type=.*did you mean LayoutUNetGenerator\?'),
    ({'model.generator.type': REMOVED}, r'model\.generator: it has no type'),
    ({'model.generator.type': 'ClassConditionalGenerator'},
     'is for classes.*segmentation: use ControlNetGenerator or .*LayoutUNetGenerator'),
    ({'model.generator.num_step': 5}, r'model\.generator\.num_step: unknown setting .*did you mean num_steps\?'),
    ({'model.generator.num_steps': 0}, r'model\.generator\.num_steps=0 is out of range: .*at least 1'),
    ({'model.generator.num_steps': 'ten'}, r"model\.generator\.num_steps='ten' has to be a whole number"),
    ({'model.generator.num_steps': 2.5}, r'model\.generator\.num_steps=2.5 has to be a whole number'),
    ({'model.generator.num_steps': 5000}, r'num_steps=5000'),
    ({'model.generator.cfg_scale': 'high'}, r"model\.generator\.cfg_scale='high' has to be a number"),
    ({'model.generator.cfg_scale': -1}, r'model\.generator\.cfg_scale=-1 is out of range'),
    ({'model.generator.cfg_chanels': 3}, r'model\.generator\.cfg_chanels: .*did you mean cfg_channels\?'),
    ({'model.generator.cfg_channels': 0}, r'model\.generator\.cfg_channels=0 is out of range'),
    ({'model.generator.image_size': 0}, r'model\.generator\.image_size=0 is out of range'),
    ({'model.generator.image_size': '64'}, r"model\.generator\.image_size='64' has to be"),
    ({'model.generator.image_size': [64, 64, 3]}, r'model\.generator\.image_size=\[64, 64, 3\] has to be'),
    ({'model.generator.micro_batch': 0}, r'model\.generator\.micro_batch=0 is out of range'),
    ({'model.generator.micro_batch': True}, r'model\.generator\.micro_batch=True has to be a whole number'),
    ({'model.generator.dtype': 'fp16'}, r"model\.generator\.dtype='fp16' is unknown: set it to 'float32'"),
    ({'model.generator.compile': 'fast'}, r"model\.generator\.compile='fast' has to be True or False or a dict"),
    ({'model.generator.gradient_checkpointing': 'yes'}, r"gradient_checkpointing='yes' has to be True or False"),
    ({'model.generator.strength': 0}, r'model\.generator\.strength=0 is out of range'),
    ({'model.generator.strength': 1.5}, r'model\.generator\.strength=1.5 is out of range'),
    ({'model.generator.strength': 0.01}, r'strength.*0.01.*leaves none'),
    ({'model.generator.scheduler': 'PNDMScheduler'}, 'scheduler.*PNDMScheduler.*cannot be guided'),
    ({'model.generator.scheduler': 'DPMSolverMultistep'}, 'scheduler.*DPMSolverMultistep.*DPMSolverMultistepScheduler'),
    ({'model.generator.scheduler': dict(type='DDIMScheduler', eta_scale=1)}, r'scheduler.*eta_scale'),
    ({'model.generator.scheduler': 7}, r'model\.generator\.scheduler=7 has to be'),
    ({'model.generator.weights': REMOVED}, r'model\.generator: LayoutUNetGenerator needs weights'),
    ({'model.generator.weights': '/no/such'}, r'model\.generator\.weights.*/no/such'),
    ({'model.generator.weights': 'mmdistill://street'}, r'model\.generator\.weights.*did you mean .*streets'),
    ({'model.generator.weights': 'mmdistill://objects'},
     r'model\.generator\.weights.*holds ClassUNet, not LayoutUNet'),
    ({'model.generator.weights': 5}, r'model\.generator\.weights=5 has to be a string'),
    ({'model.generator.guidance_vae': '/no/vae'}, r'model\.generator\.guidance_vae.*/no/vae'),
    ({'model.generator.guidance_vae': builtin('mmdistill://streets') + '/unet'},
     r'model\.generator\.guidance_vae: \S*unet holds LayoutUNet, not AutoencoderKL or AutoencoderTiny: give'),
    ({'model.generator.vae': builtin('mmdistill://streets') + '/unet'}, r'model\.generator\.vae: .*LayoutUNet'),
    # The dataset and its loader.
    ({'test_dataloader.dataset': REMOVED}, r'test_dataloader\.dataset: the real dataset is missing'),
    ({'test_dataloader.dataset.type': 'StreetScene'},
     r'test_dataloader\.dataset\.type=.*did you mean .*StreetScenes\?'),
    ({'test_dataloader.dataset.type': 'mmseg.ADE20KDatset'}, r'ADE20KDatset.*did you mean mmseg\.ADE20KDataset\?'),
    ({'test_dataloader.dataset.type': 'nosuch.Dataset'},
     r"test_dataloader\.dataset\.type='nosuch\.Dataset' is unknown"),
    ({'test_dataloader.dataset.num_scene': 5}, r'test_dataloader\.dataset\.num_scene: .*did you mean num_scenes\?'),
    ({'test_dataloader.dataset.num_scenes': 0}, r'test_dataloader\.dataset\.num_scenes=0 is out of range'),
    ({'test_dataloader.dataset.split': 'training'},
     r"test_dataloader\.dataset\.split='training' is unknown: set it to"),
    ({'test_dataloader.dataset.data_prefx': {}}, r'test_dataloader\.dataset\.data_prefx: .*did you mean data_prefix\?'),
    ({'test_dataloader.batch_size': 0}, r'test_dataloader\.batch_size=0 is out of range'),
    ({'test_dataloader.batch_size': '4'}, r"test_dataloader\.batch_size='4' has to be a whole number"),
    ({'test_dataloader.num_workers': -1}, r'test_dataloader\.num_workers=-1 is out of range'),
    ({'test_dataloader.num_worker': 1}, r'test_dataloader\.num_worker: .*did you mean num_workers\?'),
    # The loop and the writer.
    ({'test_cfg.type': 'DistilLoop'}, r"test_cfg\.type='DistilLoop' is unknown .*did you mean DistillLoop\?"),
    ({'test_cfg.type': 'TestLoop'}, r"test_cfg.*TestLoop"),
    ({'test_cfg.type': REMOVED}, r'test_cfg: it has no type'),
    ({'test_cfg.methd': 'x'}, r'test_cfg\.methd: .*did you mean method\?'),
    ({'test_cfg.method': 3}, r'test_cfg\.method=3 has to be a string'),
    ({'test_cfg.seed': 'x'}, r"test_cfg\.seed='x' has to be a whole number"),
    ({'test_cfg.seed': -1}, r'test_cfg\.seed=-1 is out of range'),
    ({'test_cfg.on_nonfinite': 'go'}, r"test_cfg\.on_nonfinite='go' is unknown: set it to 'stop' or 'skip'"),
    ({'test_cfg.dry_run': 'yes'}, r"test_cfg\.dry_run='yes' has to be True or False"),
    ({'test_cfg.writer': dict(type='SegWritter')}, r"test_cfg\.writer\.type='SegWritter' .*did you mean SegWriter\?"),
    ({'test_cfg.writer': dict(type='ClassWriter')}, 'ClassWriter is for classes.*segmentation: use .*SegWriter'),
    ({'test_cfg.writer': dict(layout='ade')}, r"test_cfg\.writer\.layout='ade' is unknown.*did you mean ade20k\?"),
    ({'test_cfg.writer': dict(layuot='ade20k')}, r'test_cfg\.writer\.layuot: .*did you mean layout\?'),
    ({'test_cfg.writer': 'SegWriter'}, r"test_cfg\.writer='SegWriter' has to be"),
    # The selection.
    ({f'{PLAN}.type': 'MaskSelectionHok'},
     r"custom_hooks\.MaskSelectionHok\.type='MaskSelectionHok' .*did you mean MaskSelectionHook\?"),
    ({f'{PLAN}.type': REMOVED}, r'custom_hooks\.0: it has no type'),
    ({SELECTOR: REMOVED}, r'custom_hooks\.MaskSelectionHook: MaskSelectionHook needs selector'),
    ({SELECTOR: 'ClassBalancedGreedy'},
     r"custom_hooks\.MaskSelectionHook\.selector='ClassBalancedGreedy' has to be a dict"),
    ({f'{PLAN}.selectr': {}}, r'custom_hooks\.MaskSelectionHook\.selectr: .*did you mean selector\?'),
    ({f'{PLAN}.workers': -1}, r'custom_hooks\.MaskSelectionHook\.workers=-1'),
    ({f'{SELECTOR}.type': 'ClassBalanceGreedy'}, r'selector\.type=.*did you mean ClassBalancedGreedy\?'),
    ({f'{SELECTOR}.budgt': 1}, r'custom_hooks\.MaskSelectionHook\.selector\.budgt: .*did you mean budget\?'),
    ({f'{SELECTOR}.budget': 0}, r'custom_hooks\.MaskSelectionHook\.selector\.budget=0'),
    ({f'{SELECTOR}.budget': 1.5}, r'custom_hooks\.MaskSelectionHook\.selector\.budget=1.5'),
    ({f'{SELECTOR}.budget': 'many'}, r"custom_hooks\.MaskSelectionHook\.selector\.budget='many'"),
    ({f'{SELECTOR}.budget': REMOVED}, r'custom_hooks\.MaskSelectionHook\.selector: ClassBalancedGreedy needs budget'),
    ({f'{SELECTOR}.type': 'HerdingSelector'}, r'custom_hooks\.MaskSelectionHook\.selector.*HerdingSelector'),
    # The guidance.
    ({f'{GUIDE}.type': 'GuidedSynthesis'}, r"custom_hooks\.GuidedSynthesis\.type=.*did you mean GuidedSynthesisHook\?"),
    ({f'{GUIDE}.windw': (0, 1)}, r'custom_hooks\.GuidedSynthesisHook\.windw: .*did you mean window\?'),
    ({f'{GUIDE}.window': (0.5, 0.2)}, r'window=\(0.5, 0.2\)'),
    ({f'{GUIDE}.window': (0, 2)}, r'window'),
    ({f'{GUIDE}.window': 'all'}, r"window='all' has to be"),
    ({f'{GUIDE}.window': (0.01, 0.02)}, r'window=\(0.01, 0.02\).*guides none of the steps'),
    ({f'{GUIDE}.scale': 'big'}, r"scale='big' has to be a number"),
    ({f'{GUIDE}.through': 'x1'}, r"through='x1' is unknown: set it to 'x0' or 'linear' or 'xt'"),
    ({f'{GUIDE}.update': 'next'}, r"update='next' is unknown"),
    ({f'{GUIDE}.norm': 'l2'}, r"norm='l2' is unknown"),
    ({f'{GUIDE}.step': 'tau'}, r"step='tau' is unknown"),
    ({f'{GUIDE}.every': 0}, r'every=0 is out of range'),
    ({f'{GUIDE}.objectives': []}, r'objectives'),
    ({f'{GUIDE}.objectives': 'SegmentationConsistency'}, r"objectives='SegmentationConsistency' has to be a list"),
    ({f'{GUIDE}.objectives.0.type': 'SegmentationConsistancy'},
     r'objectives\.SegmentationConsistancy\.type=.*did you mean SegmentationConsistency\?'),
    ({f'{GUIDE}.objectives.0.class_wieght': 1},
     r'objectives\.SegmentationConsistency\.class_wieght: .*did you mean class_weight\?'),
    ({f'{GUIDE}.objectives.1.weight': 'heavy'}, r"objectives\.ClassFeatureMatching\.weight='heavy' has to be a number"),
    ({f'{GUIDE}.objectives.1.min_area': 'none'},
     r"objectives\.ClassFeatureMatching\.min_area='none' has to be a number"),
    ({f'{GUIDE}.objectives.1.min_area': 2}, r'objectives\.ClassFeatureMatching\.min_area=2 is out of range'),
    ({f'{GUIDE}.objectives': [dict(type='TransportMatching')]}, 'TransportMatching is for classes.*segmentation'),
    ({f'{GUIDE}.semantic': dict(type='SemanticMatching')}, 'SemanticMatching is for classes.*segmentation'),
    ({f'{GUIDE}.support': dict(n_clusters=3)}, r'support: unknown setting'),
    ({SEGMENTOR: None}, r'SegmentationConsistency needs a segmentor'),
    ({f'{SEGMENTOR}.type': 'SegmentorGide'}, r'segmentor\.type=.*did you mean SegmentorGuide\?'),
    ({f'{SEGMENTOR}.chekpoint': 'x'}, r'segmentor\.chekpoint: .*did you mean checkpoint\?'),
    ({f'{SEGMENTOR}.checkpoint': '/no/guide.pth'}, r'segmentor\.checkpoint.*/no/guide\.pth'),
    ({f'{SEGMENTOR}.config': '/no/config.py'}, r'segmentor\.config.*/no/config\.py'),
    ({f'{SEGMENTOR}.layers': 'backbone'}, r"segmentor\.layers='backbone' has to be a list"),
    # Other hooks.
    ({'custom_hooks.PreviewHook.interval': 0}, r'custom_hooks\.PreviewHook\.interval=0 is out of range'),
    ({'custom_hooks.PreviewHook.intervall': 1}, r'custom_hooks\.PreviewHook\.intervall: .*did you mean interval\?'),
    ({'default_hooks.logger.intervl': 1}, r'default_hooks\.logger\.intervl: .*did you mean interval\?'),
    ({'default_hooks.logger.type': 'LogerHook'}, r'default_hooks\.logger\.type=.*did you mean LoggerHook\?'),
    ({'visualizer.type': 'Visualiser'}, r'visualizer\.type=.*did you mean Visualizer\?'),
]

# Of the object pictures by DMGD.
CLASSIFICATION = [
    ({'custom_hooks.ClassPlanHook.ipc': 0},
     r'custom_hooks\.ClassPlanHook\.ipc=0 is out of range: it has to be at least 1'),
    ({'custom_hooks.ClassPlanHook.ipc': 'ten'}, r"custom_hooks\.ClassPlanHook\.ipc='ten' has to be a whole number"),
    ({'custom_hooks.ClassPlanHook.ipc': REMOVED}, r'custom_hooks\.ClassPlanHook: ClassPlanHook needs ipc'),
    ({'custom_hooks.ClassPlanHook.prompt': '{thing}'}, r"prompt='\{thing\}': the only field is"),
    ({'custom_hooks.ClassPlanHook.prompts': 'x'}, r'custom_hooks\.ClassPlanHook\.prompts: .*did you mean prompt\?'),
    (dict(custom_hooks=[dict(type='MaskSelectionHook', selector=dict(type='RandomSelector', budget=1))]),
     'plan is made from masks, but the dataset is for classification: use PrototypeHook'),
    (dict(custom_hooks=[dict(type='ClassPlanHook', ipc=1), dict(type='PrototypeHook', ipc=1)]),
     'two hooks plan the run'),
    ({f'{GUIDE}.objectives.0.epsilon': 0},
     r'objectives\.TransportMatching\.epsilon=0 is out of range: it has to be above 0'),
    ({f'{GUIDE}.objectives.0.iterations': 0}, r'objectives\.TransportMatching\.iterations=0 is out of range'),
    ({f'{GUIDE}.objectives.0.unroll': 1}, r'objectives\.TransportMatching\.unroll=1 has to be True or False'),
    ({f'{GUIDE}.objectives.0.epsilom': 1}, r'objectives\.TransportMatching\.epsilom: .*did you mean epsilon\?'),
    ({f'{GUIDE}.objectives': [dict(type='SegmentationConsistency')]},
     'SegmentationConsistency is for masks.*classific'),
    ({f'{GUIDE}.objectives': [dict(type='SetMatching'), dict(type='TransportMatching')]},
     'SetMatching needs the images of a class generated together, TransportMatching one after the other: leave one'),
    ({f'{GUIDE}.objectives': [dict(type='SetMatching')], f'{GUIDE}.update': 'x0'},
     "SetMatching is a loss of the noisy latents, which update='x0' does not support: set update='prev'"),
    ({f'{GUIDE}.objectives': [dict(type='FeatureAlignment', block=(4, 12))]}, r'did you mean blocks\?'),
    ({f'{GUIDE}.objectives': [dict(type='FeatureAlignment')], 'model.generator.compile': True},
     'FeatureAlignment reads inner layers of the network.*remove model.generator.compile'),
    ({'model.generator.scheduler.rescale_betas_zero_snr': True, f'{GUIDE}.window': (0, 0.4)},
     r"custom_hooks\.GuidedSynthesisHook: through='linear' divides by the signal, which DDPMScheduler sets to 0 at "
     r'step 0 of 25: start window at 0\.04 or later'),
    ({f'{GUIDE}.objectives': [dict(type='SemanticMatching')]},
     r"SemanticMatching has no attribute space.*set semantic=dict\(type='SemanticMatching'\)"),
    ({f'{GUIDE}.semantic': dict(type='PointMatching')}, 'PointMatching is an objective.*move it to objectives'),
    ({f'{GUIDE}.support': dict(strategy='grid')},
     r"support\.strategy='grid' is unknown: set it to 'kmeans' or 'medoids' or 'density'"),
    ({f'{GUIDE}.support': dict(n_clusters=0)}, r'support\.n_clusters=0 is out of range'),
    ({f'{GUIDE}.support': dict(n_cluster=4)}, r'support\.n_cluster: .*did you mean n_clusters\?'),
    ({f'{GUIDE}.support': dict(batch_size=0)}, r'support\.batch_size=0 is out of range'),
    ({f'{GUIDE}.semantic.type': 'SemanticMatch'}, r'semantic\.type=.*did you mean SemanticMatching\?'),
    ({f'{GUIDE}.semantic.window': (500, 900)}, r'semantic.*window=\(500, 900\)'),
    ({f'{GUIDE}.semantic.beta_noise': 0}, r'semantic\.beta_noise=0 is out of range'),
    ({f'{GUIDE}.semantic.beta_lable': 0.1}, r'semantic\.beta_lable: .*did you mean beta_label\?'),
    ({f'{GUIDE}.semantic.compat': 'paper'}, r"semantic\.compat='paper'"),
    ({'model.generator.class_ids': 'all'}, r"model\.generator\.class_ids='all' has to be"),
    ({'test_cfg.writer': dict(size=0)}, r'test_cfg\.writer\.size=0 is out of range'),
    ({'test_cfg.writer': dict(image_format='GIF')}, r"test_cfg\.writer\.image_format='GIF' is unknown: set it"),
    ({'test_cfg.writer': dict(size='224')}, r"test_cfg\.writer\.size='224' has to be"),
    ({'test_cfg.writer': dict(type='SegWriter')}, 'SegWriter is for masks.*classification: use ClassWriter'),
]
PROTOTYPES = [
    ({'custom_hooks.PrototypeHook.crop': 'yes'}, r"custom_hooks\.PrototypeHook\.crop='yes' has to be True or False"),
    ({'custom_hooks.PrototypeHook.batch_size': 0}, r'custom_hooks\.PrototypeHook\.batch_size=0 is out of range'),
    ({'custom_hooks.PrototypeHook.random_state': -1}, r'custom_hooks\.PrototypeHook\.random_state=-1 is out of range'),
    ({'custom_hooks.PrototypeHook.strategy': 'medoid'},
     r"custom_hooks\.PrototypeHook\.strategy='medoid' is unknown: set it to "),
    ({'custom_hooks.PrototypeHook.n_clusters': 3},
     r'custom_hooks\.PrototypeHook\.n_clusters: unknown setting of PrototypeHook'),
    ({'model.generator.strength': 0.01}, r'strength.*0.01.*leaves none'),
]
MISTAKES = [(config, *case) for config, cases in ((D3S2, SEGMENTATION), (DMGD, CLASSIFICATION), (D4M, PROTOTYPES))
            for case in cases]


def changed(config: str, options: dict) -> Config:
    cfg = read_config(config)
    for key, value in options.items():
        if '.' not in key and value is not REMOVED:
            cfg[key] = value
        elif value is not REMOVED:
            merge_options(cfg, {key: value})
    for key in (key for key, value in options.items() if value is REMOVED):
        *path, last = key.split('.')
        part = cfg
        for name in path:
            part = next(hook for hook in part if hook['type'] == name) if isinstance(part, list) else part[name]
        part.pop(last)
    return cfg


@pytest.mark.parametrize('config', [D3S2, D4M, DMGD])
def test_valid_values_pass(config):
    check_run(read_config(config))


def test_a_step_without_signal_of_weights_that_were_on_the_hub():
    """Their scheduler is known when they are loaded, still before real images are read."""
    settings = GuidanceSettings([dict(type='TransportMatching')], None, dict(window=(0, 0.5), through='linear'))
    generator = SimpleNamespace(process=NoiseProcess(FlowMatchEulerDiscreteScheduler(), 10), strength=0.9)
    with pytest.raises(DistillError, match="GuidedSynthesisHook: through='linear' divides by the signal"):
        settings.check_generator(generator, start_latents=False)
    settings.check_generator(generator, start_latents=True)


@pytest.mark.parametrize('config, options, say', MISTAKES,
                         ids=[f'{next(iter(case[1]))}={number}' for number, case in enumerate(MISTAKES)])
def test_a_mistake_is_one_line(config, options, say):
    with pytest.raises(DistillError) as error:
        check_run(changed(config, options))
    line = str(error.value)
    assert '\n' not in line and len(line) < 400 and re.search(say, line), line


def test_a_variable_may_have_a_longer_name_than_a_key():
    check_run(changed(D3S2, dict(my_test_dataloader=dict(batch_size=1))))


def test_default_hooks_compose_a_run_too():
    cfg = read_config(D3S2)
    cfg.default_hooks = dict(cfg.get('default_hooks') or {}, plan=cfg.custom_hooks[0])
    cfg.custom_hooks = cfg.custom_hooks[1:]
    check_run(cfg)


def test_there_are_enough_of_them():
    assert len(MISTAKES) >= 104


def test_types_may_be_classes():
    from mmdistill.engine.hooks.composing import MaskSelectionHook
    from mmdistill.engine.loop import DistillLoop
    from mmdistill.generation import LayoutUNetGenerator
    from mmdistill.selection import RandomSelector
    cfg = read_config(D3S2)
    cfg.test_cfg['type'], cfg.model.generator['type'] = DistillLoop, LayoutUNetGenerator
    cfg.custom_hooks[0] = dict(type=MaskSelectionHook, selector=dict(type=RandomSelector, budget=2))
    check_run(cfg)
    cfg.custom_hooks[0]['selector']['budgt'] = 3
    with pytest.raises(DistillError, match=r'selector\.budgt: unknown setting of RandomSelector; did you mean budget'):
        check_run(cfg)


@pytest.mark.parametrize('options, say', [
    (['model.generator.num_step=5'], r'error: model\.generator\.num_step: unknown setting of LayoutUNetGenerator; did '
     r'you mean num_steps\?'),
    (['custom_hooks.GuidedSynthesisHook.objectives.0.type=SegmentationConsistancy'], 'did you mean SegmentationConsis'),
    (['modle.x=1'], r'error: modle\.x: the config has no modle; did you mean model\?'),
])
@pytest.mark.parametrize('dry', [True, False])
def test_the_command_says_that_line_and_makes_nothing(tools, tmp_path, options, say, dry):
    done = tools('distill', D3S2, '--work-dir', tmp_path / 'work', *['--dry-run'] * dry, '--cfg-options', *options)
    lines = [line for line in done.stderr.splitlines() if 'OneDL' not in line]
    assert done.returncode == 1 and len(lines) == 1 and re.search(say, lines[0]), done.stderr
    assert not (tmp_path / 'work').exists()


@pytest.mark.parametrize('options, say', [
    (dict(work_dir=3), r'work_dir=3 has to be a string'),
    (dict(log_level='VERBOSE'), r"log_level='VERBOSE' is unknown|log_level='VERBOSE' has to be"),
    (dict(env_cfg=None), r'env_cfg=None has to be a dict'),
    (dict(train_cfg=dict(max_iters=3)), r'train_cfg: MMEngine also needs train_dataloader, optim_wrapper: leave'),
    (dict(load_from='x.pth'), r"load_from='x.pth' only works in a training"),
    (dict(resume=True), r'resume=True only works in a training.*--resume'),
    (dict(test_evaluator=3), r'test_evaluator=3 has to be a list or a dict'),
    ({'env_cfg.dist_cfg.timeout': 'a'}, r"env_cfg\.dist_cfg\.timeout='a' has to be a whole number"),
    ({'test_cfg.method': ''}, r"test_cfg\.method='' is empty"),
    ({'default_hooks.logger.interval': 0}, r'default_hooks\.logger\.interval=0: interval must be greater than 0'),
    ({'visualizer.vis_backends': 3}, r'visualizer\.vis_backends=3 has to be a list'),
    ({'test_dataloader.sampler.type': 'Foo'}, r"test_dataloader\.sampler\.type='Foo' is unknown"),
    (dict(test_evaluator=REMOVED), r'test_evaluator is missing, and MMEngine needs it: add test_evaluator=\[\]'),
    ({'visualizer.vis_backends': [dict(type='LocalVisBakend')]},
     r'vis_backends\.LocalVisBakend\.type=.*did you mean LocalVisBackend'),
    ({'test_dataloader.dataset': dict(_delete_=True, type='ADE20KDataset')}, r'did you mean mmseg\.ADE20KDataset\?'),
    *[({'test_dataloader.dataset': dict(_delete_=True, type=name, dataset=SCENES, **wrong)}, say)
      for name, wrong, say in [
        ('RepeatDataset', dict(times=0), r'test_dataloader\.dataset\.times=0 is out of range'),
        ('RepeatDataset', dict(times=-1), r'test_dataloader\.dataset\.times=-1 is out of range'),
        ('mmpretrain.KFoldDataset', dict(fold=5, num_splits=3), r'dataset\.fold=5: .*the folds are 0\.\.2')]],
    ({'test_dataloader.dataset': dict(_delete_=True, type='mmseg.BaseSegDataset', metainfo=dict(classes=11))},
     r'dataset\.metainfo\.classes=11: give the names, a list'),
    ({'test_dataloader.dataset': dict(_delete_=True, type='mmseg.BaseSegDataset', data_root='x',
                                      data_prefix=dict(img='images', seg='masks'))},
     r'dataset\.data_prefix has img, seg: the keys of mmseg are img_path and seg_map_path'),
    ({'test_dataloader.dataset': dict(_delete_=True, type='ClassBalancedDataset', oversample_thr=0.5, dataset=SCENES)},
     r'dataset\.dataset: ClassBalancedDataset needs the method get_cat_ids\(\), which StreetScenes does not have'),
    ({'test_dataloader.dataset': dict(_delete_=True, type='ClassBalancedDataset', oversample_thr=0.5, dataset=dict(
        type='ConcatDataset', datasets=[SCENES]))}, r'get_cat_ids\(\), which ConcatDataset does not have'),
    ({f'{GUIDE}.objectives': [dict(type='ClassFeatureMatching')] * 2}, 'ClassFeatureMatching is listed twice'),
])
def test_more_of_the_runner(options, say):
    with pytest.raises(DistillError, match=say):
        check_run(changed(D3S2, options))


@pytest.mark.parametrize('option', ['seed=3', 'budget=3', 'generator.num_steps=3', 'guidnce.scale=1'])
def test_an_option_that_nothing_reads(option):
    key, value = option.split('=')
    with pytest.raises(DistillError, match=f'{key}: the config has no {key.split(".")[0]}'):
        merge_options(read_config(D3S2), {key: int(value)})
