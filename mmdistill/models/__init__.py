"""What is trained here, and the hosts' networks as guides."""
from .autoencoder import AutoencoderTrainer

__all__ = ['AutoencoderTrainer']
