# S3 of IMS3: the unguided generator makes five candidates for each image. One of the five is kept, such that the kept
# images are close to the centroids of the real class and different from each other. It works with every classification
# method: set candidates of its ClassPlanHook or PrototypeHook, and add the CandidateChoiceHook. Differences from the
# paper: see mmdistill.choice.CoverageChoice.
_base_ = '../distill_runtime.py'

test_cfg = dict(method='S3')
custom_hooks = [
    dict(type='ClassPlanHook', ipc=10, candidates=5),
    dict(
        type='CandidateChoiceHook',
        choice=dict(type='CoverageChoice', alpha=0.4, beta=0.9),
        encoder=dict(type='BackboneEncoder', config='resnet18_8xb32_in1k')),
    dict(type='PreviewHook')
]
