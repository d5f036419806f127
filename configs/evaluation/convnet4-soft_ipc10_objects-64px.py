# objects_ipc10.py with soft labels: every student learns from a teacher online. configs/teachers/objects.py comes
# first, then `make quickstart`, which makes the distilled sets.
_base_ = './objects_ipc10.py'
protocol = 'mmdistill::students/convnet4_objects_soft.py'
