"""Room for temporary files: asked for before work begins, not found wanting in the middle."""

import errno
import shutil
import tempfile

SPARE_BYTES = 64 * 2**20
"""Left for everybody else on the disk."""


def check_room(size_bytes: int) -> None:
    """Raise ``OSError`` (ENOSPC) unless temporary files of ``size_bytes`` in all find room."""
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    if size_bytes + SPARE_BYTES > free:
        raise OSError(
            errno.ENOSPC,
            f"temporary files of {size_bytes:,} bytes do not fit: {free:,} bytes are free. "
            "Free some, or set TMPDIR to a folder on a larger disk",
            folder,
        )
