"""Hooks: how a user composes a run. No algorithm lives here."""
