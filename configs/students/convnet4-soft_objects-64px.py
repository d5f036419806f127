# convnet4_objects-64px.py with the training-time matching of D4M: CutMix, and labels of a teacher for each augmented
# batch.
# mmdistill train configs/teachers/convnet4-teacher_objects-64px.py
# mmdistill train configs/students/convnet4-soft_objects-64px.py
# Another teacher's weights: --cfg-options custom_hooks.OnlineLabelsHook.teacher.checkpoint=…
_base_ = './convnet4_objects-64px.py'

data_preprocessor = dict(batch_augments=dict(augments=[dict(type='CutMix', alpha=1.0)]))
model = dict(head=dict(loss=dict(_delete_=True, type='mmdistill.TemperatureKLLoss', temperature=4)))
custom_hooks = [
    dict(
        type='mmdistill.OnlineLabelsHook',
        temperature=4,
        teacher=dict(
            config='mmdistill::teachers/convnet4-teacher_objects-64px.py',
            checkpoint='work_dirs/convnet4-teacher_objects-64px/iter_1500.pth'))
]
