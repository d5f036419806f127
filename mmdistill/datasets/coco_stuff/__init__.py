"""COCO-Stuff in each of its official forms: as a dataset, as files, and as COCO's JSON."""
