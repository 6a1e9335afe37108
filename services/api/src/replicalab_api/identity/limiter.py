"""Guessing takes long: a few logins per account and per address in a quarter of an hour."""

from math import ceil

from replicalab.refusals import TooManyRequests
from replicalab_api.identity.token_text import Pepper
from replicalab_api.limits.buckets import Buckets
from replicalab_api.settings import LimitGroup, LimitSettings


class LoginLimiter:
    """Counts attempts to log in.

    An attempt counts before its password is looked at: many at once gain nothing. Names and
    addresses are kept as keyed digests.
    """

    def __init__(self, buckets: Buckets, limits: LimitSettings, pepper: Pepper) -> None:
        self._buckets = buckets
        self._limits = limits
        self._pepper = pepper

    def count(self, name: str, address: str | None = None) -> None:
        """Count an attempt; raises ``TooManyRequests`` when it is one too many.

        Args:
            name: The account.
            address: Where it comes from; None for somebody who is logged in.
        """
        attempts = [(LimitGroup.LOGINS_OF_ACCOUNT, name)]
        if address is not None:
            attempts.insert(0, (LimitGroup.LOGINS_OF_ADDRESS, address))
        taken = [
            self._buckets.take(self._bucket(group, text), self._limits.of(group))
            for group, text in attempts
        ]
        if not all(one.is_allowed for one in taken):
            raise TooManyRequests(
                "There were too many attempts to log in.",
                retry_after_seconds=max(1, ceil(max(one.wait_seconds for one in taken))),
            )

    def forget(self, name: str) -> None:
        """Forget the attempts at an account whose password was given rightly."""
        self._buckets.fill(self._bucket(LimitGroup.LOGINS_OF_ACCOUNT, name))

    def _bucket(self, group: LimitGroup, text: str) -> str:
        return f"{group}:{self._pepper.digest(group, text).hex()}"
