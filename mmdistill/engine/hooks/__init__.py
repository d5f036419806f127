"""Hooks, by which a config composes a run. Algorithms are in other packages."""
