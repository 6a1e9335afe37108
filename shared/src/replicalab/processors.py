"""How many processors this process may really use."""

import os
from pathlib import Path

CGROUP_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def usable_processors(quota_file: Path = CGROUP_QUOTA) -> int:
    """Processors allowed by affinity and by the container's quota, at least 1.

    A container with a quota of two processors on a large host sees them all; as many threads
    would be throttled most of the time.

    Args:
        quota_file: cgroup v2's ``cpu.max``: "<microseconds or max> <period in microseconds>".
    """
    available = len(os.sched_getaffinity(0))
    if not quota_file.exists():
        return available
    quota, period = quota_file.read_text().split()
    if quota == "max":
        return available
    return max(1, min(available, int(quota) // int(period)))
