"""Registers the core's selectors, generators and guidances, which know no registry themselves."""
from mmdistill import generation, guidance, selection
from mmdistill.registry import GENERATORS, GUIDANCES, SELECTORS

for _registry, _package, _names in (
    (SELECTORS, selection, ('ClassBalancedGreedy', 'RarestClassFirst', 'RandomSelector', 'FrequencyWeightedSelector',
                            'KCenterSelector', 'UniformPerClassSelector', 'HerdingSelector', 'FeatureKCenterSelector',
                            'RandomPerClassSelector')),
    (GENERATORS, generation, ('LayoutUNetGenerator', 'ControlNetGenerator', 'Img2ImgGenerator',
                              'ClassConditionalGenerator')),
    (GUIDANCES, guidance, ('SegmentationConsistency', 'ClassFeatureMatching', 'SemanticMatching',
                            'TransportMatching')),
):
    for _name in _names:
        _registry.register_module(module=getattr(_package, _name))
