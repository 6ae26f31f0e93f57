"""Hostile input: it ends in a clear error or survives unchanged, on every engine."""
