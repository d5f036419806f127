"""One soft label an image, in an annotation file that stock mmpretrain reads."""
import pickle
from pathlib import Path, PurePosixPath
from typing import Any, Dict, Union

import numpy as np

from mmdistill.errors import DistillError
from mmdistill.files import write_atomic


def write_annotations(path: Union[str, Path], dataset, scores: np.ndarray, temperature: float, teacher: str) -> None:
    """Write ``meta/train.pkl``: mmpretrain's ``BaseDataset`` reads it; ``gt_score`` is mixed with the images.

    Args:
        path: The annotation file, ``….pkl``; written atomically.
        dataset: The set that was labelled; image paths are kept relative to its ``img_prefix``.
        scores: (N, K) probabilities; rows sum to 1.
        temperature: Of the probabilities, kept in ``metainfo['labels']``.
        teacher: Fingerprint of the teacher, kept there too.

    Raises:
        DistillError: An image is outside the set's folder, the scores do not fit, or the disk is full.
    """
    classes, prefix = list(dataset.metainfo['classes']), str(dataset.img_prefix)
    scores = np.asarray(scores, np.float32)
    if scores.shape != (len(dataset), len(classes)) or not np.isfinite(scores).all():
        raise DistillError(f'scores of shape {scores.shape} do not fit {len(dataset)} images of {len(classes)} '
                           'classes, or are not finite')
    entries = []
    for i, row in enumerate(scores):
        entry: Dict[str, Any] = dataset.get_data_info(i)
        try:
            name = str(PurePosixPath(entry['img_path']).relative_to(prefix))
        except ValueError:
            raise DistillError(f"{entry['img_path']} is outside the set's folder {prefix}") from None
        entries.append(dict(img_path=name, gt_label=int(entry['gt_label']), gt_score=row.copy()))
    labels = dict(temperature=temperature, teacher=teacher)
    annotations = dict(metainfo=dict(classes=classes, labels=labels), data_list=entries)
    write_atomic(path, pickle.dumps(annotations, protocol=4))
