"""A bound on the memory of this process, for work on files that nobody vouches for."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SIZES = Path("/proc/self/statm")


@contextmanager
def bounded_growth(size_bytes: int) -> Iterator[None]:
    """Let the process's address space grow by ``size_bytes`` at most; beyond is ``MemoryError``.

    The bound counts from what the process has now, since networks and drivers reserve far more
    than they use. Only Linux tells; elsewhere there is no bound.
    """
    if not _SIZES.exists():
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(_SIZES.read_text().split()[0])
    bound = pages * resource.getpagesize() + size_bytes
    if hard != resource.RLIM_INFINITY:
        bound = min(bound, hard)
    if soft != resource.RLIM_INFINITY:
        bound = min(bound, soft)
    resource.setrlimit(resource.RLIMIT_AS, (bound, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
