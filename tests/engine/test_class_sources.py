"""Classification datasets of users: names, nested folders, lists of files."""
import json
import pprint
import re
from types import SimpleNamespace

import pytest
from PIL import Image

from mmdistill.plan import Plan


@pytest.fixture
def pets(root, class_weights, tmp_path):
    """``pets.write(paths)`` makes images, ``pets.list(lines)`` the ann_file, ``pets.config(**dataset)`` a config."""
    data = tmp_path / 'data'
    data.mkdir()

    def write(*paths):
        for number, path in enumerate(paths):
            (data / path).parent.mkdir(parents=True, exist_ok=True)
            Image.new('RGB', (36, 32), (20 * number, 90, 200)).save(data / path)

    def config(**dataset):
        dataset = dict(dict(type='mmpretrain.CustomDataset', data_root=str(data), data_prefix='train'), **dataset)
        keys = dict(
            model=dict(type='Distiller', generator=dict(type='ClassConditionalGenerator', num_steps=2, micro_batch=3,
                                                        weights=str(class_weights))),
            test_dataloader=dict(batch_size=3, num_workers=0, dataset=dataset,
                                 sampler=dict(type='DefaultSampler', shuffle=False)),
            test_cfg=dict(type='DistillLoop'), test_evaluator=[],
            custom_hooks=[dict(type='ClassPlanHook', ipc=2, prompt='a {}'), dict(type='PreviewHook')],
            default_hooks=dict(checkpoint=None))
        path = tmp_path / 'pets.py'
        path.write_text('\n'.join([f'_base_ = {str(root / "configs/_base_/default_runtime.py")!r}'] + [
            f'{key} = {pprint.pformat(value, sort_dicts=False)}' for key, value in keys.items()]))
        return path

    return SimpleNamespace(data=data, write=write, config=config, work=tmp_path / 'work', list=lambda text: (
        data / 'list.txt').write_bytes(text.encode() if isinstance(text, str) else text))


@pytest.fixture
def refused(tools, pets):
    """``refused(say, **dataset)``: a dry run ends with that one line."""

    def check(say, **dataset):
        (pets.work / 'plan.json').unlink(missing_ok=True)
        done = tools('distill', pets.config(**dataset), '--work-dir', pets.work, '--dry-run')
        lines = [line for line in done.stderr.splitlines() if line.startswith('error: ')]
        assert done.returncode == 1 and 'Traceback' not in done.stderr and len(lines) == 1, done.stderr[-3000:]
        assert re.search(say, lines[0]) and len(lines[0]) < 900, lines[0]
        assert not (pets.work / 'plan.json').exists()

    return check


@pytest.fixture
def planned(tools, pets):
    """``planned(**dataset)``: the plan of a dry run."""

    def make(**dataset):
        done = tools('distill', pets.config(**dataset), '--work-dir', pets.work, '--dry-run')
        assert done.returncode == 0, done.stderr[-3000:]
        return Plan.load(pets.work / 'plan.json')

    return make


TREE = ('train/ant/1.png', 'train/bee/1.png', 'train/cat/1.png')


def test_names_in_another_order_than_the_folders(pets, refused, planned):
    pets.write(*TREE)
    say = (r"folder 'ant' has class id 0 .*class 0 is called 'cat'.*\(folders: ant, bee, cat; "
           r'classes: cat, ant, bee\): list the classes in the order of the folders')
    refused(say, classes=['cat', 'ant', 'bee'])
    refused(say, metainfo=dict(classes=('cat', 'ant', 'bee')))
    (pets.data / 'names.txt').write_text('cat\nant\nbee\n')
    refused(say, classes=str(pets.data / 'names.txt'))
    assert planned(classes=['ant', 'bee', 'cat']).requests[2].prompt == 'a cat'  # as it advises
    assert planned(classes=['one', 'two', 'three']).requests[0].id == 'ant/00000'


