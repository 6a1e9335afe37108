"""Classifiers: ResNet-18 in two presets, their training, their features."""
