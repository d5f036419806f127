# Protocol idc_hard_adamw: idc_hard (see there) with AdamW, learning rate 1e-3 and weight decay 0.01 on all parameters.
# DMGD reports results of this protocol on ImageNette and ImageWoof: mean and standard deviation of five trainings on
# one image set. Results of different protocols are not comparable, including those of idc_hard: report the protocol
# with them.
# mmdistill train configs/protocols/idc_hard_adamw.py
_base_ = './idc_hard.py'

protocol = dict(
    id='idc_hard_adamw',
    # Above 100 classes, idc_hard has another learning rate and weight decay for SGD, which do not apply here.
    by_size=[
        (classes, ipc, {key: value for key, value in settings.items() if key in ('epochs', 'batch_size')})
        for classes, ipc, settings in _base_.protocol.by_size
    ])
optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=1e-3, weight_decay=0.01))
