# Protocol mmseg_m2f-tiny: as in mmseg_m2f, the number of iterations is fixed for training sets of any size; for small
# images and a CPU. A small Mask2Former would be too slow, so the student is mmseg's UNet with the schedule and data of
# configs/students/unet_camvid-256x192.py: CamVid at 256x192, 600 iterations of 4 images, AdamW 4e-3, poly decay. Its
# results are not comparable with those of any other protocol.
# mmdistill train configs/protocols/mmseg_m2f-tiny.py
_base_ = '../students/unet_camvid-256x192.py'

protocol = dict(id='mmseg_m2f-tiny', labels='masks', max_iters=600)
