"""Telling addresses that people name how their experiments end."""
