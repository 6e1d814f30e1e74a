"""What an application keeps: its settings, its collections, the connections to the database, and what it has found out."""

from collections.abc import Sequence
from threading import BoundedSemaphore

from fastapi import FastAPI

from geotables.collection import Collection
from geotables.db.database import Database
from geotables.db.migrations import Migrations
from geotables.http.health import Readiness
from geotables.http.metrics import Metrics
from geotables.settings import ServiceSettings
from geotables.sql.counts import Counts
from geotables.sql.extent import Extents
from geotables.sql.overviews import Overviews


def install(
    app: FastAPI,
    settings: ServiceSettings,
    collections: Sequence[Collection],
    migrations: Migrations,
) -> None:
    """Make what the application needs; it connects to the database with the first request that needs it."""
    database = Database(settings)
    app.state.settings = settings
    app.state.collections = list(collections)
    app.state.migrations = migrations
    app.state.database = database
    app.state.extents = {
        each.name: Extents(database, each, settings.extent_lifetime) for each in collections
    }
    app.state.counts = {
        each.name: Counts(database, each, settings.count_lifetime) for each in collections
    }
    app.state.overviews = {
        each.name: Overviews(database, each, settings.extent_lifetime, settings.tile_limit)
        for each in collections
    }
    app.state.downloads = BoundedSemaphore(settings.downloads)
    app.state.metrics = Metrics(database)
    database.count_rows = app.state.metrics.count_rows
    app.state.running = set()
    app.state.readiness = Readiness(database, migrations)
