"""A table with a smallint that a sequence numbers; another schema has one of the same name."""

from typing import Annotated, Any

import sqlalchemy as sa
from geoalchemy2 import Geometry, WKBElement
from geotables import Collection, GeoJSON, RowIn, RowOut, Text
from pydantic import Field
from shapely.geometry.base import BaseGeometry
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base


class Road(Base):
    """A row of ``roads``."""

    __tablename__ = "roads"
    __table_args__ = (sa.Index("roads_geom_idx", "geom", postgresql_using="gist"),)

    gid: Mapped[int] = mapped_column(
        sa.SmallInteger(),
        primary_key=True,
        server_default=sa.text("nextval('roads_gid_seq'::regclass)"),
    )
    name: Mapped[str | None] = mapped_column(sa.Text())
    geom: Mapped[WKBElement] = mapped_column(
        Geometry("LINESTRING", srid=2193, dimension=2, spatial_index=False)
    )


#: How the resource writes the geometry.
GEOMETRY = GeoJSON(Road.geom)


class RoadIn(RowIn):
    """A row as a client sends it: what has a default, or may be null, may be left out."""

    READ_ONLY = frozenset({"gid"})

    name: Text | None = Field(default=None)
    geom: Annotated[BaseGeometry, GEOMETRY]


class RoadOut(RowOut):
    """A row as the service returns it: a column that is not here is hidden."""

    gid: int
    name: str | None
    geom: Annotated[BaseGeometry, GEOMETRY]


def example(number: int) -> dict[str, Any]:
    """A row that the table takes, without its geometry."""
    return {"name": f"Road {number}"}


COLLECTION = Collection(Road, create=RoadIn, read=RoadOut, example=example)
