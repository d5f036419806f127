# S³ of IMS3: five candidates are made for each image, and those are kept that meet the centroids of the real class and
# differ from each other, in the features of a frozen ResNet-18. What is ours: see mmdistill.choice.CoverageChoice.
# It works with every method: add `choice` to its custom_hooks, and candidates=5 to its plan hook.
_base_ = '../distill_runtime.py'

test_cfg = dict(method='S3')
choice = dict(
    type='CandidateChoiceHook',
    encoder=dict(type='BackboneEncoder', config='resnet18_8xb32_in1k'),
    choice=dict(type='CoverageChoice', alpha=0.4, beta=0.9))
custom_hooks = [dict(type='ClassPlanHook', ipc=10, candidates=5), choice, dict(type='PreviewHook')]
