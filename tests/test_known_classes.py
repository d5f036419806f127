"""The dataset's classes against those that weights were trained on."""
import pytest

from mmdistill.errors import DistillError
from mmdistill.imagenet import imagenet_wnids
from mmdistill.known_classes import KnownClasses

HINT = 'do this'


def known(*names):
    return KnownClasses.of(len(names), names)


def refused(say, weights, classes):
    with pytest.raises(DistillError) as error:
        weights.check(classes, 'x: the weights', HINT)
    assert str(error.value) == f'x: the weights have {say}: do this'


def test_number_name_and_order():
    known('cat', 'dog').check(['cat', 'dog'], '', '')
    refused('2 classes, the dataset 3', known('cat', 'dog'), ['cat', 'dog', 'eel'])
    refused('3 classes, the dataset 2', KnownClasses(3), ['cat', 'dog'])
    refused("the dataset's classes in another order: class 1 is 'dog' there, 'eel' in the dataset",
            known('cat', 'dog', 'eel'), ['cat', 'eel', 'dog'])
    refused("other classes than the dataset: class 1 is 'dog' there, 'fox' in the dataset",
            known('cat', 'dog'), ['cat', 'fox'])


def test_classes_that_count_as_the_same():
    """Case, blanks, punctuation and alternative names in ImageNet's lists do not make classes different."""
    known('Traffic_Light', 'tench, Tinca tinca', '1', '猫').check(['traffic light', 'Tinca tinca', 1, '猫'], '', '')
    refused("other classes than the dataset: class 0 is '+' there, '-' in the dataset", known('+'), ['-'])
    wnids = imagenet_wnids()[:2]
    known('tench', 'goldfish').check(wnids, '', '')  # WordNet ids and words cannot be compared
    refused(f"the dataset's classes in another order: class 0 is '{wnids[0]}' there, '{wnids[1]}' in the dataset",
            known(*wnids), wnids[::-1])


@pytest.mark.parametrize('names', [None, 'cat', ['cat'], {'0': 'cat'}, ['LABEL_0', 'LABEL_1'], ['cat', None]])
def test_names_that_say_nothing(names):
    assert KnownClasses.of(2, names) == KnownClasses(2)
    KnownClasses.of(2, names).check(['a', 'b'], '', '')


def test_labels_of_a_pipeline():
    assert KnownClasses.of(2, {'1': 'dog', '0': 'cat'}).names == ('cat', 'dog')


def test_explicit_ids():
    weights = known('cat', 'dog', 'eel')
    assert weights.ids_of(['eel', 'cat'], [2, 0], 'g') == [2, 0]
    assert weights.ids_of(['Katze', 'Aal'], [0, 2], 'g') == [0, 2]  # names that the weights do not have
    assert weights.ids_of(None, None, 'g') == range(3)
    with pytest.raises(DistillError, match=r"^g.class_ids gives 'eel' the id 1 of the weights, which is 'dog'; the "
                                           "weights' id of 'eel' is 2: correct it$"):
        weights.ids_of(['cat', 'eel'], [0, 1], 'g')
    with pytest.raises(DistillError, match=r'^g.class_ids has 3, but the weights have classes 0\.\.2$'):
        weights.ids_of(['eel'], [3], 'g')