def test_nested_folders_and_names_that_differ_by_letter_case(tools, pets):
    pets.write(*(f'train/{name}/{time}/1.png' for name in ('Cat', 'cat', 'dog x') for time in ('morning', 'noon')))
    done = tools('distill', pets.config(classes=[7, 8, 9]), '--work-dir', pets.work)
    assert done.returncode == 0, done.stderr[-3000:]
    out = pets.work / 'distilled'
    manifest = json.loads((out / 'meta/distilled.json').read_text())
    assert manifest['classes'] == ['7', '8', '9'] and manifest['images'][1]['prompt'] == 'a 8'
    assert manifest['provenance']['label_texts'] == ['7', '8', '9']
    assert sorted(path.name for path in (out / 'train').iterdir()) == ['0000_Cat', '0001_cat', 'dog x']
    from mmpretrain.datasets import CustomDataset
    from mmdistill.registry import DATASETS
    read = [CustomDataset(str(out), 'train', 'meta/train.txt', metainfo=dict(classes=[7, 8, 9])),
            DATASETS.build(dict(type='mmdistill.DistilledDataset', data_root=str(out), split='train')),
            DATASETS.build(dict(type='mmdistill.DistilledDataset', data_root=str(out), classes=[7, 8, 9]))]
    for dataset in read:
        found = [dataset.get_data_info(i) for i in range(len(dataset))]
        assert [info['gt_label'] for info in found] == [0, 1, 2, 0, 1, 2]
        assert [info['img_path'].split('/')[-2] for info in found] == ['0000_Cat', '0001_cat', 'dog x'] * 2
        assert all(Image.open(info['img_path']).size for info in found)


def test_folders_of_a_list_come_from_the_classes(pets, planned):
    pets.write('train/a/m/1.png', 'train/b/n/1.png', 'train/b/o/2.png')
    pets.list('a/m/1.png 2\nb/n/1.png 0\nb/o/2.png 1\n')
    plan = planned(ann_file='list.txt', classes=['a', 'b', 'c'], metainfo=dict(label_texts=['x', 5, 'z']))
    assert [(one.id, one.prompt) for one in plan.requests[:3]] == [
        ('n/00000', 'a x'), ('o/00000', 'a 5'), ('m/00000', 'a z')]
    plan = planned(ann_file='list.txt', classes=['cat/a', 'cat a', 'CAT_A'])
    assert [one.id for one in plan.requests[:3]] == ['n/00000', 'o/00000', 'm/00000']


