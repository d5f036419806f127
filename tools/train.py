"""Train a part of a generator, or any model of an OpenMMLab package: the command `mmdistill train`."""
import sys

from mmdistill.cli import main

if __name__ == '__main__':
    main(['train', *sys.argv[1:]])
