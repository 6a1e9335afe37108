"""What the gateway and the scheduler read from their environment."""

from enum import StrEnum, unique
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr

from replicalab.domain.accounts import Role
from replicalab.domain.text import Name
from replicalab.engine.usage import MOST_OPEN_TASKS
from replicalab.settings import ServiceSettings, SettingGroup


class OidcSettings(SettingGroup):
    """An OpenID Connect provider that people log in at."""

    issuer: str = Field(pattern=r"^https?://", description="Exactly as the provider calls itself.")
    client_id: str
    client_secret: SecretStr
    public_url: str = Field(
        pattern=r"^https?://", description="Of this gateway, as browsers reach it."
    )
    role: Role = Field(default=Role.VIEWER, description="Of users that log in the first time.")


@unique
class LimitGroup(StrEnum):
    """What is limited together."""

    READS = "reads"
    WRITES = "writes"
    SUBMISSIONS = "submissions"
    REPORTS = "reports"
    ANONYMOUS = "anonymous"
    LOGINS_OF_ACCOUNT = "logins-of-account"
    LOGINS_OF_ADDRESS = "logins-of-address"


class Limit(SettingGroup):
    """A token bucket: ``burst`` at once, and ``amount`` in ``seconds`` in the long run."""

    amount: float = Field(gt=0)
    seconds: float = Field(gt=0)
    burst: int = Field(ge=1)

    @property
    def seconds_each(self) -> float:
        """Until one more is allowed."""
        return self.seconds / self.amount


QUARTER_HOUR = 15 * 60


class LimitSettings(SettingGroup):
    """How often people may ask: each user by themselves, and an address before it is known whose.

    A limit is set whole, as JSON: ``REPLICALAB_LIMITS__READS={"amount": 50, "seconds": 1,
    "burst": 200}``.
    """

    reads: Limit = Limit(amount=50, seconds=1, burst=200)
    writes: Limit = Limit(amount=5, seconds=1, burst=20)
    submissions: Limit = Limit(amount=60, seconds=60, burst=60)
    # Enough at once for a notebook that compares studies.
    reports: Limit = Limit(amount=6, seconds=60, burst=30)
    anonymous: Limit = Limit(amount=20, seconds=1, burst=100)
    logins_of_account: Limit = Limit(amount=5, seconds=QUARTER_HOUR, burst=5)
    logins_of_address: Limit = Limit(amount=20, seconds=QUARTER_HOUR, burst=20)
    open_tasks: int = Field(
        default=MOST_OPEN_TASKS, ge=1, description="Unfinished tasks of a user."
    )
    streams: int = Field(default=5, ge=1, description="Event streams of a user, at one gateway.")
    exports: int = Field(
        default=2, ge=1, description="Archives on their way to a user, at one gateway."
    )

    def of(self, group: LimitGroup) -> Limit:
        """The limit of a group."""
        limit: Limit = getattr(self, group.replace("-", "_"))
        return limit


class PatienceSettings(SettingGroup):
    """How long clients may take; whoever is slower is cut off."""

    head_seconds: float = Field(
        default=10, gt=0, description="For the head of a request, from the connection on."
    )
    window_seconds: float = Field(
        default=20, gt=0, description="Over which it is counted what clients send and read."
    )
    least_bytes_per_second: float = Field(
        default=1000, ge=0, description="Of a body that is sent, and of an answer that is read."
    )


class WebhookSettings(SettingGroup):
    """Where webhooks may lead, besides public addresses over https."""

    networks: tuple[IPv4Network | IPv6Network, ...] = Field(
        default=(), description="Inner networks whose machines may be told."
    )
    may_use_http: bool = Field(default=False, description="Without encryption too.")
    ca_file: Path | None = Field(
        default=None, description="Certificates of a lab's own authority, trusted instead."
    )
    timeout_seconds: float = Field(default=10, gt=0, le=60, description="Of one attempt, in all.")


Pepper = Annotated[
    SecretStr,
    Field(min_length=32, description="Keys the digests of secrets; kept outside of the database."),
]


class GatewaySettings(ServiceSettings):
    """Where the gateway listens and whom it lets in."""

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    token: SecretStr | None = Field(
        default=None,
        min_length=16,
        description="The bootstrap token: the first administrator, while it is set.",
    )
    pepper: Pepper
    installation: Name = Field(
        default="ReplicaLab", description="What exported experiments call this installation."
    )
    oidc: OidcSettings | None = None
    limits: LimitSettings = LimitSettings()
    patience: PatienceSettings = PatienceSettings()
    webhooks: WebhookSettings = WebhookSettings()
    max_body_bytes: int = Field(default=2**20, ge=1024)
    max_direct_bytes: int = Field(
        default=64 * 2**20,
        ge=1024,
        description="Of a file in the body of one request; larger ones come in parts.",
    )
    max_snapshot_bytes: int = Field(
        default=4 * 2**30, ge=1024, description="Of the file of an imported generator."
    )
    max_export_bytes: int = Field(
        default=8 * 2**30,
        ge=1024,
        description="Of the archive of an imported experiment, and of all that it unpacks to.",
    )
    max_dataset_bytes: int = Field(
        default=8 * 2**30, ge=1024, description="Of the file of an imported data set."
    )


class SchedulerSettings(ServiceSettings):
    """The scheduler dispatches, and delivers webhooks; their secrets follow from the pepper."""

    pepper: Pepper
    webhooks: WebhookSettings = WebhookSettings()