@pytest.mark.parametrize('lines, say', [
    (['ant/1.png 0', 'bee/1.png'], r"list\.txt, line 2: 'bee/1.png' cannot be read .*: write \"<file> <class id>\"$"),
    (['ant/1.png 0', 'bee/1.png bee'], r"line 2: 'bee/1.png bee' .*its last word has to be a single class id"),
    (['ant/1.png 0', 'bee/1.png 1.0'], r"line 2: 'bee/1.png 1.0' .*a whole number"),
    (['ant/1.png 0', 'bee/1.png 0,1'], r"line 2: .*a single class id"),
    (['ant/1.png 0', '', 'bee/1.png 1'], r"line 2: '' cannot be read .*: remove the empty line"),
    (['ant/1.png 0', 'bee/1.png 1', 'cat/1.png 2', ''], r"line 4: '' .*remove the empty line"),
    (['ant/1.png,0', 'bee/1.png,1'], r"line 1: 'ant/1.png,0' .*with a space between them"),
    (['ant/1.png 0', 'bee/1.png\t1'], r"line 2: .*with a space between them"),
    (['ant/1.png 0', 'bee/1.png  1', 'cat/1.png 2'],
     r"cannot read '.*bee/1.png ', line 2 of .*: no such image: .*more than one space"),
    (['\ufeffant/1.png 0', 'bee/1.png 1', 'cat/1.png 2'], r"line 1 of .*byte order mark: save it as UTF-8 without"),
    (['ant/1.png 0', 'bee/1.png 1', 'cat/7.png 2', 'cat/8.png 2'],
     r'cannot read .*cat/7.png, line 3 of .*list\.txt: no such image \(2 of 4 are missing\): add the file, remove'
     ' its line, or check data_root'),
    (['ant/1.png 1', 'bee/1.png 2', 'cat/1.png 3'],
     r"cat/1.png has class id 3, line 3 of .*names 3 classes, 0\.\.2: class ids start at 0, .*subtract 1 from each"),
    (['ant/1.png 0', 'bee/1.png -1'], r'bee/1.png has class id -1, line 2 of .*correct the ann_file'),
    (['ant/1.png 0 7', 'bee/1.png 1 7', 'cat/1.png 2 7'], r"class id 7, line 1 of|cannot read .*1.png 0', line 1 of"),
    (['ant/1.png 0 1', 'bee/1.png 1 1', 'cat/1.png 2 1'], r"cannot read '?.*1.png 0'?, line 1 of .*: no such image"),
    (['ant/1.png 0', 'cat/1.png 2'], r'class 1 \(bee\) has no image: add some, or remove it from classes and decrease'),
    (['bee/1.png 0', 'ant/1.png 1', 'cat/1.png 2'], r"list\.txt: folder 'bee' has class id 0 by the list"),
])
def test_a_line_that_is_wrong_is_named(pets, refused, lines, say):
    pets.write(*TREE)
    pets.list('\n'.join(lines) + '\n')
    refused(say, ann_file='list.txt', classes=['ant', 'bee', 'cat'])


def test_a_file_that_is_listed_twice(tools, pets, planned):
    """It counts once, in any spelling of its path; the log mentions it."""
    pets.write(*TREE, 'train/ant/2.png')
    pets.list('ant/1.png 0\nbee/1.png 1\nant/1.png 0\ncat/1.png 2\nant/./1.png 0\nant/2.png 0\n')
    dataset = dict(ann_file='list.txt', classes=['ant', 'bee', 'cat'])
    assert planned(**dataset).source_size == 4
    done = tools('distill', pets.config(**dataset), '--work-dir', pets.work, '--dry-run')
    assert 'CustomDataset: 4 real images of 6, each counted once; repeated entries left out: 2' in done.stdout


@pytest.mark.parametrize('classes', [['ant', 'bee', 'cat'], ['x', 'y', 'z']])
def test_a_file_of_two_classes(pets, refused, classes):
    pets.write(*TREE)
    pets.list('ant/1.png 0\nbee/1.png 1\ncat/1.png 2\nbee/1.png 2\n')
    refused(rf'/bee/1\.png has class id 1 \({classes[1]}\), line 2 of .*list\.txt, and 2 \({classes[2]}\), line 4 of '
            r'.*list\.txt: an image has one class: remove one of the entries$', ann_file='list.txt', classes=classes)


def test_lists_that_are_right(pets, planned):
    pets.write('train/ant eater/1 2.png', *TREE[1:])
    pets.list('ant eater/1 2.png 0\r\nbee/1.png 1\r\n cat/1.png 2')
    assert planned(ann_file='list.txt', classes=['ant eater', 'bee', 'cat']).requests[0].id == 'ant eater/00000'


def test_annotation_files_that_cannot_be_read(pets, refused):
    pets.write(*TREE)
    refused(r'no ann_file at .*list\.txt: set data_root and ann_file', ann_file='list.txt', classes=['a'])
    pets.list('ant/1.png 0\ncaf\xe9.png 1\n'.encode('latin-1'))
    refused(r'list\.txt is not UTF-8 text', ann_file='list.txt', classes=['a', 'b'])
    pets.list('ant/1.png 0\n')
    refused(r'list\.txt: BaseDataset reads \.json, .*use .*mmpretrain\.CustomDataset', type='mmpretrain.BaseDataset',
            ann_file='list.txt', classes=['a'])
    (pets.data / 'list.json').write_text('{"metainfo": {}')
    refused(r'list\.json cannot be read \(Expecting', type='mmpretrain.BaseDataset', ann_file='list.json')


