"""Experiments as archives that describe themselves (RO-Crate 1.2), readable without a service."""
