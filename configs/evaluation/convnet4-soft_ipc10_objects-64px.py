# convnet4_ipc10_objects-64px.py with soft labels: every student learns from a teacher online. After `make quickstart`,
# which makes the distilled sets:
# mmdistill train configs/teachers/convnet4-teacher_objects-64px.py
# mmdistill evaluate configs/evaluation/convnet4-soft_ipc10_objects-64px.py
_base_ = './convnet4_ipc10_objects-64px.py'

protocol = 'mmdistill::students/convnet4-soft_objects-64px.py'
