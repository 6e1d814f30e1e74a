"""Tables of PostGIS as REST resources, OGC API collections, vector tiles and files. README.md lists the public names."""

from geotables.collection import EVERY_ROW, Change, Collection, NewRow, OldRow, Refused
from geotables.column_types import (
    AsText,
    BigInt,
    Date,
    ExactNumber,
    Json,
    RowIn,
    RowOut,
    Text,
    Timestamp,
)
from geotables.context import Caller
from geotables.crs import UnknownCRS
from geotables.db.migrations import Migrations
from geotables.db.statements import Condition
from geotables.geometry import WKT, GeoJSON

__all__ = [
    "EVERY_ROW",
    "WKT",
    "AsText",
    "BigInt",
    "Caller",
    "Change",
    "Collection",
    "Condition",
    "Date",
    "ExactNumber",
    "GeoJSON",
    "Json",
    "Migrations",
    "NewRow",
    "OldRow",
    "Refused",
    "RowIn",
    "RowOut",
    "Text",
    "Timestamp",
    "UnknownCRS",
]
