"""Distil a dataset: the command `mmdistill distill`."""
import sys

from mmdistill.cli import main

if __name__ == '__main__':
    main(['distill', *sys.argv[1:]])
