"""Composition root of the gateway: the one place that knows every concrete class."""

from replicalab.db.database import Database
from replicalab.engine.doorbells import Doorbells, celery_app
from replicalab.engine.experiments import Experiments
from replicalab.engine.journal import EVENTS_CHANNEL
from replicalab.engine.listener import Listener
from replicalab.storage.artifacts import ArtifactStore
from replicalab.storage.factory import open_store
from replicalab.telemetry import configure_logging
from replicalab_api.experiments.routes import router as experiments_router
from replicalab_api.health.routes import ReadinessCheck
from replicalab_api.health.routes import router as health_router
from replicalab_api.http.application import build_app
from replicalab_api.http.authentication import TokenAuthentication
from replicalab_api.http.cursors import CursorCodec
from replicalab_api.http.serving import serve
from replicalab_api.http.wakeups import Wakeups
from replicalab_api.settings import GatewaySettings


def main() -> None:
    """Serve the REST interface until SIGTERM."""
    settings = GatewaySettings()
    configure_logging(settings.log_level)
    url, token = settings.database.url.get_secret_value(), settings.token.get_secret_value()
    database = Database(url, pool_size=settings.database.pool_size)
    objects = open_store(settings.store)
    doorbells = Doorbells(celery_app(settings.broker.url.get_secret_value()))
    wakeups = Wakeups()
    app = build_app(
        authentication=TokenAuthentication(token),
        open_routers=[health_router],
        protected_routers=[experiments_router],
        state={
            "experiments": Experiments(database, ArtifactStore(objects)),
            "objects": objects,
            "cursors": CursorCodec(token),
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
