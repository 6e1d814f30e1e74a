"""Readings: a partitioned table, whose primary key has the column of the partitions, too."""

import datetime
from typing import Annotated, Any

import sqlalchemy as sa
from geoalchemy2 import Geometry, WKBElement
from geotables import Collection, Date, GeoJSON, RowIn, RowOut, Text
from shapely.geometry.base import BaseGeometry
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base


class Reading(Base):
    """A row of ``readings``."""

    __tablename__ = "readings"
    __table_args__ = (
        sa.Index("readings_place_idx", "place", postgresql_using="gist"),
        sa.Index("readings_place_geog", sa.text("(place::geography)"), postgresql_using="gist"),
    )

    id: Mapped[int] = mapped_column(
        sa.BigInteger(),
        primary_key=True,
        server_default=sa.text("nextval('readings_id_seq')"),
    )
    day: Mapped[datetime.date] = mapped_column(sa.Date())
    note: Mapped[str | None] = mapped_column(sa.Text())
    place: Mapped[WKBElement] = mapped_column(
        Geometry("POINT", srid=4326, dimension=2, spatial_index=False)
    )


#: How the resource writes the geometry.
GEOMETRY = GeoJSON(Reading.place)


class ReadingIn(RowIn):
    """A row as a client sends it: what has a default, or may be null, may be left out."""

    day: Date
    note: Text | None = None
    place: Annotated[BaseGeometry, GEOMETRY]


class ReadingOut(RowOut):
    """A row as the service returns it: a column that is not here is hidden."""

    id: int
    day: datetime.date
    note: str | None
    place: Annotated[BaseGeometry, GEOMETRY]


def example(number: int) -> dict[str, Any]:
    """A row that the table takes, without its geometry."""
    # On both sides of where the partitions meet.
    return {
        "day": datetime.date(2020, 12, 25) + datetime.timedelta(days=number % 14),
        "note": f"note {number}",
    }


COLLECTION = Collection(Reading, create=ReadingIn, read=ReadingOut, example=example)
