"""Generators in files of others, read without running anything of them."""
