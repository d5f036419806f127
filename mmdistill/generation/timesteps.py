"""The timestep embedding of a DiT, which differs between diffusers and the code that trained the public weights."""
import re
from typing import Any, Mapping

#: Frequencies are exp(-ln(10000) k / (half - shift)), k = 0 .. half - 1.
DIFFUSERS_SHIFT, DIT_SHIFT = 1, 0


def trained_shift(config: Mapping[str, Any]) -> int:
    """The shift with which a DiT was trained, inferred from the ``config.json`` of the network.

    Original weights that diffusers' script converted have DiT's shift: their config names the class
    ``Transformer2DModel`` or, if the class name was updated by hand, a version of diffusers before
    ``DiTTransformer2DModel``. Weights that a newer diffusers loaded and saved again cannot be identified, unless
    :func:`set_timestep_shift`, which stores the shift, was called on them.
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
    """Set the shift of the embeddings in all blocks of a ``DiTTransformer2DModel``, in place.

    The last layer uses the embedding of the first block. The shift is also stored in the network's config, which
    ``save_pretrained`` writes.
    """
    for block in transformer.transformer_blocks:
        block.norm1.emb.time_proj.downscale_freq_shift = shift
    transformer.register_to_config(timestep_shift=shift)
