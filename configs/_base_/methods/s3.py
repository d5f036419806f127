# S3 of IMS3: the generator alone makes five candidates for each image. One of each is kept, so that the kept images meet
# the centroids of the real class and differ from each other. It works with every method of classification: give candidates to its
# ClassPlanHook or PrototypeHook, and add the CandidateChoiceHook. What is ours: see mmdistill.choice.CoverageChoice.
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
