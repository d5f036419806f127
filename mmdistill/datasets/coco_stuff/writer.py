"""Writes masks as COCO JSON."""
import json
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence, Union

import numpy as np
from PIL import Image

from mmdistill.datasets.layouts import SegLayout
from mmdistill.datasets.writers import SegWriter
from mmdistill.errors import DistillError
from mmdistill.files import write_atomic
from mmdistill.masks import IGNORE
from mmdistill.plan import Plan
from mmdistill.registry import WRITERS
from .ids import FIRST_STUFF, OFFICIAL


class COCOJson:
    """Collects masks in the JSON format of ``pycocotools.coco.COCO``: one annotation per class and image.

    Segmentations are compressed run lengths, so masks are decoded exactly. Pixels with id 255 are in no annotation.

    Args:
        classes: Names of the classes. Classes of COCO-Stuff get their official ids, 1..182; others 1..K in order.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        from mmseg.datasets import COCOStuffDataset
        official = dict(zip(COCOStuffDataset.METAINFO['classes'], OFFICIAL))
        known = set(classes) <= official.keys()
        self.ids = [official[name] for name in classes] if known else list(range(1, len(classes) + 1))
        self.categories = [dict(id=i, name=name.strip(), supercategory='', **(
            dict(isthing=int(i < FIRST_STUFF)) if known else {})) for i, name in zip(self.ids, classes)]
        self.images: List[Dict[str, Any]] = []
        self.annotations: List[Dict[str, Any]] = []

    def add(self, file_name: str, mask: np.ndarray) -> None:
        """Add an image with its mask: train ids uint8 (H, W), 255 for ignored pixels."""
        from pycocotools import mask as coco
        self.images.append(dict(id=len(self.images) + 1, file_name=file_name, height=mask.shape[0],
                                width=mask.shape[1]))
        for train_id in np.unique(mask[mask != IGNORE]).tolist():
            if train_id >= len(self.ids):
                raise DistillError(f'{file_name}: class id {train_id} is none of the {len(self.ids)} classes')
            runs = coco.encode(np.asfortranarray(mask == train_id, np.uint8))
            self.annotations.append(dict(
                id=len(self.annotations) + 1, image_id=len(self.images), category_id=self.ids[train_id],
                segmentation=dict(size=list(runs['size']), counts=runs['counts'].decode('ascii')),
                area=int(coco.area(runs)), bbox=coco.toBbox(runs).tolist(), iscrowd=0))

    def write(self, path: Union[str, Path]) -> None:
        """Write the file, atomically."""
        write_atomic(path, json.dumps(dict(
            info=dict(description='written by mmdistill'), licenses=[], images=self.images,
            annotations=self.annotations, categories=self.categories)).encode())


@WRITERS.register_module()
class COCOJsonWriter(SegWriter):
    """Writes image and mask pairs like :class:`SegWriter`, and all masks in one COCO JSON file.

    The file is written from the mask files when the set is finished. For COCO-Stuff's classes, it contains stuff and
    things; ``dict(type='mmdistill.COCOStuff', form='json', ann_file=...)`` and pycocotools read it.

    Args:
        root, layout, dataset: See :class:`SegWriter`.
        json_file: The file, relative to the root.

    Examples:
        >>> test_cfg = dict(writer=dict(type='COCOJsonWriter', layout='coco_stuff164k'))
    """

    def __init__(self, root: Union[str, Path], layout: Union[str, SegLayout] = 'source', dataset: Any = None,
                 json_file: str = 'annotations/stuff_things.json') -> None:
        super().__init__(root, layout, dataset)
        self.json_file = self.root / json_file

    @classmethod
    def check(cls, settings: Mapping[str, Any], where: str) -> None:
        super().check(settings, where)
        name = settings.get('json_file', 'x.json')
        if Path(name).is_absolute() or '..' in Path(name).parts or not name.endswith('.json'):
            raise DistillError(f'{where}.json_file={name!r} has to be a .json file inside the distilled set')

    def finish(self, plan: Plan) -> None:
        """Write the JSON file of a finished set, with the images in the order of the plan."""
        contents = COCOJson(plan.classes)
        for request in plan.requests:
            image, mask = self.paths(request.id)
            contents.add(image.name, self.layout.decoding()[np.asarray(Image.open(mask))])
        contents.write(self.json_file)
