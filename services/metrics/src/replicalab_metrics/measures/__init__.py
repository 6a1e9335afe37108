"""Statistics of image sets: pure functions from features and logits to numbers, in float64."""
