"""What the worker reads from its environment."""

import os
from pathlib import Path

from pydantic import Field

from replicalab.settings import ServiceSettings, SettingGroup


def _cached(name: str) -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "replicalab" / name


class WeightsSettings(SettingGroup):
    """Where files of published weights lie."""

    folder: Path = Field(default_factory=lambda: _cached("weights"))
    may_download: bool = Field(default=False, description="Fetch published files that are missing.")


class WorkerSettings(ServiceSettings):
    """What every service needs, and the folder that only the worker reads."""

    weights: WeightsSettings = WeightsSettings()
