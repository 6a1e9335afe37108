"""Token buckets: who may ask how often."""
