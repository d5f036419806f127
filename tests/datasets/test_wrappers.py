"""Datasets inside OpenMMLab's wrappers: their real samples, how each is read, and restricting them."""
from pathlib import Path

import numpy as np
import pytest
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS as SEG

from mmdistill.datasets import DatasetLabels, DatasetMasks
from mmdistill.datasets.layouts import get_layout
from mmdistill.datasets.origin import other_split, provenance
from mmdistill.datasets.wrappers import describe, is_wrapper, keep_samples, parts_of, real_dataset
from mmdistill.engine.wrapped_data import wrapped_dataset_errors
from mmdistill.errors import DistillError

from .conftest import CLASSES, PALETTE, seg_config, write_pairs

MIX = dict(type='MultiImageMixDataset', pipeline=[])


@pytest.fixture
def seg():
    init_default_scope('mmseg')
    import mmseg.datasets  # noqa: F401
    return SEG.build


@pytest.fixture
def classes():
    init_default_scope('mmpretrain')
    from mmpretrain.registry import DATASETS
    return DATASETS.build


def names(dataset):
    return [Path(dataset.get_data_info(i)['img_path']).stem for i in range(len(dataset))]


def concat(*datasets, **settings):
    return dict(type='ConcatDataset', datasets=list(datasets), **settings)


def wrap(kind, inner, **settings):
    return dict(type=kind, dataset=inner, **settings)


def test_each_real_sample_once_in_the_order_of_the_files(seg, folders):
    a, b = seg_config(folders / 'a'), seg_config(folders / 'b')
    built = seg(wrap('RepeatDataset', concat(wrap('RepeatDataset', a, times=3), dict(b, indices=[2, 0])), times=40000))
    assert len(built) == 40000 * 14
    assert [part.key for part in parts_of(built)] == ['dataset.datasets.0.dataset', 'dataset.datasets.1']
    assert names(real_dataset(built)) == ['a0', 'a1', 'a2', 'a3', 'b2', 'b0']
    assert describe(built) == ('RepeatDataset of ConcatDataset of RepeatDataset of BaseSegDataset and BaseSegDataset: '
                               '6 real images of 4 + 2, each counted once')
    leaf = seg(dict(a, indices=2))
    assert real_dataset(leaf) is leaf and describe(leaf) == '' and not is_wrapper(type(leaf))
    repeated = seg(wrap('RepeatDataset', a, times=2))
    assert real_dataset(repeated) is repeated.dataset
    assert describe(repeated) == 'RepeatDataset of BaseSegDataset: 4 real images, each counted once'


def test_a_mix_and_a_union(seg, folders):
    a, b = seg_config(folders / 'a'), seg_config(folders / 'b', indices=1)
    built = seg(dict(MIX, dataset=dict(type='mmdistill.UnionDataset', datasets=[a, b])))
    assert is_wrapper(type(built)) and names(real_dataset(built)) == ['a0', 'a1', 'a2', 'a3', 'b0']


def test_files_that_two_datasets_list(seg, folders):
    """The same pair counts once; the same image with another mask is another sample."""
    write_pairs(folders / 'a', dict(a1=2, a3=1), masks='more')
    (folders / 'a' / 'more.txt').write_text('a1\na3\n')
    a = seg_config(folders / 'a')
    again = dict(a, indices=[3, 0])
    other = dict(a, ann_file='more.txt', data_prefix=dict(img_path='images', seg_map_path='more'))
    built = seg(concat(a, again, other))
    assert names(real_dataset(built)) == ['a0', 'a1', 'a2', 'a3', 'a1', 'a3']
    assert describe(built) == ('ConcatDataset of BaseSegDataset: 6 real images of 4 + 2 + 2, each counted once; 2 are '
                               'listed by two of its datasets')
    assert len(real_dataset(built, distinct=False)) == 8
    assert [part.dataset for part in parts_of(real_dataset(built))] == built.datasets
    masks = DatasetMasks(built)
    assert [int(masks.checked_mask(i)[1, 1]) for i in range(6)] == [0, 1, 2, 0, 2, 1]


