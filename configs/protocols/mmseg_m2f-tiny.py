# Protocol mmseg_m2f-tiny: mmseg_m2f's rule, a fixed number of iterations whatever the size of the training set, for
# small images and a CPU. Not a small Mask2Former, which is too slow there, but mmseg's UNet with the schedule and data
# of configs/students/unet_camvid-256x192.py: CamVid at 256x192, 600 iterations of 4 images, AdamW 4e-3, poly decay.
# Its numbers are not comparable with those of any other protocol.
# mmdistill train configs/protocols/mmseg_m2f-tiny.py
_base_ = '../students/unet_camvid-256x192.py'

protocol = dict(id='mmseg_m2f-tiny', labels='masks', max_iters=600)
