"""Composition root of the gateway: the one place that knows every concrete class."""

from replicalab.db.database import Database
from replicalab.domain.accounts import Role
from replicalab.engine.doorbells import Doorbells, celery_app
from replicalab.engine.experiments import Experiments
from replicalab.engine.generators import Generators
from replicalab.engine.journal import EVENTS_CHANNEL
from replicalab.engine.listener import Listener
from replicalab.storage.artifacts import ArtifactStore
from replicalab.storage.factory import open_store
from replicalab.telemetry import configure_logging
from replicalab_api.accounts.provider import CALLBACK
from replicalab_api.accounts.routers import account_routers, login_router, provider_router
from replicalab_api.experiments.changes import router as changes_router
from replicalab_api.experiments.routes import router as experiments_router
from replicalab_api.experiments.visible import LabExperiments
from replicalab_api.generators.routes import router as generators_router
from replicalab_api.generators.visible import LabGenerators
from replicalab_api.health.routes import ReadinessCheck
from replicalab_api.health.routes import router as health_router
from replicalab_api.http.application import build_app
from replicalab_api.http.authentication import Authentication
from replicalab_api.http.cursors import CursorCodec
from replicalab_api.http.serving import serve
from replicalab_api.http.wakeups import Wakeups
from replicalab_api.identity.bootstrap import ensure_foundation
from replicalab_api.identity.oidc import Provider, ProviderAccount
from replicalab_api.identity.services import account_services
from replicalab_api.rules import RULES
from replicalab_api.settings import GatewaySettings, OidcSettings
from replicalab_api.storage.routes import router as storage_router
from replicalab_api.storage.service import LabStorage
from replicalab_api.workers.routes import router as workers_router
from replicalab_api.workers.service import LabWorkers

PROTECTED = (
    experiments_router,
    changes_router,
    generators_router,
    workers_router,
    storage_router,
    *account_routers,
)
"""Routers that authenticate their callers."""


def provider_account(oidc: OidcSettings) -> ProviderAccount:
    """What the lab is to its login provider."""
    return ProviderAccount(
        issuer=oidc.issuer,
        client_id=oidc.client_id,
        client_secret=oidc.client_secret.get_secret_value(),
        redirect_uri=oidc.public_url.rstrip("/") + CALLBACK,
    )


def main() -> None:
    """Serve the REST interface until SIGTERM."""
    settings = GatewaySettings()
    configure_logging(settings.log_level)
    url, pepper = settings.database.url.get_secret_value(), settings.pepper.get_secret_value()
    database = Database(url, pool_size=settings.database.pool_size)
    objects = open_store(settings.store)
    artifacts = ArtifactStore(objects)
    doorbells = Doorbells(celery_app(settings.broker.url.get_secret_value()))
    wakeups = Wakeups()
    token = settings.token.get_secret_value() if settings.token else None
    accounts = account_services(
        database,
        pepper,
        token,
        provider=Provider(provider_account(settings.oidc)) if settings.oidc else None,
        role_of_new=settings.oidc.role if settings.oidc else Role.VIEWER,
    )
    with database.transaction() as session:
        ensure_foundation(session)
    app = build_app(
        authentication=Authentication(accounts.accounts, RULES),
        open_routers=[health_router, login_router, provider_router],
        protected_routers=PROTECTED,
        state={
            "experiments": LabExperiments(Experiments(database, artifacts), database),
            "workers": LabWorkers(database),
            "accounts": accounts,
            "generators": LabGenerators(Generators(database, artifacts), database),
            "max_snapshot_bytes": settings.max_snapshot_bytes,
            "objects": objects,
            "storage": LabStorage(database, objects, settings.keeping),
            "cursors": CursorCodec(pepper),
            "wakeups": wakeups,
            "readiness_checks": [
                ReadinessCheck("database", database.check),
                ReadinessCheck("store", objects.check),
                ReadinessCheck("broker", doorbells.check, is_vital=False),
            ],
        },
        max_body_bytes=settings.max_body_bytes,
    )
    listener = Listener(url, EVENTS_CHANNEL, wakeups.notify)
    listener.start()
    try:
        serve(app, wakeups, host=settings.host, port=settings.port)
    finally:
        listener.stop()
        database.close()
