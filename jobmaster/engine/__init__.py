"""Behaviour: how a worker claims, runs, settles and heals. Knows ports, never databases."""
