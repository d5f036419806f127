# A small AutoencoderTiny of factor 4: 64x64 images, 16x16 latents.
model = dict(
    type='AutoencoderTrainer',
    autoencoder=dict(
        encoder_block_out_channels=(32, 32, 32),
        decoder_block_out_channels=(32, 32, 32),
        num_encoder_blocks=(1, 2, 3),
        num_decoder_blocks=(3, 2, 1)))
