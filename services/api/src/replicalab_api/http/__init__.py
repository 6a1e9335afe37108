"""Everything the gateway knows about HTTP itself, whatever resource it serves."""
