"""What the worker reads from its environment."""

import os
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings

from replicalab.settings import ServiceSettings, SettingGroup

CompilePolicy = Literal["large-on-gpu", "always", "never"]
"""Which generators torch compiles."""


def _cached(name: str) -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "replicalab" / name


class DatasetSettings(SettingGroup):
    """Where files of public data sets and folders of images lie."""

    folder: Path = Field(default_factory=lambda: _cached("datasets"))
    may_download: bool = Field(default=False, description="Fetch public files that are missing.")


class WeightsSettings(SettingGroup):
    """Where files of published weights lie."""

    folder: Path = Field(default_factory=lambda: _cached("weights"))
    may_download: bool = Field(default=False, description="Fetch published files that are missing.")


class EmbeddingSettings(BaseSettings):
    """What computing features without the service reads."""

    model_config = ServiceSettings.model_config

    weights: WeightsSettings = WeightsSettings()


class WorkerSettings(ServiceSettings):
    """What every service needs, and what only the worker reads."""

    datasets: DatasetSettings = DatasetSettings()
    weights: WeightsSettings = WeightsSettings()
    training_processes: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Processes that train one generator together, each on a GPU of its own.",
    )
    compile_generators: CompilePolicy = Field(
        default="large-on-gpu",
        description="Which generators torch compiles, a minute each before their first step.",
    )
    import_memory_bytes: int = Field(
        default=2**30,
        ge=2**28,
        description="What reading an uploaded data set may add to a worker's process.",
    )
