"""Convert COCO-Stuff's masks to files of train ids: the command `mmdistill convert`."""
import sys

from mmdistill.cli import main

if __name__ == '__main__':
    main(['convert', *sys.argv[1:]])
