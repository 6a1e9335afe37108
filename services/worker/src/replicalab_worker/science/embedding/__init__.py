"""Published networks whose features image sets are compared in."""
