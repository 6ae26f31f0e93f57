"""One suite per port, on every store."""
