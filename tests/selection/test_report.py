import numpy as np
import pytest
from PIL import Image

from mmdistill.errors import DistillError
from mmdistill.selection import format_table, plot_selection, selection_table

COUNTS = np.array([[6, 2, 0], [8, 0, 0], [0, 0, 0], [4, 0, 0], [0, 4, 4]])
NAMES = ('road', 'car', 'traffic light')


def test_rows():
    rows = selection_table(COUNTS, [4, 0], NAMES)
    assert [row['class'] for row in rows] == list(NAMES)
    assert [row['full_images'] for row in rows] == [3, 2, 1]
    assert [row['full_image_share'] for row in rows] == pytest.approx([3 / 5, 2 / 5, 1 / 5])
    assert [row['selected_images'] for row in rows] == [1, 2, 1]
    assert [row['full_pixel_share'] for row in rows] == pytest.approx([18 / 28, 6 / 28, 4 / 28])
    assert [row['selected_pixel_share'] for row in rows] == pytest.approx([6 / 16, 6 / 16, 4 / 16])


def test_random_is_the_mean_of_selections_of_the_same_size():
    rows = selection_table(COUNTS, [4, 0], NAMES, repeats=3000)
    # 2 of the 4 usable masks: each class is expected in half of its masks.
    assert [row['random_images'] for row in rows] == pytest.approx([1.5, 1.0, 0.5], abs=0.06)
    assert sum(row['random_pixel_share'] for row in rows) == pytest.approx(1)
    again, other = selection_table(COUNTS, [4, 0], NAMES), selection_table(COUNTS, [4, 0], NAMES, random_state=1)
    assert again == selection_table(COUNTS, [4, 0], NAMES) and again != other


def test_a_random_selection_of_everything_is_the_full_set():
    for row in selection_table(COUNTS, [0, 1, 3, 4], NAMES, repeats=2):
        assert row['random_images'] == row['full_images'] == row['selected_images']
        assert row['random_pixel_share'] == pytest.approx(row['full_pixel_share'])


def test_table_is_aligned_and_starts_with_the_rarest():
    lines = format_table(selection_table(COUNTS, [4, 0], NAMES)).split('\n')
    assert len({len(line) for line in lines}) == 1
    assert lines[0].split()[0] == 'class'
    assert [line[:13].strip() for line in lines[1:]] == ['traffic light', 'car', 'road']
    cells = lines[1][13:].split()
    assert cells[0] == '1' and cells[2] == '1' and cells[3] == '14.286' and cells[5] == '25.000'


@pytest.mark.parametrize('histograms, selected, names', [
    (COUNTS, [0], NAMES[:2]), (COUNTS, [], NAMES), (COUNTS, [5], NAMES), (COUNTS, [-1], NAMES),
    (COUNTS, [0, 1, 2, 3, 4], NAMES), (-COUNTS, [0], NAMES)])
def test_bad_input(histograms, selected, names):
    with pytest.raises(DistillError):
        selection_table(histograms, selected, names)


@pytest.mark.parametrize('classes', [1, 11, 60])
def test_picture(tmp_path, classes):
    rng = np.random.default_rng(0)
    counts = (rng.random((50, classes)) < 0.4) * rng.integers(1, 100, (50, classes))
    counts[:, 0] += 1
    counts[:, classes // 2 + 1:classes // 2 + 3] = 0  # classes that no mask shows
    path = tmp_path / 'new' / 'selection.png'
    plot_selection(selection_table(counts, range(3), [f'class number {c}' for c in range(classes)]), path)
    picture = np.asarray(Image.open(path).convert('RGB')).reshape(-1, 3)
    assert Image.open(path).format == 'PNG'
    # All three kinds of bars are there.
    for colour in ((0x9a, 0xa0, 0xa6), (0xe8, 0xa3, 0x3d), (0x23, 0x68, 0xc4)):
        assert (picture == colour).all(axis=1).sum() > 100


def test_picture_in_a_bad_place(tmp_path):
    (tmp_path / 'selection.png').mkdir()
    with pytest.raises(DistillError, match='selection.png'):
        plot_selection(selection_table(COUNTS, [0], NAMES), tmp_path / 'selection.png')
    assert [path.name for path in tmp_path.iterdir()] == ['selection.png']
