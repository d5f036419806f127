# Protocol idc_hard_adamw: idc_hard (see there) with AdamW, learning rate 1e-3 and weight decay 0.01 on all parameters.
# DMGD's tables on ImageNette and ImageWoof are made with it: mean and deviation of five trainings of one image set.
# Numbers of different protocols are not comparable, those of idc_hard included: name this one beside yours.
# mmdistill train configs/protocols/idc_hard_adamw.py
_base_ = './idc_hard.py'

protocol = dict(
    id='idc_hard_adamw',
    # Without idc_hard's other learning rate and weight decay above 100 classes, which are SGD's.
    by_size=[
        (classes, ipc, {key: value for key, value in settings.items() if key in ('epochs', 'batch_size')})
        for classes, ipc, settings in _base_.protocol.by_size
    ])
optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=1e-3, weight_decay=0.01))
