"""Compare training sets: the command `mmdistill evaluate`."""
import sys

from mmdistill.cli import main

if __name__ == '__main__':
    main(['evaluate', *sys.argv[1:]])
