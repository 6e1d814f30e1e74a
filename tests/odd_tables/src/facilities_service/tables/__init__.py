"""The tables that are served, a file for each."""

from geotables import Collection, Migrations

from . import land_parcels, old_roads, roads, samples, surveys
from .base import Base

#: The collections, in the order in which clients see them.
COLLECTIONS: list[Collection] = [
    land_parcels.COLLECTION,
    roads.COLLECTION,
    old_roads.COLLECTION,
    surveys.COLLECTION,
    samples.COLLECTION,
]

MIGRATIONS = Migrations(
    Base.metadata,
    package="facilities_service",
    version_table="alembic_version_facilities_service",
)
