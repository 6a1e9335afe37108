"""Figures of a study: from measurements and images to matplotlib figures, and to files."""
