"""Write a page about finished work dirs: the command `mmdistill report`."""
import sys

from mmdistill.cli import main

if __name__ == '__main__':
    main(['report', *sys.argv[1:]])