def test_each_dataset_keeps_its_settings_of_reading(seg, folders):
    """``reduce_zero_label``, a label map, suffixes."""
    write_pairs(folders / 'c', dict(c0=3), size=6)
    write_pairs(folders / 'd', dict(x=7), images='images', masks='other')
    (folders / 'd' / 'other' / 'x.png').rename(folders / 'd' / 'other' / 'x_ids.png')

    @SEG.register_module(name='EightClasses', force=True)
    class EightClasses(SEG.get('BaseSegDataset')):
        METAINFO = dict(classes=tuple('abcdefg') + ('sky', ), palette=[[i, i, i] for i in range(8)])

    meta = dict(classes=('a', 'b', 'sky'), palette=PALETTE)
    mapped = dict(seg_config(folders / 'd'), type='EightClasses', metainfo=meta, seg_map_suffix='_ids.png',
                  data_prefix=dict(img_path='images', seg_map_path='other'))
    built = seg(concat(seg_config(folders / 'a', metainfo=meta),
                       seg_config(folders / 'c', metainfo=meta, reduce_zero_label=True), mapped,
                       ignore_keys=['reduce_zero_label', 'label_map', 'palette']))
    masks = DatasetMasks(built)
    assert masks.classes == ('a', 'b', 'sky')
    assert [int(masks.mask(path)[1, 1]) for path in masks.masks] == [0, 1, 2, 0, 2, 2]
    counts = masks.histograms(workers=0)
    assert counts[4].tolist() == [0, 0, 30] and counts[5].tolist() == [0, 0, 56]
    assert masks.pair(5, (4, 4))[1][1:].tolist() == [[2] * 4] * 3
    with pytest.raises(DistillError, match="layout 'source': the source's datasets.0 has reduce_zero_label=False and "
                                           'its datasets.1 True, .*ade20k, .*DistilledDataset'):
        get_layout('source', masks.dataset)


def test_the_fingerprint_follows_every_dataset(seg, folders):
    a, b = seg_config(folders / 'a'), seg_config(folders / 'b')

    def fingerprint(*datasets, **settings):
        return DatasetMasks(seg(concat(*datasets, **settings))).fingerprint()

    first = fingerprint(a, b)
    assert fingerprint(a, b) == first
    found = {first, fingerprint(b, a), fingerprint(a, dict(b, indices=2)), fingerprint(
        a, dict(b, reduce_zero_label=True), ignore_keys='reduce_zero_label')}
    assert len(found) == 4
    write_pairs(folders / 'b', dict(b2=0))
    assert fingerprint(a, b) != first
    leaf = DatasetMasks(seg(a)).fingerprint()
    assert DatasetMasks(seg(wrap('RepeatDataset', a, times=9))).fingerprint() == leaf


def test_other_classes(seg, folders):
    a, b = seg_config(folders / 'a'), seg_config(folders / 'b', metainfo=dict(classes=('road', 'sky', 'car'),
                                                                              palette=PALETTE))
    with pytest.raises(DistillError, match=r"datasets\.1 \(BaseSegDataset\) has other classes than datasets\.0 "
                                           r"\(BaseSegDataset\): id 1 is 'sky' instead of 'car'; give both the same"):
        DatasetMasks(seg(concat(a, b, ignore_keys=['classes'])))
    shorter = dict(b, metainfo=dict(classes=CLASSES[:2], palette=PALETTE[:2]))
    with pytest.raises(DistillError, match='other classes .*: 2 instead of 3'):
        DatasetMasks(seg(concat(a, shorter, ignore_keys=['classes', 'palette'])))
    darker = dict(b, metainfo=dict(classes=CLASSES, palette=PALETTE[::-1]))
    assert len(DatasetMasks(seg(concat(a, darker, ignore_keys='palette')))) == 7


def test_class_names_that_are_numbers(seg, folders):
    """1 and '1' are one name."""
    a, b = (seg_config(folders / name, metainfo=dict(classes=names, palette=PALETTE))
            for name, names in (('a', (1, 2, 3)), ('b', ('1', '2', '3'))))
    assert len(DatasetMasks(seg(concat(a, b, ignore_keys=['classes'])))) == 7
    assert len(seg(dict(type='mmdistill.UnionDataset', datasets=[a, b]))) == 7
    where = 'train_dataloader.dataset'
    scoped = concat(*(dict(one, _scope_='mmseg') for one in (a, b)))
    with pytest.raises(DistillError, match=rf'{where}\.datasets\.1 and {where}\.datasets\.0 have the same classes, but '
                                           'ConcatDataset distinguishes numbers from strings'):
        with wrapped_dataset_errors(scoped, where):
            seg(concat(a, b))


def test_a_name_of_two_classes(seg, folders):
    twice = seg_config(folders / 'a', metainfo=dict(classes=('road', 'sky', 'road'), palette=PALETTE))
    with pytest.raises(DistillError, match="^BaseSegDataset: classes 0 and 2 are both called 'road': give each its own "
                                           r'name in metainfo\.classes; to make them one class, save the masks with'):
        DatasetMasks(seg(twice))


def test_classes_behind_wrappers(classes, pictures):
    """Balance and folds: mmpretrain's."""
    leaf = dict(type='CustomDataset', data_root=str(pictures), pipeline=[])
    balanced = classes(wrap('ClassBalancedDataset', leaf, oversample_thr=0.9))
    assert len(balanced) > 8 and DatasetLabels(balanced).counts.tolist() == [5, 3]
    fold = wrap('KFoldDataset', leaf, fold=1, num_splits=4, seed=3)
    built = classes(fold)
    assert len(built) == 6 and names(real_dataset(built)) == names(built)
    (part, ) = parts_of(built)
    whole = classes(leaf)
    assert [whole.get_data_info(i)['img_path'] for i in part.indices] == [
        built.get_data_info(i)['img_path'] for i in range(6)]
    two = DatasetLabels(classes(concat(wrap('RepeatDataset', fold, times=2), dict(leaf, indices=[0, 7]))))
    assert len(two) in (6, 7, 8) and two.counts.sum() == len(two)
    assert two.folders == ('ant', 'bee') and len(set(two.class_fingerprints)) == 2
    assert two.image(0, (8, 8), crop=True).shape == (8, 8, 3)


