"""Public weights and checkpoints: where they come from and how they are read."""
