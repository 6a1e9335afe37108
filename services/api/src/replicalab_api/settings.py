"""What the gateway and the scheduler read from their environment."""

from pydantic import Field, SecretStr

from replicalab.settings import ServiceSettings


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
    max_body_bytes: int = Field(default=2**20, ge=1024)


class SchedulerSettings(ServiceSettings):
    """The scheduler needs what every service needs."""
