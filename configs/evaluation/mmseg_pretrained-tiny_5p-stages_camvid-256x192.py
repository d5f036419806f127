# The loss of each stage of the synthesis on CamVid at 5 %: photos of the selected masks, the same photos after the
# autoencoder, images that start from the photos with 10, 20, 40 and 70 % of the denoising steps, images from noise, and
# guided images that start from the photos (20 %) and from noise.
# python benchmarks/camvid.py --share stages
# mmdistill evaluate configs/evaluation/mmseg_pretrained-tiny_5p-stages_camvid-256x192.py
_base_ = './mmseg_pretrained-tiny_5p_camvid-256x192.py'

students = dict(_delete_=True, pretrained=None)
kinds = dict(autoencoder='autoencoder', photo_10='photo-10', photo_20='photo-20', photo_40='photo-40',
             photo_70='photo-70', photo_guided='photo-guided', unguided='unguided', distilled='d3s2')
training_sets = dict(
    _delete_=True,
    selected_real=dict(selector=dict(type='ClassBalancedGreedy')),
    **{name: dict(data_root=[f'{_base_.folder}/{kind}_{seed}/distilled' for seed in range(3)])
       for name, kind in kinds.items()})
