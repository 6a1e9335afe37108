"""Every router of accounts."""

from replicalab_api.accounts import audit, projects, provider, session, tokens, users

login_router = session.login_router
provider_router = provider.router
account_routers = (
    session.router,
    users.router,
    projects.router,
    tokens.router,
    audit.router,
)
