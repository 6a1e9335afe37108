"""Setting groups that services compose; read from REPLICALAB_* variables by each service.

Nested names are joined by two underscores: ``REPLICALAB_DATABASE__URL``. Scientific parameters
are never settings: they are part of the specification.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from replicalab.domain.tasks import TaskKind


class SettingGroup(BaseModel):
    """Settings that belong together and refuse misspelt names."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DatabaseSettings(SettingGroup):
    """PostgreSQL 15 or later."""

    url: SecretStr = Field(description="postgresql://user:password@host:port/database")
    pool_size: int = Field(default=5, ge=1)


class BrokerSettings(SettingGroup):
    """Valkey or Redis; it carries doorbells only and may lose them."""

    url: SecretStr = Field(description="redis://:password@host:port/0")


class LocalStoreSettings(SettingGroup):
    """Artifacts in a folder of this machine."""

    kind: Literal["local"] = "local"
    folder: Path


class StoreKey(SettingGroup):
    """An access key of an S3 server."""

    access_key: str
    secret_key: SecretStr


class S3StoreSettings(SettingGroup):
    """Artifacts in a bucket of any S3 server."""

    kind: Literal["s3"] = "s3"
    endpoint: str = Field(description="http(s)://host:port as services reach it")
    public_endpoint: str | None = Field(
        default=None, description="http(s)://host:port as clients reach it, for presigned URLs"
    )
    access_key: str
    secret_key: SecretStr
    signer: StoreKey | None = Field(
        default=None,
        description="Signs presigned URLs instead; replicalab.storage.signing_account makes it.",
    )
    bucket: str = "replicalab"
    region: str = "us-east-1"
    timeout_seconds: float = Field(default=30, gt=0)

    @property
    def own_key(self) -> StoreKey:
        """What services themselves ask with."""
        return StoreKey(access_key=self.access_key, secret_key=self.secret_key)

    @property
    def signing_key(self) -> StoreKey:
        """What presigned URLs are signed with."""
        return self.signer or self.own_key


StoreSettings = Annotated[LocalStoreSettings | S3StoreSettings, Field(discriminator="kind")]


class EngineSettings(SettingGroup):
    """Clocks of the engine; every machine of an installation must agree on them."""

    lease_seconds: float = Field(default=60, gt=0, description="A silent worker is lost after.")
    beat_seconds: float = Field(default=15, gt=0, description="Renewal of the lease.")
    poll_seconds: float = Field(default=10, gt=0, description="Idle workers look for work after.")
    tick_seconds: float = Field(default=1, gt=0, description="Scheduler looks for work after.")
    redispatch_seconds: float = Field(default=60, gt=0, description="A lost doorbell rings after.")
    cancel_grace_seconds: float = Field(default=30, gt=0)
    stall_seconds: float = Field(
        default=1800, gt=0, description="A task that beats but does not progress is ended after."
    )
    limit_seconds: float = Field(
        default=172_800, gt=0, description="A task that runs longer is ended, and tried once more."
    )
    limits_seconds: Mapping[TaskKind, PositiveFloat] = Field(
        default={TaskKind.TRAIN_GENERATOR: 1_209_600.0},
        description='Other limits, by kind of task: {"reconstruct": 7200}.',
    )
    max_lost: int = Field(default=3, ge=1, description="Lost attempts before quarantine.")

    def limit_of(self, kind: TaskKind) -> float:
        """Seconds that a task of ``kind`` may run in one attempt."""
        return self.limits_seconds.get(kind, self.limit_seconds)


class KeepingSettings(SettingGroup):
    """How stored bytes are verified, and how those that nobody needs are removed."""

    tick_seconds: float = Field(default=60, gt=0, description="The keeper looks for work after.")
    verified_daily: float = Field(
        default=0.01, ge=0, le=1, description="Share of the artifacts that are verified in a day."
    )
    verify_bytes_per_second: float = Field(default=20e6, gt=0, description="At most; a mean.")
    sweep_seconds: float = Field(default=21_600, gt=0, description="For one look at every object.")
    orphan_grace_seconds: float = Field(
        default=86_400, ge=3600, description="From the mark of an object nobody needs to its end."
    )
    upload_grace_seconds: float = Field(
        default=86_400, ge=3600, description="An unfinished upload is aborted after."
    )


class ServiceSettings(BaseSettings):
    """What every service reads from its environment."""

    model_config = SettingsConfigDict(
        env_prefix="REPLICALAB_", env_nested_delimiter="__", extra="ignore", frozen=True
    )

    database: DatabaseSettings
    broker: BrokerSettings
    store: StoreSettings
    engine: EngineSettings = EngineSettings()
    keeping: KeepingSettings = KeepingSettings()
    node: str | None = Field(
        default=None, pattern=r"^[A-Za-z0-9._-]{1,100}$", description="Name of this machine."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"


class LoginSettings(SettingGroup):
    """Passwords of the PostgreSQL roles that the services log in as."""

    gateway: SecretStr
    scheduler: SecretStr
    runner: SecretStr = Field(description="Of workers and the metrics service.")


class MigrationSettings(BaseSettings):
    """What the one-shot migration reads."""

    model_config = ServiceSettings.model_config

    database: DatabaseSettings = Field(description="As the owner of the database.")
    logins: LoginSettings | None = Field(
        default=None, description="Without them every service logs in as the owner."
    )
