"""The hooks with which a config composes a run. The algorithms are in other packages."""
