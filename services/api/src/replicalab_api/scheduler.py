"""Composition root of the scheduler: ``python -m replicalab_api.scheduler``."""

import signal

from replicalab.db.database import Database
from replicalab.engine.dispatcher import Dispatcher
from replicalab.engine.doorbells import Doorbells, celery_app
from replicalab.engine.reconciler import Reconciler
from replicalab.engine.scheduler import Scheduler
from replicalab.engine.storekeeper import StoreKeeper
from replicalab.storage.factory import open_store
from replicalab.telemetry import configure_logging
from replicalab_api.identity.token_text import Pepper
from replicalab_api.settings import SchedulerSettings
from replicalab_api.webhooks.deliverer import Deliverer
from replicalab_api.webhooks.outbox import Outbox
from replicalab_api.webhooks.signatures import WebhookSecrets


def main() -> None:
    """Dispatch, reconcile and keep the store until SIGTERM."""
    settings = SchedulerSettings()
    configure_logging(settings.log_level)
    engine = settings.engine
    url = settings.database.url.get_secret_value()
    database = Database(url, pool_size=settings.database.pool_size)
    doorbells = Doorbells(celery_app(settings.broker.url.get_secret_value()))
    scheduler = Scheduler(
        url,
        Dispatcher(database, doorbells, redispatch_seconds=engine.redispatch_seconds),
        Reconciler(database, lease_seconds=engine.lease_seconds, max_lost=engine.max_lost),
        tick_seconds=engine.tick_seconds,
        reconcile_seconds=engine.beat_seconds,
    )
    keeper = StoreKeeper(database, lambda: open_store(settings.store), settings.keeping)
    deliverer = Deliverer(
        Outbox(database),
        WebhookSecrets(Pepper(settings.pepper.get_secret_value())),
        settings.webhooks,
    )
    deliverer.start()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: scheduler.stop())
    keeper.start()
    scheduler.run()
    keeper.stop()
    deliverer.stop()
    deliverer.join()
    database.close()


if __name__ == "__main__":
    main()
