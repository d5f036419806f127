"""Write a first config for a dataset: the command `mmdistill init`."""
import sys

from mmdistill.cli import main

if __name__ == '__main__':
    main(['init', *sys.argv[1:]])
