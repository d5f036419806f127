"""Convert the UNet of a Stable Diffusion checkpoint: the command `mmdistill convert-unet`."""
import sys

from mmdistill.cli import main

if __name__ == '__main__':
    main(['convert-unet', *sys.argv[1:]])
