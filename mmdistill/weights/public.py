"""The public weights that the shipped configs name: address, size and licence of each."""
from typing import NamedTuple, Optional


class PublicWeights(NamedTuple):
    """Weights on the hub, or linked from a repository."""
    name: str
    address: str
    size: str  # of the files that are read
    licence: str  # as the publisher states it

    def __str__(self) -> str:
        return f'{self.name}, {self.address}: {self.size}, {self.licence}'


SD15 = PublicWeights('SD 1.5', 'stable-diffusion-v1-5/stable-diffusion-v1-5', '4.3 GB', 'CreativeML OpenRAIL-M')
SD14 = PublicWeights('SD 1.4 without its UNet', 'CompVis/stable-diffusion-v1-4', '0.8 GB', 'CreativeML OpenRAIL-M')
CONTROLNET_SEG = PublicWeights('ControlNet-seg 1.1', 'lllyasviel/control_v11p_sd15_seg', '1.4 GB', 'OpenRAIL')
CONTROLNETPP = PublicWeights('ControlNet++', 'limingcv/reward_controlnet', '1.4 GB', 'MIT')
FREESTYLENET = PublicWeights('FreestyleNet', 'essunny310/FreestyleNet on GitHub', '3.4 GB of UNet', 'MIT')
DIT = PublicWeights('DiT-XL/2', 'facebook/DiT-XL-2-256', '3.3 GB', 'CC-BY-NC-4.0: not for commercial use')
TAESD = PublicWeights('TAESD', 'madebyollin/taesd', '10 MB', 'MIT')

PUBLIC_WEIGHTS = (SD15, SD14, CONTROLNET_SEG, CONTROLNETPP, FREESTYLENET, DIT, TAESD)


def public_weights(address: str) -> Optional[PublicWeights]:
    """The public weights that an address in a config names, possibly with a sub-folder; None for other weights."""
    return next((known for known in PUBLIC_WEIGHTS if f'{address}/'.startswith(f'{known.address}/')), None)
