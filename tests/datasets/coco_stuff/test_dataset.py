"""The dataset: the same masks from every format, read by mmseg and by mmdistill."""
import pickle
import shutil

import numpy as np
import pytest
from mmseg.datasets import COCOStuffDataset
from mmseg.datasets.transforms import LoadAnnotations
from PIL import Image
from scipy.io import savemat
from torch.utils.data import DataLoader

from mmdistill.components import check_component
from mmdistill.datasets import COCOStuff, DatasetMasks, SegWriter
from mmdistill.datasets.coco_stuff.dataset import SUFFIXES
from mmdistill.errors import DistillError
from mmdistill.registry import DATASETS

FORMS = ['stuffthingmaps', 'train_ids', 'json', 'mat']
PIPELINE = [dict(type='LoadImageFromFile', _scope_='mmseg'), dict(type='LoadAnnotations', _scope_='mmseg')]


def by_mmseg(dataset):
    """Stem → mask as stock ``LoadAnnotations`` gives it to a training."""
    infos = (dataset.get_data_info(i) for i in range(len(dataset)))
    return {stem(info['img_path']): LoadAnnotations().transform(info)['gt_seg_map'] for info in infos}


def stem(path):
    return path.rpartition('/')[2].removeprefix('COCO_train2014_')[:12]


def equal(masks, others):
    return masks.keys() == others.keys() and all(np.array_equal(masks[key], others[key]) for key in masks)


@pytest.mark.parametrize('form', FORMS)
def test_every_form_gives_the_same_masks(forms, dataset, form):
    built = dataset(form)
    assert equal(by_mmseg(built), forms.train)
    source = DatasetMasks(built)
    assert equal({stem(path): source.mask(mask) for path, mask in zip(source.images, source.masks)}, forms.train)
    counts = np.array([np.bincount(forms.train[stem(path)].ravel(), minlength=256)[:171] for path in source.images])
    assert np.array_equal(source.histograms(workers=0), counts)
    assert [stem(path) for path in source.images] == sorted(forms.train)  # one order, so one index for each image


def test_mmseg_reads_the_same_from_the_converted_files(forms, dataset):
    stock = COCOStuffDataset(data_root=str(forms.root), pipeline=[], **forms.settings['train_ids'])
    assert equal(by_mmseg(stock), by_mmseg(dataset('json')))
    assert stock.metainfo == dataset('json').metainfo


def test_the_converted_files_of_the_10k_set(forms, dataset, tmp_path):
    for name, mask in forms.train.items():
        Image.fromarray(mask + np.uint8(1)).save(tmp_path / f'{name}_labelTrainIds.png')
    prefix = dict(img_path='images/train2017', seg_map_path=str(tmp_path))
    assert equal(by_mmseg(dataset('train_ids', data_prefix=prefix, reduce_zero_label=True)), forms.train)


@pytest.mark.parametrize('form', ['json', 'mat'])
def test_worker_processes(forms, dataset, form):
    built = dataset(form, pipeline=PIPELINE)
    loader = DataLoader(built, batch_size=2, num_workers=2, collate_fn=list)
    found = {stem(item['img_path']): item['gt_seg_map'] for batch in loader for item in batch}
    assert equal(found, forms.train)


def test_a_pickled_dataset_carries_its_index(forms, dataset, tmp_path, python):
    (tmp_path / 'dataset').write_bytes(pickle.dumps(dataset('json', pipeline=PIPELINE)))
    printed = python(f"""
import pickle
from mmdistill.datasets.coco_stuff import forms
forms.JsonIndex = None  # it must not be made again
dataset = pickle.loads(open({str(tmp_path / 'dataset')!r}, 'rb').read())
print('sum', dataset[0]['gt_seg_map'].sum())
""")
    assert printed.split()[-1] == str(forms.train['000000000009'].sum())


@pytest.mark.parametrize('form', FORMS)
def test_a_subset_of_the_images(forms, dataset, tmp_path, form):
    folder = forms.settings[form]['data_prefix']['img_path']
    kept = sorted((forms.root / folder).iterdir())[1:3]
    for path in kept:
        shutil.copy(path, tmp_path)
    prefix = dict(forms.settings[form]['data_prefix'], img_path=str(tmp_path))
    assert sorted(by_mmseg(dataset(form, data_prefix=prefix))) == sorted(stem(str(path)) for path in kept)
    assert len(dataset(form, indices=[3, 0])) == 2


def test_a_list_of_the_10k_set(dataset):
    assert len(dataset('mat', ann_file='imageLists/train.txt')) == 3


def test_some_classes_only(forms, dataset):
    names = COCOStuffDataset.METAINFO['classes']
    chosen = dict(classes=(names[90], names[2], names[0]))
    for form in FORMS:
        masks = by_mmseg(dataset(form, metainfo=chosen))
        for key, mask in forms.train.items():
            expected = np.select([mask == 90, mask == 2, mask == 0], [0, 1, 2], 255)
            assert np.array_equal(masks[key], expected)


