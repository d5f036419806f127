# A teacher for the built-in object pictures: the student's network, trained longer, on all real pictures.
# mmdistill train configs/teachers/convnet4-teacher_objects-64px.py
_base_ = '../students/convnet4_objects-64px.py'

max_iters = 1500
param_scheduler = [_base_.warmup, dict(_base_.cosine, end=max_iters)]
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
