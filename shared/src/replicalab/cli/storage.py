"""What ``replicalab storage`` prints."""

from collections.abc import Iterable

from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from replicalab.domain.storage_resources import StorageRead, SweepRead


def show_storage(console: Console, storage: StorageRead) -> None:
    """Print what is known of the store."""
    orphaned = f"{storage.orphaned_objects}, {decimal(storage.orphaned_bytes)}"
    console.print(f"marked as orphans: {orphaned}", highlight=False)
    for what, at in (("verified", storage.verified_at), ("swept", storage.swept_at)):
        when = f"{at:%Y-%m-%d %H:%M}" if at else "not yet"
        console.print(f"last {what}: {when}", highlight=False)
    if not storage.damaged:
        console.print("no artifact is known to be damaged")
        return
    table = Table("damaged artifact", "how", "found")
    for damage in storage.damaged:
        table.add_row(damage.sha256, damage.damage, f"{damage.found_at:%Y-%m-%d %H:%M}")
    console.print(table)


def show_sweep(console: Console, parts: Iterable[SweepRead]) -> None:
    """Print what a sweep found, once it has seen everything."""
    found = list(parts)
    freed = "would be freed" if found[0].dry_run else "freed"
    for what, name in (("kept", "kept"), ("waiting", "orphaned, in their grace"), ("freed", freed)):
        objects = sum(getattr(part, f"{what}_objects") for part in found)
        size_bytes = sum(getattr(part, f"{what}_bytes") for part in found)
        console.print(f"{name}: {objects} objects, {decimal(size_bytes)}", highlight=False)
