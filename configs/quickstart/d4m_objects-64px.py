# D4M on the built-in object pictures: 10 images per class instead of 200, with the built-in weights.
# mmdistill distill configs/quickstart/d4m_objects-64px.py
_base_ = [
    '../_base_/methods/d4m.py', '../_base_/generators/class-unet_objects-64px.py', '../_base_/datasets/objects.py'
]

model = dict(generator=dict(strength=0.7))
# The workers draw the real pictures, which the autoencoder encodes.
test_dataloader = dict(batch_size=10, num_workers=2, dataset=_base_.train_dataset)
