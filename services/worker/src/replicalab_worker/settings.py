"""What the worker reads from its environment."""

from replicalab.settings import ServiceSettings


class WorkerSettings(ServiceSettings):
    """The worker needs what every service needs."""
