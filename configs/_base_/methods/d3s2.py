# D3S2: class-balanced selection of masks, and guidance by a segmentor. A config adds the segmentor and the scale to the
# guidance.
# Another share of the masks, or their number: --cfg-options custom_hooks.MaskSelectionHook.selector.budget=0.05
_base_ = '../distill_runtime.py'

test_dataloader = dict(num_workers=0)
test_cfg = dict(method='D3S2', writer=dict(type='SegWriter', layout='source'))
selection = dict(type='MaskSelectionHook', selector=dict(type='ClassBalancedGreedy', budget=0.01))
guidance = dict(
    type='GuidedSynthesisHook',
    objectives=[
        dict(type='SegmentationConsistency', class_weight='balanced'),
        dict(type='ClassFeatureMatching', weight=0.1),
    ],
    window=(0.25, 1.0))
