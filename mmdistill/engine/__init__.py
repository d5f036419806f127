"""The adapters that bring the core to MMEngine's runner."""
from .hooks import *  # noqa: F401,F403
