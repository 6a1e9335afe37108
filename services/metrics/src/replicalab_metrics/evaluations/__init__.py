"""From stored features and logits to measurements: the handlers of the metrics queue."""
