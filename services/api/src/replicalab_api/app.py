"""Composition root of the gateway: the one place that knows every concrete class."""

from collections.abc import Mapping

from fastapi import FastAPI

from replicalab.db.database import Database
from replicalab.domain.accounts import Role
from replicalab.domain.upload_resources import UploadKind
from replicalab.engine.datasets import Datasets
from replicalab.engine.doorbells import Doorbells, celery_app
from replicalab.engine.experiments import Experiments
from replicalab.engine.generators import Generators
from replicalab.engine.journal import EVENTS_CHANNEL
from replicalab.engine.listener import Listener
from replicalab.engine.restoring import Restorations
from replicalab.engine.uploads import Uploads
from replicalab.storage.artifacts import ArtifactStore
from replicalab.storage.factory import open_store
from replicalab.storage.objects import ObjectStore
from replicalab.telemetry import configure_logging
from replicalab_api.accounts.provider import CALLBACK
from replicalab_api.accounts.routers import account_routers, login_router, provider_router
from replicalab_api.datasets.routes import router as datasets_router
from replicalab_api.experiments.changes import router as changes_router
from replicalab_api.experiments.exports import router as exports_router
from replicalab_api.experiments.looks import Looks
from replicalab_api.experiments.news import News
from replicalab_api.experiments.routes import router as experiments_router
from replicalab_api.experiments.visible import LabExperiments
from replicalab_api.generators.routes import router as generators_router
from replicalab_api.health.routes import ReadinessCheck
from replicalab_api.health.routes import router as health_router
from replicalab_api.http.application import build_app, equip
from replicalab_api.http.cursors import CursorCodec
from replicalab_api.http.limiting import EXPORT_ADVICE, RateLimits, StreamPlaces
from replicalab_api.http.serving import serve
from replicalab_api.http.wakeups import Wakeups
from replicalab_api.identity.bootstrap import ensure_foundation
from replicalab_api.identity.oidc import Provider, ProviderAccount
from replicalab_api.identity.services import AccountServices, account_services
from replicalab_api.identity.token_text import Pepper
from replicalab_api.imports.uploads import LabUploads
from replicalab_api.imports.visible import LabImports
from replicalab_api.limits.shared import SharedBuckets, SturdyBuckets
from replicalab_api.rules import RULES
from replicalab_api.settings import GatewaySettings, OidcSettings
from replicalab_api.storage.routes import router as storage_router
from replicalab_api.storage.service import LabStorage
from replicalab_api.uploads.routes import router as uploads_router
from replicalab_api.webhooks.addresses import AddressPolicy
from replicalab_api.webhooks.deliveries import LabDeliveries
from replicalab_api.webhooks.routes import router as webhooks_router
from replicalab_api.webhooks.signatures import WebhookSecrets
from replicalab_api.webhooks.visible import LabWebhooks
from replicalab_api.workers.routes import router as workers_router
from replicalab_api.workers.service import LabWorkers

PROTECTED = (
    experiments_router,
    changes_router,
    exports_router,
    generators_router,
    datasets_router,
    uploads_router,
    workers_router,
    storage_router,
    webhooks_router,
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


def _accounts(
    settings: GatewaySettings, database: Database, buckets: SturdyBuckets
) -> AccountServices:
    oidc = settings.oidc
    return account_services(
        database,
        settings.pepper.get_secret_value(),
        settings.token.get_secret_value() if settings.token else None,
        provider=Provider(provider_account(oidc)) if oidc else None,
        role_of_new=oidc.role if oidc else Role.VIEWER,
        buckets=buckets,
        limits=settings.limits,
    )


def _webhooks(settings: GatewaySettings, database: Database) -> Mapping[str, object]:
    allowed = settings.webhooks
    secrets = WebhookSecrets(Pepper(settings.pepper.get_secret_value()))
    policy = AddressPolicy(allowed.networks, may_use_http=allowed.may_use_http)
    return {
        "webhooks": LabWebhooks(database, secrets, policy),
        "webhook_deliveries": LabDeliveries(database),
    }


def _uploads(settings: GatewaySettings, database: Database, objects: ObjectStore) -> LabUploads:
    return LabUploads(
        Uploads(database, objects, life_seconds=settings.keeping.upload_grace_seconds),
        database,
        max_bytes={
            UploadKind.DATASET: settings.max_dataset_bytes,
            UploadKind.GENERATOR: settings.max_snapshot_bytes,
        },
        max_direct_bytes=settings.max_direct_bytes,
    )


def routes() -> FastAPI:
    """Every route of the gateway, not equipped yet."""
    return build_app(
        rules=RULES,
        probes=[health_router],
        open_routers=[login_router, provider_router],
        protected_routers=PROTECTED,
    )


def gateway(settings: GatewaySettings, database: Database, wakeups: Wakeups) -> FastAPI:
    """The gateway with every part that ``settings`` ask for."""
    broker_url = settings.broker.url.get_secret_value()
    objects = open_store(settings.store)
    artifacts = ArtifactStore(objects)
    doorbells = Doorbells(celery_app(broker_url))
    buckets = SturdyBuckets(SharedBuckets(broker_url))
    accounts = _accounts(settings, database, buckets)
    limits = RateLimits(buckets, settings.limits)
    experiments = Experiments(database, artifacts, most_open_tasks=settings.limits.open_tasks)
    return equip(
        routes(),
        identities=accounts.accounts,
        limits=limits,
        state={
            "experiments": LabExperiments(experiments, Restorations(database, artifacts), database),
            "looks": Looks(experiments),
            "workers": LabWorkers(database),
            "accounts": accounts,
            "generators": LabImports(Generators(database, artifacts), database),
            "datasets": LabImports(Datasets(database, artifacts), database),
            **_webhooks(settings, database),
            "max_export_bytes": settings.max_export_bytes,
            "uploads": _uploads(settings, database, objects),
            "objects": objects,
            "storage": LabStorage(database, objects, settings.keeping),
            "cursors": CursorCodec(settings.pepper.get_secret_value()),
            "stream_places": StreamPlaces(settings.limits.streams),
            "export_places": StreamPlaces(settings.limits.exports, "exports", EXPORT_ADVICE),
            "installation": settings.installation,
            "wakeups": wakeups,
            "readiness_checks": [
                ReadinessCheck("database", database.check),
                ReadinessCheck("store", objects.check),
                ReadinessCheck("broker", doorbells.check, is_vital=False),
                ReadinessCheck("limits", buckets.check, is_vital=False),
            ],
        },
        max_body_bytes=settings.max_body_bytes,
    )


def main() -> None:
    """Serve the REST interface until SIGTERM."""
    settings = GatewaySettings()
    configure_logging(settings.log_level)
    url = settings.database.url.get_secret_value()
    database = Database(url, pool_size=settings.database.pool_size)
    with database.transaction() as session:
        ensure_foundation(session)
    wakeups = Wakeups()
    app = gateway(settings, database, wakeups)
    listener = Listener(url, EVENTS_CHANNEL, News(database, wakeups).spread)
    listener.start()
    try:
        serve(app, wakeups, host=settings.host, port=settings.port, patience=settings.patience)
    finally:
        listener.stop()
        database.close()
