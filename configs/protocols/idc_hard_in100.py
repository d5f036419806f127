# Protocol idc_hard_in100: idc_hard (see there) for 100 classes, ImageNet-100: two thirds of its epochs, as in the
# released code. Numbers of different protocols are not comparable: name this one beside yours.
# The dataset in this file is ImageNette's; configs/evaluation/idc_hard_in100_ipc10_imagenet100-224px.py has its own.
# mmdistill train configs/protocols/idc_hard_in100.py
_base_ = './idc_hard.py'

protocol = dict(id='idc_hard_in100', epochs_by_ipc=[(10, 1333), (50, 1000), (200, 666), (500, 333), (None, 200)])
max_epochs = 1333

param_scheduler = dict(milestones=[2 * max_epochs // 3, 5 * max_epochs // 6])
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs // 10)
