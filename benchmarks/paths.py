"""Resolves paths in the arguments of programs that change to the root of the repository, where configs are found."""
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def resolve_paths(args, *names):
    """Make the paths in these arguments (a path or a list of paths) absolute if they exist."""
    def resolved(value):
        if isinstance(value, list):
            return [resolved(one) for one in value]
        return os.path.abspath(value) if value and os.path.exists(value) else value

    for name in names:
        setattr(args, name, resolved(getattr(args, name)))
