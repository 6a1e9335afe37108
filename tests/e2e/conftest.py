"""One embedded stack with the real services for every test of the whole."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from replicalab.stack.embedded import EmbeddedStack


@pytest.fixture(scope="session")
def stack(server_folder: Path) -> Iterator[EmbeddedStack]:
    """PostgreSQL, Valkey, gateway, scheduler, workers and metrics, as ``replicalab up`` runs."""
    data = Path(tempfile.mkdtemp(dir=server_folder)) / "data"
    data.parent.chmod(0o711)
    with EmbeddedStack(data) as running:
        running.start()
        yield running
