"""Networks, samplers and training loops as pure functions and generators of steps."""
