"""Connections, transactions, and what a database that is down looks like to callers."""

import select
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, InterfaceError, InvalidatePoolError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session, sessionmaker

from replicalab.errors import DatabaseUnavailable

STATEMENT_TIMEOUT_MILLISECONDS = 10_000
CONNECT_TIMEOUT_SECONDS = 5
_KEEPALIVES = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
"""A peer that is gone without a word closes the line of an idle connection after a minute."""
_PLANS_ONCE = "-c plan_cache_mode=force_generic_plan -c enable_seqscan=off"


Asks = Session | sa.Connection
"""What statements are asked on: a transaction, or each by itself."""


class Database:
    """A pool of connections to PostgreSQL."""

    def __init__(self, url: str, *, pool_size: int = 5, plans_once: bool = False) -> None:
        """Open the pool; connections are made when they are needed.

        Args:
            url: Of the database.
            pool_size: Connections at most.
            plans_once: Plan what is prepared once, whatever its parameters: for programs that ask
                few questions, by keys, again and again. Where there is an index it is used, since
                the plan stays when the tables that it was made for, perhaps empty, have grown.
        """
        planning = _PLANS_ONCE if plans_once else ""
        self.engine = sa.create_engine(
            sa.make_url(url).set(drivername="postgresql+psycopg"),
            pool_size=pool_size,
            max_overflow=0,
            pool_use_lifo=True,  # the connection that was used last has its plans at hand
            pool_timeout=CONNECT_TIMEOUT_SECONDS,
            connect_args={
                **_KEEPALIVES,
                "connect_timeout": CONNECT_TIMEOUT_SECONDS,
                "options": f"-c statement_timeout={STATEMENT_TIMEOUT_MILLISECONDS}"
                f" -c idle_in_transaction_session_timeout=60000 -c timezone=UTC {planning}",
            },
        )
        sa.event.listen(self.engine, "checkout", _refuse_dead)
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)
        self._reading = self.engine.execution_options(isolation_level="AUTOCOMMIT")

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """One transaction, committed at the end of the block.

        Raises:
            DatabaseUnavailable: No connection could be had, or it broke; whether the commit
                happened is then unknown, and callers repeat with the same key or epoch.
        """
        with _available(), self._sessions.begin() as session:
            yield session

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection on which every statement is a transaction of its own.

        For what is read in one statement: asking costs one round trip to the server instead of
        three.

        Raises:
            DatabaseUnavailable: No connection could be had, or it broke.
        """
        with _available(), self._reading.connect() as connection:
            yield connection

    def check(self) -> None:
        """Raise ``DatabaseUnavailable`` unless a query is answered."""
        with self.transaction() as session:
            session.execute(sa.select(1))

    def close(self) -> None:
        """Give every connection back."""
        self.engine.dispose()


def _refuse_dead(connection: "psycopg.Connection[object]", *_: object) -> None:
    """Let the pool open another connection in place of one that its server has ended.

    A server says nothing on an idle line but its farewell, so that a look at the line does what
    a question and its answer would do at the beginning of every transaction.
    """
    line = select.poll()
    line.register(connection.fileno(), select.POLLIN)
    if line.poll(0):
        raise InvalidatePoolError


@contextmanager
def _available() -> Iterator[None]:
    """Make what a database that is down looks like to SQLAlchemy a ``DatabaseUnavailable``."""
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeout) as error:
        raise DatabaseUnavailable(f"PostgreSQL: {_first_line(error)}") from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise DatabaseUnavailable(f"PostgreSQL: {_first_line(error)}") from error
        raise


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
