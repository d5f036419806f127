# convnet4_objects.py with D4M's training-time matching: CutMix, and a teacher's labels of the very pixels.
_base_ = './convnet4_objects.py'
data_preprocessor = dict(batch_augments=dict(augments=[dict(type='CutMix', alpha=1.0)]))
model = dict(head=dict(loss=dict(_delete_=True, type='mmdistill.TemperatureKLLoss', temperature=4)))
custom_hooks = [
    dict(
        type='mmdistill.OnlineLabelsHook',
        temperature=4,
        teacher=dict(
            config='mmdistill::teachers/objects.py', checkpoint='{{$TEACHER:work_dirs/objects/iter_1500.pth}}'))
]
