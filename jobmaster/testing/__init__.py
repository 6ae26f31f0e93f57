"""Tools for testing with jobmaster, and for testing stores written for it."""
