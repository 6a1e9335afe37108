"""As whom servers run that refuse to run as root."""

import os
import pwd
import shutil
import subprocess
import time
from pathlib import Path

from replicalab.errors import InvalidRequest

ACCOUNT_NAME = "replicalab"
_ATTEMPTS = 10


def server_account() -> tuple[int, int] | None:
    """User and group ids for servers: None (one's own) unless root, which makes an account.

    Raises:
        InvalidRequest: Root has no way to make the account.
    """
    if os.geteuid() != 0:
        return None
    for _ in range(_ATTEMPTS):
        try:
            entry = pwd.getpwnam(ACCOUNT_NAME)
        except KeyError:
            _make_account()
            time.sleep(0.1)
        else:
            return entry.pw_uid, entry.pw_gid
    raise InvalidRequest(
        f"PostgreSQL does not run as root and there is no account {ACCOUNT_NAME!r}; make one, "
        "start as a normal user, or set REPLICALAB_DATABASE__URL to a server of your own."
    )


def _make_account() -> None:
    command = shutil.which("useradd")
    if command is None:
        return
    # Its failure shows in the next look-up; another process may be doing the same right now.
    subprocess.run(  # noqa: S603
        [command, "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", ACCOUNT_NAME],
        check=False,
        capture_output=True,
    )


def is_reachable(folder: Path) -> bool:
    """Whether other accounts can enter every parent of ``folder`` that exists."""
    return not _closed_parents(folder)


def check_reachable(folder: Path) -> None:
    """Raise ``InvalidRequest`` when other accounts cannot enter the parents of ``folder``."""
    closed = _closed_parents(folder)
    if closed:
        raise InvalidRequest(
            f"As root, servers run as the account {ACCOUNT_NAME!r}, which cannot enter "
            f"{closed[0]}. Choose a data folder below a public one, such as /var/lib."
        )


def _closed_parents(folder: Path) -> list[Path]:
    parents = [parent for parent in folder.absolute().parents if parent.exists()]
    return [parent for parent in parents if not parent.stat().st_mode & 0o001]