def test_openmmlabs_annotation_files(pets, refused, planned):
    pets.write(*TREE)
    settings = dict(type='mmpretrain.BaseDataset', ann_file='list.json')

    def write(ids, **metainfo):
        entries = [dict(img_path=path[6:], **({} if i is None else dict(gt_label=i))) for path, i in zip(TREE, ids)]
        (pets.data / 'list.json').write_text(json.dumps(dict(metainfo=metainfo, data_list=entries)))

    write([2, 1, 0], classes=['x', 'y', 'z'])
    plan = planned(**settings)
    assert plan.classes == ('x', 'y', 'z') and plan.requests[0].id == 'cat/00000'
    write([1, 0, 2], categories=[dict(id=i, category_name=name) for i, name in enumerate('xyz')])
    assert planned(**settings).requests[0].id == 'bee/00000'
    write([0, None, 2], classes=['x', 'y', 'z'])
    refused(r'bee/1\.png has gt_label=None; give', **settings)
    write([0, [1, 2], 2], classes=['x', 'y', 'z'])
    refused(r'bee/1\.png has gt_label=\[1, 2\]; give', **settings)
    write([0, 1.5, 2], classes=['x', 'y', 'z'])
    refused(r'bee/1\.png has gt_label=1\.5; give', **settings)
    write([0, 1, 2], classes=['x', 'y', 'z'])
    (pets.data / TREE[1]).unlink()
    refused(r'cannot read .*bee/1\.png, line|cannot read .*bee/1\.png: no such image', **settings)


def test_names_that_are_none(pets, refused):
    pets.write(*TREE)
    refused(r'class 1 of metainfo\.classes is None: give it a name', metainfo=dict(classes=['a', None, 'c']))
    pets.list('ant/1.png 0')
    refused(r"metainfo\.classes='no/such\.txt' is not a list of names: give a list, or the path of a file",
            ann_file='list.txt', metainfo=dict(classes='no/such.txt'))


def test_a_name_of_two_classes(tools, pets):
    """As the cranes in ImageNet: the ids tell them apart."""
    pets.write(*TREE)
    done = tools('distill', pets.config(classes=['crane', 'bee', 'crane']), '--work-dir', pets.work, '--dry-run')
    assert done.returncode == 0, done.stderr[-3000:]
    assert "warning: test_dataloader.dataset: classes 0 and 2 are both called 'crane'" in done.stdout
    plan = Plan.load(pets.work / 'plan.json')
    assert [one.id for one in plan.requests[:3]] == ['ant/00000', 'bee/00000', 'cat/00000']


def test_an_empty_folder(pets, refused, planned):
    pets.write(*TREE)
    (pets.data / 'train/.ipynb_checkpoints').mkdir()
    refused(r"class 0 \(\.ipynb_checkpoints\) has no image: add some, or remove the folder '\.ipynb_checkpoints'")
    (pets.data / 'train/.ipynb_checkpoints').rmdir()
    assert planned().requests[0].id == 'ant/00000'


def test_a_work_dir_among_the_images(tools, pets):
    pets.write(*TREE)
    (pets.data / 'link').symlink_to(pets.data / 'train')
    for work in (pets.data / 'train/work', pets.data / 'link/ant', pets.data / 'train'):
        done = tools('distill', pets.config(), '--work-dir', work, '--dry-run')
        assert done.returncode == 1 and re.search(
            r"^error: work_dir='.*' is inside .*data/train, and test_dataloader\.dataset reads all images .*: "
            'choose another --work-dir$', done.stderr, re.M), done.stderr
        assert sorted(path.name for path in (pets.data / 'train').iterdir()) == ['ant', 'bee', 'cat']
    done = tools('distill', pets.config(), '--work-dir', pets.data / 'training', '--dry-run')
    assert done.returncode == 0, done.stderr
