"""What the commands and the checks need to know of a project."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from geotables.collection import Collection
from geotables.db.migrations import Migrations
from geotables.settings import ServiceSettings

if TYPE_CHECKING:
    from fastapi import FastAPI


@dataclass(frozen=True)
class Service:
    """A project's parts.

    Attributes:
        package: The name of its package, by which ``python -m`` runs it.
        settings: The class of its settings.
        collections: The collections that are served, in order.
        migrations: Its revisions.
        factory: What makes the application of settings, as uvicorn names it: ``package.main:create_app``.
    """

    package: str
    settings: type[ServiceSettings]
    collections: Sequence[Collection]
    migrations: Migrations
    factory: str

    def create_app(self, settings: ServiceSettings) -> "FastAPI":
        """The application; importing it takes a second that most commands need not wait."""
        from uvicorn.importer import import_from_string

        app: FastAPI = import_from_string(self.factory)(settings)
        return app
