"""Finding, downloading and loading public weights and checkpoints."""
