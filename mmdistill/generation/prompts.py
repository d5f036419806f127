"""Prompt embeddings of text-to-image models."""
import logging
from functools import lru_cache
from pathlib import Path
from typing import Any, Union

import torch
from torch import Tensor

from ..errors import DistillError
from ..plan import Request
from ..weights.configs import config_errors
from ..weights.hub import Weights

logger = logging.getLogger('mmdistill')


class PromptEncoder:
    """Embeds prompts with a ``CLIPTextModel``, one at a time, so that an embedding does not depend on a batch.

    Recent embeddings are cached in main memory.

    Args:
        tokenizer: ``CLIPTokenizer``.
        text_encoder: ``CLIPTextModel``.
    """

    def __init__(self, tokenizer: Any, text_encoder: Any):
        self.tokenizer, self.text_encoder = tokenizer, text_encoder
        self.limit: int = min(tokenizer.model_max_length, text_encoder.config.max_position_embeddings)
        self._embedding = lru_cache(maxsize=256)(self._embed)  # 60 MB for Stable Diffusion

    @classmethod
    def from_pretrained(cls, weights: Union[str, Path, Weights],
                        dtype: torch.dtype = torch.float32) -> 'PromptEncoder':
        """Load ``tokenizer`` and ``text_encoder`` from weights or their address."""
        source = Weights.of(weights, ('tokenizer', 'text_encoder'))
        folder = source.configs / 'tokenizer'
        from transformers import CLIPTextModel, CLIPTokenizer
        with config_errors(str(folder)):
            tokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True)
        return cls(tokenizer, source.load(CLIPTextModel, 'text_encoder', dtype))

    def length(self, text: str) -> int:
        """Number of tokens of a text, without begin and end tokens."""
        return len(self.tokenizer(text, add_special_tokens=False, verbose=False).input_ids)

    def fits(self, text: str) -> bool:
        """Whether the text is within CLIP's limit."""
        return self.length(text) <= self.limit - 2

    def checked(self, request: Request) -> str:
        """The prompt of a request, with a warning if it is too long; raises a DistillError if there is none."""
        if request.prompt is None:
            raise DistillError(f'request {request.id} has no prompt: set prompt in the hook that plans the images')
        return self.readable(request, request.prompt)

    def readable(self, request: Request, text: str) -> str:
        """Return the text of a request, with a warning if it is too long for CLIP."""
        if not self.fits(text):
            logger.warning(f'request {request.id}: its prompt has more than {self.limit} tokens, and CLIP does not '
                           'read the rest')
        return text

    def __call__(self, text: str) -> Tensor:
        """The embedding of a text, (1, limit, D), on the text encoder's device."""
        return self._embedding(text).to(self.text_encoder.device)

    def _embed(self, text: str) -> Tensor:
        ids = self.tokenizer([text], padding='max_length', max_length=self.limit, truncation=True, return_tensors='pt')
        device = self.text_encoder.device
        masked = getattr(self.text_encoder.config, 'use_attention_mask', False)  # Stable Diffusion 2.x sets it
        mask = ids.attention_mask.to(device) if masked else None
        with torch.no_grad():
            return self.text_encoder(ids.input_ids.to(device), attention_mask=mask)[0].cpu()
