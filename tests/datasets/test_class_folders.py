"""Folders against class names, and the folders of a distilled set."""
import re

import pytest

from mmdistill.datasets.class_folders import check_class_order, folder_names
from mmdistill.errors import DistillError


def numbers(*folders):
    return dict(enumerate(sorted(folders)))


def listed(*folders):
    """Folders whose images have the ids 0, 1, ...; several in a tuple."""
    return {(folder, label) for label, several in enumerate(folders)
            for folder in ([several] if isinstance(several, str) else several)}


@pytest.mark.parametrize('folders, classes', [
    (('ant', 'bee', 'cat'), ('cat', 'ant', 'bee')),
    (('Zebra', 'ant'), ('ant', 'Zebra')),  # capitals sort first
    (('tench fish', 'ant'), ('Tench_Fish', 'Ant')),  # letter case and blanks do not matter
    (('0', '1', '10', '2'), ('0', '1', '2', '10')),  # as texts, not as numbers
    (('ant', 'bee', 'n01440764'), ('bee', 'wasp', 'tench')),  # some of the names
    (('Maße', 'Aal'), ('MASSE', 'aal')),
])
def test_names_in_another_order_than_the_folders(folders, classes):
    with pytest.raises(DistillError, match='list the classes in the order of the folders') as error:
        check_class_order(set(), numbers(*folders), classes, 'CustomDataset')
    line = str(error.value)
    assert f'folders: {", ".join(sorted(folders))}' in line and f'classes: {", ".join(classes)}' in line


def test_the_message_names_both_classes_and_is_short():
    names = [f'class {i:03d}' for i in range(200)]
    with pytest.raises(DistillError) as error:
        check_class_order(set(), numbers(*names), [*names[:150], names[151], names[150], *names[152:]], 'CustomDataset')
    line = str(error.value)
    assert "folder 'class 150' has class id 150" in line and "class 150 is called 'class 151'" in line
    assert "'class 150' is class 151" in line and len(line) < 400


@pytest.mark.parametrize('folders, classes', [
    (('ant', 'bee'), ('ant', 'bee')),
    (('Ant_Eater', 'bee'), ('ant eater', 'BEE')),
    (('n01440764', 'n02102040'), ('tench', 'English springer')),
    (('001.Black_footed_Albatross', '002.Laysan_Albatross'), ('Black_footed_Albatross', 'Laysan_Albatross')),
    (('n02012849', 'n03126707'), ('crane', 'crane')),  # ImageNet has two of one name
    (('!', '?'), ('?', '!')),  # names of no letters say nothing
    (('犬', '猫'), ('犬', '猫')),
])
def test_folders_that_fit_or_say_nothing(folders, classes):
    check_class_order(set(), numbers(*folders), classes, 'CustomDataset')


def test_a_list_that_gives_folders_the_ids_of_others():
    with pytest.raises(DistillError, match=r"meta/train\.txt: folder 'bee' has class id 0 by the list, but class 0 is "
                                           r"called 'ant', and 'bee' is class 1 .*correct the ids in the list"):
        check_class_order(listed('r/bee', 'r/ant'), None, ('ant', 'bee'), 'meta/train.txt')
    with pytest.raises(DistillError, match="folder 'bee'"):  # at any depth
        check_class_order(listed(('r/x/bee/1', 'r/x/bee/2'), ('r/x/ant/1', 'r/x/ant/2')), None, ('ant', 'bee'), 'a')
    check_class_order(listed('train/bus', 'train/tram'), None, ('bus', 'tram'), 'a')
    check_class_order(listed('r/bus/bus', 'r/bus/train', ), None, ('bus', 'train'), 'a')  # a folder of several classes
    check_class_order(listed(('r/ant', 'r/bee'), 'r/ant'), None, ('bee', 'ant'), 'a')


@pytest.mark.parametrize('folders, classes, expected', [
    (('b dog', 'c', 'a'), ('a', 'b dog', 'c'), ('a', 'b dog', 'c')),
    (('n01440764', 'n02102040'), ('tench', 'springer'), ('n01440764', 'n02102040')),
    (('Cat', 'cat', 'dog'), ('Cat', 'cat', 'dog'), ('0000_Cat', '0001_cat', 'dog')),
    (('caf\u00e9', 'cafe\u0301'), ('a', 'b'), ('0000_cafe\u0301', '0001_caf\u00e9')),
    (('.cache', 'dog'), ('a', 'b'), ('a', 'dog')),
    ((' x', 'a\nb', 'c\\d', 'e#%'), ('one', 'two', 'three', 'four'), ('one', 'two', 'three', 'e#%')),
    (('a\nb', 'a_b'), ('a\nb', 'a_b'), ('0000_a_b', '0001_a_b')),
    (('a\udce9', 'b'), ('a\udce9', 'b'), ('a', 'b')),
])
def test_folders_that_mmpretrain_numbers(folders, classes, expected):
    assert folder_names(set(), numbers(*folders), classes) == expected


@pytest.mark.parametrize('folders, classes, expected', [
    (('r/n01440764', 'r/n02102040'), ('tench', 'springer'), ('n01440764', 'n02102040')),
    (('r/cat/morning', 'r/dog/evening'), ('cat', 'dog'), ('cat', 'dog')),
    (('r/a/airfield', 'r/a/alley', 'r/b/bar'), ('/a/airfield', '/a/alley', '/b/bar'), ('airfield', 'alley', 'bar')),
    ((('r/cat/a', 'r/cat/b'), 'r/dog/a'), ('cat', 'dog'), ('cat', 'dog')),
    (('flat', 'flat', 'flat'), ('tench, Tinca', 'a/b', 'c'), ('tench_Tinca', 'a_b', 'c')),
    (('flat', 'flat', 'flat'), ('a b', 'a/b', '..'), ('0000_a_b', '0001_a_b', '0002')),
    (('flat', 'flat', 'flat'), ('a b', 'a/b', '0000_a_b'), ('0000_a_b', '0001_a_b', '0002_0000_a_b')),
    (('flat', 'flat'), ('Cat', 'cat'), ('0000_Cat', '0001_cat')),
    (('flat', 'flat'), ('', '.'), ('0000', '0001')),
    (('r/cat', ), ('tench', ), ('cat', )),
])
def test_folders_of_a_list(folders, classes, expected):
    assert folder_names(listed(*folders), None, classes) == expected


def test_long_names_fit_a_file_system_and_stay_different():
    first, second = folder_names(listed('flat', 'flat'), None, ('é' * 300 + 'a', 'é' * 300 + 'b'))
    assert first != second and all(len(name.encode()) <= 200 for name in (first, second))
    assert re.fullmatch('0001_é+', second)
