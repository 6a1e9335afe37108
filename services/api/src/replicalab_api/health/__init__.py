"""Whether the gateway lives and can serve."""
