"""Adapters of ``MasterStore``."""
