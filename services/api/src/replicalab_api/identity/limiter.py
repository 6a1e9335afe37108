"""Guessing takes long: a few logins per account and per address in a quarter of an hour."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from replicalab.db.accounts import LoginAttemptsRow
from replicalab.db.database import Database
from replicalab.db.schema import NOW
from replicalab.refusals import TooManyRequests
from replicalab_api.identity.token_text import Pepper

WINDOW_SECONDS = 15 * 60
PER_ACCOUNT = 5
PER_ADDRESS = 20


class LoginLimiter:
    """Counts attempts in PostgreSQL, which a login needs anyway, so that all gateways agree.

    An attempt counts before its password is looked at: many at once gain nothing. Names and
    addresses are kept as keyed digests.
    """

    def __init__(self, database: Database, pepper: Pepper) -> None:
        self._database = database
        self._pepper = pepper

    def count(self, name: str, address: str | None = None) -> None:
        """Count an attempt; raises ``TooManyRequests`` when it is one too many.

        Args:
            name: The account.
            address: Where it comes from; None for somebody who is logged in.
        """
        with self._database.transaction() as session:
            window = sa.func.make_interval(0, 0, 0, 0, 0, 0, WINDOW_SECONDS)
            session.execute(
                sa.delete(LoginAttemptsRow).where(LoginAttemptsRow.began_at < NOW - window)
            )
            waits = []
            limits = [(self._key("account", name), PER_ACCOUNT)]
            if address is not None:
                limits.insert(0, (self._key("address", address), PER_ADDRESS))
            for key, most in limits:
                row = session.execute(
                    insert(LoginAttemptsRow)
                    .values(key_hmac=key, count=1)
                    .on_conflict_do_update(
                        index_elements=["key_hmac"], set_={"count": LoginAttemptsRow.count + 1}
                    )
                    .returning(
                        LoginAttemptsRow.count,
                        sa.extract("epoch", LoginAttemptsRow.began_at + window - NOW),
                    )
                ).one()
                if row[0] > most:
                    waits.append(max(1, round(row[1])))
        if waits:
            raise TooManyRequests(
                "There were too many attempts to log in.", retry_after_seconds=max(waits)
            )

    def forget(self, name: str) -> None:
        """Forget the attempts at an account whose password was given rightly."""
        with self._database.transaction() as session:
            key = self._key("account", name)
            session.execute(sa.delete(LoginAttemptsRow).where(LoginAttemptsRow.key_hmac == key))

    def _key(self, kind: str, text: str) -> bytes:
        return self._pepper.digest(f"login-{kind}", text)
