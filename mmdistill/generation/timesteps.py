"""The timestep embedding of a DiT: diffusers builds it otherwise than the code that trained the public weights."""
import re
from typing import Any, Mapping

#: Frequencies are exp(-ln(10000) k / (half - shift)), k = 0 .. half - 1.
DIFFUSERS_SHIFT, DIT_SHIFT = 1, 0


def trained_shift(config: Mapping[str, Any]) -> int:
    """The shift that a DiT was trained with, as far as the ``config.json`` of the network says.

    It is DiT's for weights that diffusers' converter made from DiT's own. It names the class ``Transformer2DModel``, or
    a version of diffusers that had no ``DiTTransformer2DModel`` yet, where the name was brought up to date by hand.
    Weights that were loaded and saved again with a newer diffusers say nothing of where they are from;
    :func:`set_timestep_shift` leaves a note for those that are saved from here.
    """
    if (noted := config.get('timestep_shift')) in (DIFFUSERS_SHIFT, DIT_SHIFT):
        return int(noted)
    version = re.match(r'(\d+)\.(\d+)', str(config.get('_diffusers_version')))
    old = version is not None and (int(version[1]), int(version[2])) < (0, 29)
    return DIT_SHIFT if old or config.get('_class_name') == 'Transformer2DModel' else DIFFUSERS_SHIFT


def get_timestep_shift(transformer: Any) -> int:
    """The shift of a ``DiTTransformer2DModel``."""
    return transformer.transformer_blocks[0].norm1.emb.time_proj.downscale_freq_shift


def set_timestep_shift(transformer: Any, shift: int) -> None:
    """Give the embeddings of all blocks of a ``DiTTransformer2DModel`` the shift, in place; the last layer uses the
    first block's. The network's config, which ``save_pretrained`` writes, notes it."""
    for block in transformer.transformer_blocks:
        block.norm1.emb.time_proj.downscale_freq_shift = shift
    transformer.register_to_config(timestep_shift=shift)
