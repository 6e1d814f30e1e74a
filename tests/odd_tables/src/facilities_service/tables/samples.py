"""A table with a time that clients give for a key, or leave to the database."""

import datetime
from typing import Annotated, Any

import sqlalchemy as sa
from geoalchemy2 import Geometry, WKBElement
from geotables import Collection, GeoJSON, RowIn, RowOut, Text, Timestamp
from pydantic import Field
from shapely.geometry.base import BaseGeometry
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base


def now() -> datetime.datetime:
    """The time."""
    return datetime.datetime.now(datetime.UTC)


class Sample(Base):
    """A row of ``samples``."""

    __tablename__ = "samples"
    __table_args__ = (
        sa.Index("samples_geom_idx", "geom", postgresql_using="gist"),
        sa.Index("samples_geog_idx", sa.text("(geom::geography)"), postgresql_using="gist"),
    )

    taken: Mapped[datetime.datetime] = mapped_column(
        sa.DateTime(timezone=True), primary_key=True, server_default=sa.func.clock_timestamp()
    )
    depth: Mapped[int] = mapped_column(sa.SmallInteger())
    code: Mapped[str] = mapped_column(sa.String(10), unique=True)
    geom: Mapped[WKBElement] = mapped_column(
        Geometry("GEOMETRY", srid=4326, dimension=2, spatial_index=False)
    )


#: How the resource writes the geometry.
GEOMETRY = GeoJSON(Sample.geom)


class SampleIn(RowIn):
    """A row as a client sends it: what has a default, or may be null, may be left out."""

    READ_ONLY = frozenset()

    taken: Timestamp = Field(default_factory=now)
    depth: int = Field(ge=-(2**15), le=2**15 - 1)
    code: Text = Field(max_length=10)
    geom: Annotated[BaseGeometry, GEOMETRY]


class SampleOut(RowOut):
    """A row as the service returns it: a column that is not here is hidden."""

    taken: datetime.datetime
    depth: int
    code: str
    geom: Annotated[BaseGeometry, GEOMETRY]


def example(number: int) -> dict[str, Any]:
    """A row that the table takes, without its geometry."""
    start = datetime.datetime(2020, 2, 28, 23, 59, 59, 999_990, tzinfo=datetime.UTC)
    taken = start + datetime.timedelta(microseconds=number)
    return {"taken": taken, "depth": number, "code": f"S{number}"}


COLLECTION = Collection(Sample, create=SampleIn, read=SampleOut, example=example)
