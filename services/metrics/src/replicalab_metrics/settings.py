"""What the metrics service reads from its environment."""

from replicalab.settings import ServiceSettings


class MetricsSettings(ServiceSettings):
    """The metrics service needs what every service needs."""
