"""Every credential the gateway knows, behind one question: who is this?"""

from replicalab.domain.accounts import Principal
from replicalab_api.identity.bootstrap import BootstrapToken
from replicalab_api.identity.sessions import Sessions
from replicalab_api.identity.tokens import Tokens


class Accounts:
    """Bootstrap token, personal tokens and sessions."""

    def __init__(
        self, bootstrap: BootstrapToken | None, tokens: Tokens, sessions: Sessions
    ) -> None:
        self._bootstrap = bootstrap
        self._tokens = tokens
        self._sessions = sessions

    def by_token(self, token: str) -> Principal:
        """The bearer of a token; raises ``Unauthenticated``."""
        if self._bootstrap is not None and self._bootstrap.is_right(token):
            return self._bootstrap.by_token(token)
        return self._tokens.principal_of(token)

    def by_cookie(self, cookie: str) -> Principal:
        """Whose session it is; raises ``Unauthenticated``."""
        return self._sessions.principal_of(cookie)

    def is_csrf_token(self, cookie: str, token: str) -> bool:
        """Whether the page that sends ``token`` could read the session's own."""
        return self._sessions.is_csrf_token(cookie, token)
