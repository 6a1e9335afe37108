"""The groups of commands that ``replicalab`` has besides its own."""

from replicalab.cli import (
    account_commands,
    dataset_commands,
    generator_commands,
    storage_commands,
    webhook_commands,
    worker_commands,
)

GROUPS = (
    account_commands.tokens,
    webhook_commands.webhooks,
    worker_commands.workers,
    dataset_commands.datasets,
    generator_commands.generators,
    storage_commands.storage,
)
"""In the order of ``replicalab --help``."""
