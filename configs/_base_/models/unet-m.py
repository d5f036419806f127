# unet-s.py with five stages instead of three, for photos of about 256x192 and more; sides are multiples of 32.
_base_ = './unet-s.py'

model = dict(
    backbone=dict(
        num_stages=5,
        strides=(2, 1, 1, 1, 1),
        enc_num_convs=(1, 2, 2, 2, 2),
        dec_num_convs=(1, 2, 2, 2),
        downsamples=(True, True, True, True),
        enc_dilations=(1, 1, 1, 1, 1),
        dec_dilations=(1, 1, 1, 1)),
    decode_head=dict(in_index=4))