@pytest.mark.parametrize('form', FORMS)
@pytest.mark.parametrize('classes', [None, (100, 7, 3)])
def test_a_set_written_in_the_sources_layout(forms, dataset, tmp_path, form, classes):
    """The same settings read it back, for the forms that are files; mmseg's own dataset reads the others."""
    names = COCOStuffDataset.METAINFO['classes']
    metainfo = classes and dict(classes=tuple(names[i] for i in classes))
    source = dataset(form, metainfo=metainfo, ann_file=forms.settings[form].get('ann_file', ''))
    writer = SegWriter(tmp_path, 'source', source)
    mask = np.resize(np.array([*range(len(source.metainfo['classes'])), 255], np.uint8), (20, 20))
    writer.write('7', np.zeros((20, 20, 3), np.uint8), mask)
    if form in ('stuffthingmaps', 'train_ids'):
        again = dataset(form, data_root=str(tmp_path), metainfo=metainfo)
    else:
        year = dict(json='2017', mat='2014')[form]
        prefix = dict(img_path=f'images/train{year}', seg_map_path=f'annotations/train{year}')
        again = COCOStuffDataset(data_root=str(tmp_path), pipeline=[], reduce_zero_label=form == 'mat',
                                 data_prefix=prefix)
    assert np.array_equal(by_mmseg(again)['7.jpg'], mask)


def test_the_fingerprint_changes_with_the_files(forms, tmp_path):
    shutil.copytree(forms.root, tmp_path, dirs_exist_ok=True)

    def fingerprint(form, **changes):
        return DatasetMasks(COCOStuff(form=form, data_root=str(tmp_path), pipeline=[],
                                      **forms.settings[form], **changes)).fingerprint()

    for form, name in (('json', 'annotations/instances_train2017.json'), ('mat', 'mat/COCO_train2014_000000000009.mat'),
                       ('stuffthingmaps', 'annotations/train2017/000000000009.png')):
        before = fingerprint(form)
        assert fingerprint(form) == before
        (tmp_path / name).touch()
        assert fingerprint(form) != before
    assert fingerprint('json', crowds=True) != fingerprint('json')
    (tmp_path / name).unlink()
    with pytest.raises(DistillError, match=f'no mask at {tmp_path}/{name}'):
        fingerprint('stuffthingmaps')


@pytest.mark.parametrize('form, change, say', [
    ('json', dict(data_prefix=dict(seg_map_path='x')), r'd: form=.json. reads ann_file'),
    ('json', dict(ann_file=''), 'd: form=.json. reads ann_file'),
    ('mat', dict(data_prefix=dict(img_path='x')), r'reads files \*.mat: set data_prefix.seg_map_path'),
    ('mat', dict(crowds=True), r'd\.crowds is only for form=.json., and form is .mat.'),
    ('stuffthingmaps', dict(things_file='x'), r'd\.things_file is only for'),
    ('stuffthingmaps', dict(reduce_zero_label=True), r'd\.reduce_zero_label belongs to form=.train_ids.'),
    ('pixels', {}, r"d\.form='pixels' is unknown: set it to 'stuffthingmaps' or"),
    ('json', dict(thing_file='x'), r'd\.thing_file: unknown setting of COCOStuff; did you mean things_file'),
])
def test_settings_that_do_not_fit(forms, form, change, say):
    settings = dict(type='mmdistill.COCOStuff', form=form, **forms.settings.get(form, {}))
    with pytest.raises(DistillError, match=say):
        check_component({**settings, **change}, DATASETS, 'd')


def test_no_image_of_a_json(dataset, tmp_path):
    with pytest.raises(DistillError, match=f'none of the 4 images of .*stuff_train2017.json is in {tmp_path}'):
        dataset('json', data_prefix=dict(img_path=str(tmp_path)))


@pytest.mark.parametrize('form, save, say', [
    ('stuffthingmaps', lambda path: Image.new('L', (3, 2), 11).save(path), 'id 11 in 6 pixels is not an id'),
    ('stuffthingmaps', lambda path: Image.new('L', (3, 2), 190).save(path), 'id 190 in 6 pixels is out of range'),
    ('mat', lambda path: savemat(path, dict(S=np.full((2, 3), 183))), 'id 183 in 6 pixels'),
    ('mat', lambda path: savemat(path, dict(T=np.full((2, 3), 183))), 'it has no matrix S'),
    ('mat', lambda path: path.write_bytes(b'MATLAB'), 'not a readable mask of COCO-Stuff 10k')])
def test_a_mask_with_another_id_names_file_and_id(tmp_path, form, save, say):
    for folder in ('images', 'masks'):
        (tmp_path / folder).mkdir()
    Image.new('RGB', (3, 2)).save(tmp_path / 'images/a.jpg')
    path = tmp_path / f'masks/a{SUFFIXES[form]}'
    save(path)
    built = COCOStuff(form=form, data_root=str(tmp_path), pipeline=[], data_prefix=dict(
        img_path='images', seg_map_path='masks'))
    with pytest.raises(DistillError, match=f'{path}.*{say}'):
        by_mmseg(built)


def test_json_that_is_missing(dataset):
    with pytest.raises(FileNotFoundError, match='nowhere.json'):
        dataset('json', things_file='nowhere.json')
