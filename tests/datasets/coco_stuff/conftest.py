"""The same few images in each official format of COCO-Stuff, with the folders of the official archives."""
import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco
from scipy.io import savemat

UNUSED = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83, 91}
USED = [i for i in range(1, 183) if i not in UNUSED]
SIZES = {9: (48, 64), 25: (40, 40), 30: (64, 48), 34: (33, 51)}


def rectangle(x0, y0, x1, y1):
    """A polygon of COCO that covers the pixels x0..x1-1, y0..y1-1."""
    return [x0, y0, x1, y0, x1, y1, x0, y1]


def compressed(mask):
    runs = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    return dict(size=list(runs['size']), counts=runs['counts'].decode())


def uncompressed(mask):
    """COCO's run lengths as a list, column by column, zeros first; written out by hand."""
    counts, value = [0], 0
    for pixel in mask.ravel(order='F').astype(int).tolist():
        if pixel != value:
            counts.append(0)
            value = pixel
        counts[-1] += 1
    return dict(size=list(mask.shape), counts=counts)


def things_of(image_id, height, width, rng):
    """Annotations of things in the order of the file, with the slices that they cover; crowds cover none."""
    made = []
    for number in range(3):
        x, y = int(rng.integers(0, width - 16)), int(rng.integers(0, height - 16))
        place = np.zeros((height, width), bool)
        place[y:y + 9, x:x + 12] = True
        shape = [rectangle(x, y, x + 12, y + 9), [1.0, 1.0, 5.0, 5.0]] if number != 1 else compressed(place)
        made.append((dict(image_id=image_id, category_id=[1, 3, 90][number] if image_id % 2 else 13 + number,
                          segmentation=shape, iscrowd=0, area=108.0, bbox=[x, y, 12, 9]), place))
    crowd = np.zeros((height, width), bool)
    crowd[-8:, -10:] = True
    made.insert(1, (dict(image_id=image_id, category_id=1, segmentation=uncompressed(crowd), iscrowd=1, area=80,
                         bbox=[0, 0, 10, 8]), crowd))
    return made


@pytest.fixture(scope='session')
def forms(tmp_path_factory):
    """``root`` of all files, ``official``: official ids (0 = none) of each stem, ``train``: train ids of each stem."""
    root = tmp_path_factory.mktemp('coco')
    rng = np.random.default_rng(0)
    for folder in ('images/train2017', 'annotations/train2017', 'train_ids/train2017', 'images10k', 'mat',
                   'imageLists'):
        (root / folder).mkdir(parents=True)
    stuff, things, official = [], [], {}
    for image_id, (height, width) in SIZES.items():
        ids = np.kron(rng.choice([0, *range(92, 183)], (9, 11)), np.ones((8, 8), int))[:height, :width]
        made = things_of(image_id, height, width, rng)
        other = np.any([place for _, place in made], 0)  # also under crowds: the thing file knows what is there
        for category in np.unique(ids[~other]):
            if category:
                stuff.append(dict(image_id=image_id, category_id=int(category), iscrowd=0, area=1.0, bbox=[0, 0, 1, 1],
                                  segmentation=compressed((ids == category) & ~other)))
        stuff.append(dict(image_id=image_id, category_id=183, iscrowd=0, area=1.0, bbox=[0, 0, 1, 1],
                          segmentation=compressed(other)))
        merged = np.where(other, 0, ids)
        for annotation, place in made:
            things.append(annotation)
            if not annotation['iscrowd']:
                merged[place] = annotation['category_id']
        official[f'{image_id:012d}'] = merged
    order = rng.permutation(len(things) // 4)  # the official file is not sorted by image
    things = [annotation for i in order for annotation in things[4 * i:4 * i + 4]]
    images = [dict(license=1, file_name=f'{i:012d}.jpg', coco_url='http://…', height=h, width=w, id=i)
              for i, (h, w) in SIZES.items()]
    for name, annotations, categories in (('stuff', stuff, range(92, 184)),
                                          ('instances', things, [i for i in USED if i < 91])):
        (root / f'annotations/{name}_train2017.json').write_text(json.dumps(dict(
            info=dict(description='COCO'), licenses=[dict(id=1, name='CC')], images=images,
            annotations=[dict(annotation, id=10 * n + 5) for n, annotation in enumerate(annotations)],
            categories=[dict(supercategory='x', id=i, name=str(i)) for i in categories])))
    train = {}
    for n, (stem, ids) in enumerate(official.items()):
        train[stem] = np.array([[USED.index(i) if i else 255 for i in row] for row in ids.tolist()], np.uint8)
        image = Image.fromarray(rng.integers(0, 256, (*ids.shape, 3), dtype=np.uint8))
        image.save(root / f'images/train2017/{stem}.jpg')
        image.save(root / f'images10k/COCO_train2014_{stem}.jpg')
        raw = Image.fromarray(np.where(ids, ids - 1, 255).astype(np.uint8))
        if n == 1:  # an indexed PNG
            raw.putpalette(rng.integers(0, 256, 768, dtype=np.uint8).tobytes())
            assert raw.mode == 'P'
        raw.save(root / f'annotations/train2017/{stem}.png')
        Image.fromarray(train[stem]).save(root / f'train_ids/train2017/{stem}_labelTrainIds.png')
        savemat(root / f'mat/COCO_train2014_{stem}.mat', dict(
            S=ids.astype(np.uint16), names=np.array(['unlabeled', 'person'], object), regionMapStuff=np.ones((3, 3)),
            captions=np.array(['a photo'], object)), do_compression=True)
    names = [f'COCO_train2014_{stem}' for stem in official]
    (root / 'imageLists/train.txt').write_text('\n'.join(names[:3]) + '\n')
    (root / 'imageLists/all.txt').write_text('\n'.join(names) + '\n')
    return SimpleNamespace(root=root, official=official, train=train, settings=dict(
        stuffthingmaps=dict(data_prefix=dict(img_path='images/train2017', seg_map_path='annotations/train2017')),
        train_ids=dict(data_prefix=dict(img_path='images/train2017', seg_map_path='train_ids/train2017')),
        json=dict(data_prefix=dict(img_path='images/train2017'), ann_file='annotations/stuff_train2017.json',
                  things_file='annotations/instances_train2017.json'),
        mat=dict(data_prefix=dict(img_path='images10k', seg_map_path='mat'), ann_file='imageLists/all.txt')))


@pytest.fixture
def dataset(forms):
    """``dataset(form, **changes)``: the dataset of a form."""
    from mmdistill.datasets import COCOStuff

    def build(form, **changes):
        settings = dict(form=form, data_root=str(forms.root), pipeline=[], **forms.settings[form])
        return COCOStuff(**{**settings, **changes})

    return build
