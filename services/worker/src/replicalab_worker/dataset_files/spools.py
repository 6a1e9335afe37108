"""Images of a file that can only be read in order, kept where they can be read in any."""

from contextlib import ExitStack
from tempfile import TemporaryFile

from replicalab.file_errors import ArchiveLimits
from replicalab.storage.scratch import check_room
from replicalab_worker.dataset_files import limits


class Spool:
    """Image files one after the other in a temporary file.

    Args:
        held: Keeps the file open.
    """

    def __init__(self, held: ExitStack) -> None:
        self._file = held.enter_context(TemporaryFile())  # noqa: SIM115 (closed by the stack)
        self._ends = [0]

    def __len__(self) -> int:
        return len(self._ends) - 1

    def add(self, body: bytes) -> None:
        """Keep one more.

        Raises:
            ArchiveLimits: It is larger than an image may be, or all together are too much.
            OSError: The disk has no room.
        """
        if len(body) > limits.MOST_IMAGE_FILE_BYTES:
            raise ArchiveLimits(
                f"Image {len(self):,} has {len(body):,} bytes; at most "
                f"{limits.MOST_IMAGE_FILE_BYTES:,} are read."
            )
        end = self._ends[-1] + len(body)
        if end > limits.MOST_UNPACKED_BYTES:
            raise ArchiveLimits(
                f"The images have more than {limits.MOST_UNPACKED_BYTES:,} bytes in all."
            )
        check_room(len(body))
        self._file.write(body)
        self._ends.append(end)

    def __getitem__(self, place: int) -> bytes:
        self._file.seek(self._ends[place])
        return self._file.read(self._ends[place + 1] - self._ends[place])
