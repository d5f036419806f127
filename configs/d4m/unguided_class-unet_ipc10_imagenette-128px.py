# The same generator without prototypes, from pure noise: the baseline of D4M and DMGD. Train the generator first:
# mmdistill train configs/generators/class-unet_cpu_imagenette-128px.py
# mmdistill distill configs/d4m/unguided_class-unet_ipc10_imagenette-128px.py
_base_ = [
    '../_base_/methods/unguided.py', '../_base_/generators/class-unet_imagenette-128px.py',
    '../_base_/datasets/imagenette.py'
]

test_dataloader = dict(batch_size=20, num_workers=0, dataset=_base_.train_dataset)
