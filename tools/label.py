"""Compute the soft labels that a training config reads: the command `mmdistill label`."""
import sys

from mmdistill.cli import main

if __name__ == '__main__':
    main(['label', *sys.argv[1:]])
