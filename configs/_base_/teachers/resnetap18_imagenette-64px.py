# Made by `python tools/train.py configs/teachers/imagenette_64px.py`; elsewhere: TEACHER=/path/to/epoch_30.pth.
teacher = dict(
    config='mmdistill::teachers/imagenette_64px.py',
    checkpoint='{{$TEACHER:work_dirs/imagenette_64px/epoch_30.pth}}')
