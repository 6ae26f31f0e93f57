"""Schema changes, oldest first. Each step is idempotent: an engine may have committed half of them."""
