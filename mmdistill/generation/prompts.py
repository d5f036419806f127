"""Prompts of text-to-image models."""
import logging
from typing import Dict

import torch
from torch import Tensor, nn

from ..errors import DistillError
from ..plan import Request
from ..weights.hub import dtype_of, load_part

logger = logging.getLogger('mmdistill')


class PromptEncoder:
    """Prompts to CLIP embeddings, one text at a time, so that an embedding does not depend on its batch.

    Args:
        folder: diffusers folder with ``tokenizer`` and ``text_encoder``.
        dtype: Of the text encoder.
    """

    def __init__(self, folder, dtype: str = 'float32'):
        from transformers import CLIPTextModel, CLIPTokenizer
        try:
            self.tokenizer = CLIPTokenizer.from_pretrained(folder / 'tokenizer', local_files_only=True)
        except Exception as error:  # transformers raises OSError, TypeError and others for files that are missing
            reason = ' '.join(str(error).split())[:200]
            raise DistillError(f'weights that do not fit the config: {folder}/tokenizer: {reason}') from None
        self.text_encoder: nn.Module = load_part(CLIPTextModel, folder / 'text_encoder', dtype_of(dtype))
        self.limit: int = min(self.tokenizer.model_max_length, self.text_encoder.config.max_position_embeddings)
        self._known: Dict[str, Tensor] = {}

    def fits(self, text: str) -> bool:
        """Whether CLIP reads all of the text."""
        return len(self.tokenizer(text).input_ids) <= self.limit

    def checked(self, request: Request) -> str:
        """The prompt of a request; a warning says where CLIP does not read all of it."""
        if not self.fits(request.prompt):
            logger.warning(f'request {request.id}: CLIP reads {self.limit} tokens, the end of its prompt is cut off')
        return request.prompt

    def __call__(self, text: str) -> Tensor:
        """(1, limit, D) on the text encoder's device."""
        if text not in self._known:
            ids = self.tokenizer([text], padding='max_length', max_length=self.limit, truncation=True,
                                 return_tensors='pt')
            device = self.text_encoder.device
            masked = getattr(self.text_encoder.config, 'use_attention_mask', False)  # Stable Diffusion 2.x sets it
            mask = ids.attention_mask.to(device) if masked else None
            with torch.no_grad():
                self._known[text] = self.text_encoder(ids.input_ids.to(device), attention_mask=mask)[0]
        return self._known[text]
