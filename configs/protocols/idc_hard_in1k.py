# Protocol idc_hard_in1k: idc_hard (see there) for more than 100 classes, ImageNet-1K: another learning rate, weight
# decay and batch size, as in the released code. Numbers of different protocols are not comparable: name this one
# beside yours.
# The dataset in this file is ImageNette's; configs/evaluation/idc_hard_in1k_ipc10_imagenet1k-224px.py has its own.
# mmdistill train configs/protocols/idc_hard_in1k.py
_base_ = './idc_hard.py'

protocol = dict(id='idc_hard_in1k')
train_dataloader = dict(batch_size=128)
val_dataloader = dict(batch_size=128)
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(lr=0.1, weight_decay=1e-4))
