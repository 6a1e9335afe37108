"""What the gateway and the scheduler read from their environment."""

from pydantic import Field, SecretStr

from replicalab.domain.accounts import Role
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


class GatewaySettings(ServiceSettings):
    """Where the gateway listens and whom it lets in."""

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    token: SecretStr | None = Field(
        default=None,
        min_length=16,
        description="The bootstrap token: the first administrator, while it is set.",
    )
    pepper: SecretStr = Field(
        min_length=32, description="Keys the digests of secrets; kept outside of the database."
    )
    oidc: OidcSettings | None = None
    max_body_bytes: int = Field(default=2**20, ge=1024)
    max_snapshot_bytes: int = Field(
        default=4 * 2**30, ge=1024, description="Of the file of an imported generator."
    )


class SchedulerSettings(ServiceSettings):
    """The scheduler needs what every service needs."""
