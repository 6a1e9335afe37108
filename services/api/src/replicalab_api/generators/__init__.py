"""Imported generators over REST."""
