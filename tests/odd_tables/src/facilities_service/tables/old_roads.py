"""The table of another schema that has the name of one here, with an exact number that clients give for a key."""

from decimal import Decimal
from typing import Annotated, Any

import sqlalchemy as sa
from geoalchemy2 import Geometry, WKBElement
from geotables import WKT, Collection, ExactNumber, RowIn, RowOut, Text
from pydantic import Field
from shapely.geometry.base import BaseGeometry
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base


class OldRoad(Base):
    """A row of ``roads``, in the schema ``archive``."""

    __tablename__ = "roads"
    __table_args__ = (
        sa.Index("roads_geom_idx", "geom", postgresql_using="gist"),
        {"schema": "archive"},
    )

    number: Mapped[Decimal] = mapped_column(sa.Numeric(20, 2), primary_key=True)
    name: Mapped[str] = mapped_column(sa.Text())
    geom: Mapped[WKBElement] = mapped_column(
        Geometry("LINESTRING", srid=2193, dimension=2, spatial_index=False)
    )


#: How the resource writes the geometry.
GEOMETRY = WKT(OldRoad.geom)


class OldRoadIn(RowIn):
    """A row as a client sends it: what has a default, or may be null, may be left out."""

    READ_ONLY = frozenset()

    number: ExactNumber = Field(max_digits=20, decimal_places=2)
    name: Text
    geom: Annotated[BaseGeometry, GEOMETRY]


class OldRoadOut(RowOut):
    """A row as the service returns it: a column that is not here is hidden."""

    number: ExactNumber
    name: str
    geom: Annotated[BaseGeometry, GEOMETRY]


def example(number: int) -> dict[str, Any]:
    """A row that the table takes, without its geometry."""
    return {"number": Decimal(number) + Decimal("0.25"), "name": f"Road {number}"}


COLLECTION = Collection(
    OldRoad, create=OldRoadIn, read=OldRoadOut, example=example, name="old_roads"
)
