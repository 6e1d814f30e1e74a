"""The tables that are served, a file for each."""

from geotables import Collection, Migrations

from . import facilities, parcels, readings, sites, surveys
from .base import Base

__all__ = ["COLLECTIONS", "MIGRATIONS", "facilities"]

#: The collections, in the order in which clients see them.
COLLECTIONS: list[Collection] = [
    parcels.COLLECTION,
    readings.COLLECTION,
    sites.COLLECTION,
    surveys.COLLECTION,
]

MIGRATIONS = Migrations(
    Base.metadata,
    package="facilities_service",
    version_table="alembic_version_facilities_service",
)