@pytest.mark.parametrize('chosen', [[1, 2, 4, 6], [0, 3], [4, 5]])
@pytest.mark.parametrize('kind', ['concat', 'repeat', 'mix', 'nested'])
def test_kept_samples_are_those_of_indices_in_the_config(seg, folders, kind, chosen):
    def repeat(inner, times=2):
        return wrap('RepeatDataset', inner, times=times)

    def build(first=None, second=None):
        parts = [seg_config(folders / name, **({} if indices is None else dict(indices=indices)))
                 for name, indices in (('a', first), ('b', second)) if indices != []]
        return seg(dict(
            concat=lambda: concat(*parts), repeat=lambda: repeat(concat(*parts), times=3),
            mix=lambda: dict(MIX, dataset=concat(*parts)), nested=lambda: repeat(concat(*map(repeat, parts))))[kind]())

    built = build()
    keep_samples(built, chosen)
    expected = build([i for i in chosen if i < 4], [i - 4 for i in chosen if i >= 4])
    assert len(built) == len(expected) and names(built) == names(expected)
    assert [Path(built[i]['img_path']).stem for i in range(len(built))] == names(expected)


def test_balance_is_of_the_kept_samples(classes, pictures):
    leaf = dict(type='CustomDataset', data_root=str(pictures), pipeline=[])
    built = classes(wrap('ClassBalancedDataset', leaf, oversample_thr=0.5))
    keep_samples(built, [0, 1, 2, 3, 4, 5])
    expected = classes(wrap('ClassBalancedDataset', dict(leaf, indices=6), oversample_thr=0.5))
    assert built.repeat_indices == expected.repeat_indices == [0, 1, 2, 3, 4, 5, 5]
    fold = classes(wrap('KFoldDataset', leaf, fold=0, num_splits=2))
    kept = [names(fold)[i] for i in (1, 3)]
    keep_samples(fold, [1, 3])
    assert names(fold) == kept and len(fold) == 2


def test_the_tree_of_several_datasets_is_the_first_ones(seg, folders):
    write_pairs(folders / 'a', dict(a1=2), masks='more')
    for name in ('train', 'more'):
        (folders / 'a' / f'{name}.txt').write_text('a1\n')
    a = seg_config(folders / 'a', ann_file='train.txt')
    more = dict(a, ann_file='more.txt', data_prefix=dict(img_path='images', seg_map_path='more'))
    layout = get_layout('source', DatasetMasks(seg(concat(a, more))).dataset)
    assert (layout.image_dir, layout.mask_dir, layout.ann_file) == ('images', 'masks', 'train.txt')


def test_provenance(seg, folders):
    a = seg_config(folders / 'a')
    b = seg_config(folders / 'b', indices=2)
    found = provenance(real_dataset(seg(concat(a, b))))
    prefix = dict(img_path='images', seg_map_path='masks')
    assert found == dict(
        dataset='BaseSegDataset', data_root=[str(folders / 'a'), str(folders / 'b')], parts=[
            dict(dataset='BaseSegDataset', data_root=str(folders / name), data_prefix=prefix, images=count)
            for name, count in (('a', 4), ('b', 2))])
    assert provenance(real_dataset(seg(wrap('RepeatDataset', a, times=2)))) == dict(
        dataset='BaseSegDataset', data_root=str(folders / 'a'), data_prefix=prefix)


@pytest.mark.parametrize('prefix, ann_file, test_mode, told', [
    ('images/training', '', False, ''), ('img_dir/train', 'trainval.txt', False, ''),
    ('images', 'splits/val.txt', False, "ann_file='splits/val.txt'"),
    ('images/validation', '', False, "img_path='images/validation'"), ('val2017', '', False, "img_path='val2017'"),
    ('leftImg8bit/test', '', False, "img_path='leftImg8bit/test'"), ('images', 'train_val.txt', False, ''),
    ('images/training', '', True, 'test_mode=True'), ('valley', '', False, '')])
def test_other_splits(seg, tmp_path, prefix, ann_file, test_mode, told):
    built = seg(dict(seg_config(tmp_path / 'data'), data_prefix=dict(img_path=prefix, seg_map_path='masks'),
                     ann_file=ann_file, test_mode=test_mode, lazy_init=True))
    assert other_split(built) == told


def test_arrays_are_never_taken_for_the_same(classes):
    from mmdistill.datasets.wrappers import _files
    assert _files(dict(img=np.zeros(3))) is None
