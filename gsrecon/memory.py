"""Giving memory back to the system."""

import ctypes


def give_back_memory() -> None:
    """Hands freed memory back where the C library (glibc) keeps it for later; elsewhere it does so itself.

    For moments when much was freed and other things will take its place: pieces of it would otherwise be
    held between what came and went.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
