"""Write a distilled set in the format of another program: the command `mmdistill export`."""
import sys

from mmdistill.cli import main

if __name__ == '__main__':
    main(['export', *sys.argv[1:]])
