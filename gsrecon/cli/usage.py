"""Mistakes in how a command is called."""


class UsageError(Exception):
    """Options that do not go together or have a value out of range; ends with exit code 2."""
