"""Parcels: a geometry that may be null, another beside it, and columns of less usual types."""

from decimal import Decimal
from typing import Annotated, Any, ClassVar

import sqlalchemy as sa
from geoalchemy2 import Geometry, WKBElement
from geotables import AsText, Collection, ExactNumber, GeoJSON, Json, RowIn, RowOut, Text
from pydantic import Field
from shapely.geometry.base import BaseGeometry
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base


class Parcel(Base):
    """A row of ``parcels``."""

    __tablename__ = "parcels"
    __table_args__ = (sa.Index("parcels_outline_idx", "outline", postgresql_using="gist"),)

    id: Mapped[int] = mapped_column(sa.BigInteger(), sa.Identity(), primary_key=True)
    floors: Mapped[int | None] = mapped_column(sa.SmallInteger())
    share: Mapped[float | None] = mapped_column(sa.REAL())
    amount: Mapped[Decimal | None] = mapped_column(sa.Numeric())
    label: Mapped[str | None] = mapped_column(sa.String())
    code: Mapped[str | None] = mapped_column(sa.CHAR(5))
    extra: Mapped[Any | None] = mapped_column(sa.JSON(none_as_null=True))
    number: Mapped[int] = mapped_column(sa.Integer(), sa.Identity(always=True))
    twice: Mapped[int | None] = mapped_column(
        sa.Integer(), sa.Computed("floors * 2", persisted=True)
    )
    mood: Mapped[str] = mapped_column(AsText("mood"), server_default="ok")
    entrance: Mapped[str | None] = mapped_column(AsText("geometry(Point,4326)"))
    outline: Mapped[WKBElement | None] = mapped_column(
        Geometry("MULTIPOLYGON", srid=27700, dimension=2, spatial_index=False)
    )


#: How the resource writes the geometry.
GEOMETRY = GeoJSON(Parcel.outline)


class ParcelIn(RowIn):
    """A row as a client sends it: what has a default, or may be null, may be left out."""

    READ_ONLY: ClassVar[frozenset[str]] = frozenset({"id", "number", "twice", "mood", "entrance"})

    floors: int | None = Field(default=None, ge=-(2**15), le=2**15 - 1)
    share: float | None = Field(default=None, allow_inf_nan=False)
    amount: ExactNumber | None = None
    label: Text | None = None
    code: Text | None = Field(default=None, max_length=5)
    extra: Json | None = None
    outline: Annotated[BaseGeometry, GEOMETRY] | None = None


class ParcelOut(RowOut):
    """A row as the service returns it: a column that is not here is hidden."""

    id: int
    floors: int | None
    share: float | None
    amount: ExactNumber | None
    label: str | None
    code: str | None
    extra: Any | None
    number: int
    twice: int | None
    mood: str
    entrance: str | None
    outline: Annotated[BaseGeometry, GEOMETRY] | None


def example(number: int) -> dict[str, Any]:
    """A row that the table takes, without its geometry."""
    return {
        "floors": number % 100,
        "share": (number % 10) / 10,
        "amount": Decimal(number) / 1000,
        "label": f"parcel {number}",
        "code": f"p{number % 1000}",
        "extra": {"number": number},
    }


COLLECTION = Collection(Parcel, create=ParcelIn, read=ParcelOut, example=example)
