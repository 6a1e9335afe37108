"""Reports of a study: one self-contained page, and its numbers as CSV and JSON."""
