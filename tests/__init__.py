"""Tests; a package of its own name, because a test-only dependency installs a `tests` too."""
