"""Everything there is to ask of accounts, put together once."""

from dataclasses import dataclass

from replicalab.db.database import Database
from replicalab.domain.accounts import Role
from replicalab_api.identity.audit import AuditLog
from replicalab_api.identity.authenticator import Accounts
from replicalab_api.identity.bootstrap import BootstrapToken
from replicalab_api.identity.limiter import LoginLimiter
from replicalab_api.identity.oidc import Provider
from replicalab_api.identity.passwords import Passwords
from replicalab_api.identity.projects import Projects
from replicalab_api.identity.provider_logins import ProviderLogins
from replicalab_api.identity.sessions import Sessions
from replicalab_api.identity.token_text import Pepper
from replicalab_api.identity.tokens import Tokens
from replicalab_api.identity.users import Users
from replicalab_api.limits.buckets import Buckets, LocalBuckets
from replicalab_api.settings import LimitSettings


@dataclass(frozen=True, slots=True)
class AccountServices:
    """Who is who, and the means to change it."""

    accounts: Accounts
    users: Users
    projects: Projects
    tokens: Tokens
    sessions: Sessions
    audit: AuditLog
    provider_logins: ProviderLogins | None = None


def account_services(
    database: Database,
    pepper: str,
    bootstrap_token: str | None,
    passwords: Passwords | None = None,
    *,
    provider: Provider | None = None,
    role_of_new: Role = Role.VIEWER,
    buckets: Buckets | None = None,
    limits: LimitSettings | None = None,
) -> AccountServices:
    """The services on ``database``.

    Args:
        database: With the present schema.
        pepper: At least 32 characters, kept outside of the database.
        bootstrap_token: Lets the first administrator in; None once there are others.
        passwords: How passwords are hashed.
        provider: An OpenID Connect provider that people log in at.
        role_of_new: Role of those whom the provider vouches for the first time.
        buckets: Where attempts to log in are counted; in this process by default.
        limits: How many there may be.
    """
    keyed, passwords = Pepper(pepper), passwords or Passwords()
    limiter = LoginLimiter(buckets or LocalBuckets(), limits or LimitSettings(), keyed)
    tokens, sessions = Tokens(database, keyed), Sessions(database, keyed, passwords, limiter)
    bootstrap = BootstrapToken(bootstrap_token) if bootstrap_token else None
    return AccountServices(
        accounts=Accounts(bootstrap, tokens, sessions),
        users=Users(database, passwords, limiter),
        projects=Projects(database),
        tokens=tokens,
        sessions=sessions,
        audit=AuditLog(database),
        provider_logins=(
            None
            if provider is None
            else ProviderLogins(provider, database, keyed, sessions, role_of_new)
        ),
    )
