"""COCO-Stuff in all of its official formats: a dataset, a converter, and a writer of COCO JSON."""
