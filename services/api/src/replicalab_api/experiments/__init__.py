"""Experiments over REST."""
