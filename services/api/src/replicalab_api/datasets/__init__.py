"""Imported data sets over REST."""
