# Trained by `mmdistill train configs/teachers/resnetap18-teacher_imagenette-64px.py`.
teacher = dict(
    config='mmdistill::teachers/resnetap18-teacher_imagenette-64px.py',
    checkpoint='work_dirs/resnetap18-teacher_imagenette-64px/epoch_30.pth')
