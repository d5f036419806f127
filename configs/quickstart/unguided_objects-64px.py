# The generator of d4m_objects-64px.py without prototypes: 10 images per class from pure noise.
# mmdistill distill configs/quickstart/unguided_objects-64px.py
_base_ = [
    '../_base_/methods/unguided.py', '../_base_/generators/class-unet_objects-64px.py', '../_base_/datasets/objects.py'
]

test_dataloader = dict(batch_size=10, num_workers=2, dataset=_base_.train_dataset)
