"""How much an uploaded data set may ask for; docs/datasets.md has the same table."""

from replicalab.archives.names import MOST_NAME_CHARACTERS as MOST_NAME_CHARACTERS
from replicalab.archives.zips import Limits

MOST_ENTRIES = 150_000
"""Of an archive. CIFAR has 60,000 images, SVHN 99,289, Tiny ImageNet 110,000; each costs memory."""

MOST_DIRECTORY_BYTES = 16 * 2**20
"""Of an archive's list of entries, which is held in memory."""

MOST_UNPACKED_BYTES = 8 * 2**30
"""Of all that is unpacked, counted while it is."""

MOST_IMAGE_FILE_BYTES = 32 * 2**20
"""Of one image's file."""

MOST_RATIO = 100
"""Bytes unpacked for one that is stored; images hardly shrink in an archive."""

UNSUSPICIOUS_BYTES = 16 * 2**20
"""So little may be packed as tightly as it likes: sorted labels shrink a thousandfold."""

MOST_PIXELS = 16_000_000
"""Of one image, as its header says."""

MOST_PIXELS_IN_ALL = 100 * 10**9
"""Of all images as their headers say: an hour's work for one core."""

MOST_DECODED_BYTES = 4 * 2**30
"""Of all images as they are stored: later stages hold a split of them in memory."""

MOST_IMAGES = 2_000_000
MOST_CLASSES = 1000

FORMATS = ("PNG", "JPEG", "WEBP")
"""Of image files, as Pillow calls them."""


def of_archives() -> Limits:
    """Those of a zip archive."""
    return Limits(
        most_entries=MOST_ENTRIES,
        most_directory_bytes=MOST_DIRECTORY_BYTES,
        most_unpacked_bytes=MOST_UNPACKED_BYTES,
        most_ratio=MOST_RATIO,
        unsuspicious_bytes=UNSUSPICIOUS_BYTES,
    )
