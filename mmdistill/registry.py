"""The registries of mmdistill.

Each root registry of MMEngine has a child here with the scope ``mmdistill``, so that a stock config of any OpenMMLab
package can use ``mmdistill.X`` without custom imports. There are nine further registries: tasks, selectors, generators,
guidances (objectives of the guided denoising loop), choices among candidates, image weights, label cleaners, writers,
and image encoders.
"""
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional

from .errors import MissingPackage
from .settings import NO_SETTINGS, loader

try:
    from mmengine import registry as roots
    from mmengine.config import utils as config_utils
    from mmengine.registry import DefaultScope, Registry
except ModuleNotFoundError as error:
    if (error.name or '').partition('.')[0] != 'mmengine':
        raise
    raise MissingPackage('mmdistill needs an OpenMMLab stack here and none is installed: run `pip '
                         'install --no-build-isolation "mmdistill[onedl]"` (the maintained forks; torch first), or '
                         '`pip install --no-build-isolation "mmdistill[openmmlab]"` (OpenMMLab\'s own packages)'
                         ) from error

# MMEngine resolves the package in `_base_ = '<package>::...'` with a fixed table of distribution names. The table lacks
# mmdistill, and lists mmseg under its original name (mmsegmentation), not the name of the fork. Module names work with
# both. This is done here because all tools import this module before they read a config.
config_utils.MODULE2PACKAGE.update(mmdistill='mmdistill', mmseg='mmseg')

_SCOPE = 'mmdistill'


class LazyRegistry(Registry):
    """A registry that imports the module of a component when it is first used.

    Classes of the core do not use registries, so they are registered here by the names of their modules.

    Args:
        name: Name of the registry.
        modules: Module of this package → names of its components, separated by spaces.
        parent: MMEngine's registry of the same name; None for registries that MMEngine does not have.
        build_func: Function that builds a component; default: MMEngine's.
    """

    def __init__(self, name: str, modules: Optional[Dict[str, str]] = None, parent: Optional[Registry] = None,
                 build_func: Optional[Callable] = None) -> None:
        self.modules = {key: f'mmdistill.{module}' for module, keys in (modules or {}).items() for key in keys.split()}
        super().__init__(name, build_func, parent, _SCOPE, ['mmdistill'])

    def get(self, key: str) -> Optional[type]:
        """The component with this name; None if it is unknown."""
        scope, name = self.split_scope_key(key)
        if scope in (None, _SCOPE) and name in self.modules and name not in self._module_dict:
            module = import_module(self.modules[name])
            if name not in self._module_dict:
                self.register_module(module=getattr(module, name))
        return super().get(key)

    @contextmanager
    def switch_scope_and_registry(self, scope: Optional[str]) -> Iterator[Registry]:
        """Like MMEngine's method, except that a registry without a parent is used in any default scope.

        MMEngine would look for a child of that scope, such as the scope of a stock training, and warn if there is none.
        """
        with DefaultScope.overwrite_default_scope(scope):
            current = DefaultScope.get_current_instance()
            if self.parent is None and current is not None and self._search_child(current.scope_name) is None:
                yield self
                return
        with super().switch_scope_and_registry(scope) as registry:
            yield registry

    def names(self) -> List[str]:
        """Names of all registered components, including those whose modules are not imported yet."""
        return sorted({*self.modules, *self._module_dict})


def build_loaded(cfg: Mapping[str, Any], registry: Registry) -> Any:
    """Build a component with ``from_pretrained`` if it has this method, otherwise with its constructor."""
    component = registry.get(cfg['type']) if isinstance(cfg['type'], str) else cfg['type']
    return loader(component)(**{key: value for key, value in cfg.items() if key not in NO_SETTINGS})


def _child(parent: Registry, **modules: str) -> LazyRegistry:
    return LazyRegistry(parent.name, {key.replace('__', '.'): names for key, names in modules.items()}, parent)


