"""Check that distilled sets are complete and unchanged: the command `mmdistill verify`."""
import sys

from mmdistill.cli import main

if __name__ == '__main__':
    main(['verify', *sys.argv[1:]])
