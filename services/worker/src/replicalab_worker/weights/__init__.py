"""Generators at rest: their description, and the weights that ship with ReplicaLab."""