LOOPS = _child(roots.LOOPS, engine__loop='DistillLoop')
HOOKS = _child(
    roots.HOOKS, engine__hooks__export='ExportHook PreviewHook SampleGridHook',
    engine__hooks__composing='MaskSelectionHook ClassPlanHook PrototypeHook GuidedSynthesisHook LabelCleaningHook',
    engine__hooks__finishing='CandidateChoiceHook ImageWeightsHook', engine__hooks__class_weights='ClassWeightsHook',
    labels__hooks='OnlineLabelsHook ReplayedLabelsHook')
OPTIM_WRAPPERS = _child(roots.OPTIM_WRAPPERS, engine__training='BFloat16OptimWrapper')
DATASETS = _child(
    roots.DATASETS, datasets__distilled='DistilledDataset', datasets__imagenet='ImageNet1K ImageNetSubset',
    datasets__union='UnionDataset', datasets__coco_stuff__dataset='COCOStuff', labels__replay='ReplayedViews',
    toy__streets='StreetScenes', toy__objects='ObjectPictures')
TRANSFORMS = _child(roots.TRANSFORMS, datasets__transforms='ShufflePatches')
MODELS = _child(
    roots.MODELS, models__distiller='Distiller', models__autoencoder='AutoencoderTrainer DecoderTrainer',
    models__latent_diffusion='ClassDiffusion LayoutDiffusion',
    models__evaluation_nets='ConvNet ResNetAP', models__losses='TemperatureKLLoss WeightedLoss',
    models__segmentor='SegmentorGuide', models__efficientnet_lite='EfficientNetLite0')
MODEL_WRAPPERS = _child(roots.MODEL_WRAPPERS, models__distiller='Distiller')
METRICS = _child(
    roots.METRICS, evaluation__class_iou='ClassIoU', evaluation__class_accuracy='ClassAccuracy',
    evaluation__training_metrics='MeanLoss PSNR')
VISUALIZERS = _child(roots.VISUALIZERS)
for _name, _root in vars(roots).items():  # registries without components in mmdistill
    if isinstance(_root, Registry) and _name not in globals():
        globals()[_name] = _child(_root)

TASKS = LazyRegistry('task', {'tasks.segmentation': 'Segmentation', 'tasks.classification': 'Classification'})
SELECTORS = LazyRegistry('selector', {
    'selection.greedy': 'ClassBalancedGreedy RarestClassFirst',
    'selection.baselines': 'RandomSelector FrequencyWeightedSelector KCenterSelector UniformPerClassSelector',
    'selection.features': 'HerdingSelector FeatureKCenterSelector RandomPerClassSelector'})
GENERATORS = LazyRegistry('generator', build_func=build_loaded, modules={
    'generation.layout_conditional': 'LayoutUNetGenerator',
    'generation.controlnet': 'ControlNetGenerator',
    'generation.freestyle': 'FreestyleNetGenerator',
    'generation.text_to_image': 'Img2ImgGenerator',
    'generation.class_conditional': 'ClassConditionalGenerator'})
GUIDANCES = LazyRegistry('guidance', {
    'guidance.segmentation': 'SegmentationConsistency',
    'guidance.features': 'ClassFeatureMatching',
    'guidance.semantic': 'SemanticMatching',
    'guidance.transport': 'TransportMatching',
    'guidance.points': 'PointMatching',
    'guidance.sets': 'SetMatching',
    'guidance.alignment': 'FeatureAlignment'})
CHOICES = LazyRegistry('choice', {'choice.coverage': 'CoverageChoice'})
IMAGE_WEIGHTS = LazyRegistry('image weights', {'choice.shares': 'ClusterShares'})
CLEANERS = LazyRegistry('cleaner', {'cleaning.votes': 'MajorityVote', 'cleaning.losses': 'LossThreshold'})
WRITERS = LazyRegistry('writer', {
    'datasets.writers': 'ClassWriter SegWriter', 'datasets.coco_stuff.writer': 'COCOJsonWriter'})
ENCODERS = LazyRegistry('encoder', {'evaluation.encoders': 'BackboneEncoder LatentEncoder'})
