"""A table of another schema, with a text that clients give for a key, and names that SQL has to quote."""

from typing import Annotated, Any

import sqlalchemy as sa
from geoalchemy2 import Geometry, WKBElement
from geotables import Collection, GeoJSON, RowIn, RowOut, Text
from pydantic import Field
from shapely.geometry.base import BaseGeometry
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base


class LandParcel(Base):
    """A row of ``Land Parcels``, in the schema ``Cadastre``."""

    __tablename__ = "Land Parcels"
    __table_args__ = (
        sa.UniqueConstraint("100% (a)", name="Land Parcels 100%"),
        sa.CheckConstraint("\"100% (a)\" NOT LIKE '%!%'", name="Land Parcels (a)"),
        sa.Index("Land Parcels geom", "The Geom", postgresql_using="gist"),
        sa.Index("Land Parcels geog", sa.text('("The Geom"::geography)'), postgresql_using="gist"),
        {"schema": "Cadastre"},
    )

    parcel_no: Mapped[str] = mapped_column("Parcel No", sa.Text(), primary_key=True)
    land_use: Mapped[str | None] = mapped_column("Land Use", sa.Text())
    land_use_2: Mapped[str] = mapped_column("Land_Use", sa.String(8), server_default="none")
    housenumber: Mapped[str | None] = mapped_column("addr:housenumber", sa.Text())
    percent: Mapped[str] = mapped_column("100% (a)", sa.Text())
    size: Mapped[float | None] = mapped_column("Größe", sa.Double())
    select: Mapped[int | None] = mapped_column(sa.Integer())
    class_: Mapped[str | None] = mapped_column("class", sa.Text())
    id_: Mapped[int | None] = mapped_column("_id", sa.BigInteger())
    place_: Mapped[str | None] = mapped_column("_place", sa.Text())
    limit: Mapped[int | None] = mapped_column(sa.Integer())
    distance: Mapped[float | None] = mapped_column(sa.Double())
    lat: Mapped[float | None] = mapped_column(sa.Double())
    the_geom: Mapped[WKBElement] = mapped_column(
        "The Geom", Geometry("POINT", srid=4326, dimension=2, spatial_index=False)
    )


#: How the resource writes the geometry.
GEOMETRY = GeoJSON(LandParcel.__table__.c["The Geom"])

Integer = Annotated[int, Field(ge=-(2**31), le=2**31 - 1)]
BigInt = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
Float = Annotated[float, Field(allow_inf_nan=False)]


class LandParcelIn(RowIn):
    """A row as a client sends it: what has a default, or may be null, may be left out."""

    READ_ONLY = frozenset()

    parcel_no: Text = Field(alias="Parcel No")
    land_use: Text | None = Field(default=None, alias="Land Use")
    land_use_2: Text = Field(default="none", alias="Land_Use", max_length=8)
    housenumber: Text | None = Field(default=None, alias="addr:housenumber")
    percent: Text = Field(alias="100% (a)")
    size: Float | None = Field(default=None, alias="Größe")
    select: Integer | None = None
    class_: Text | None = Field(default=None, alias="class")
    id_: BigInt | None = Field(default=None, alias="_id")
    place_: Text | None = Field(default=None, alias="_place")
    limit: Integer | None = None
    distance: Float | None = None
    lat: Float | None = None
    the_geom: Annotated[BaseGeometry, GEOMETRY] = Field(alias="The Geom")


class LandParcelOut(RowOut):
    """A row as the service returns it: a column that is not here is hidden."""

    parcel_no: str = Field(alias="Parcel No")
    land_use: str | None = Field(alias="Land Use")
    land_use_2: str = Field(alias="Land_Use")
    housenumber: str | None = Field(alias="addr:housenumber")
    percent: str = Field(alias="100% (a)")
    size: float | None = Field(alias="Größe")
    select: int | None
    class_: str | None = Field(alias="class")
    id_: int | None = Field(alias="_id")
    place_: str | None = Field(alias="_place")
    limit: int | None
    distance: float | None
    lat: float | None
    the_geom: Annotated[BaseGeometry, GEOMETRY] = Field(alias="The Geom")


#: Keys that paths have to encode.
ODD = ("a/b", "100 %", "nearby", "..", "?#", "~x", "Größe", "it's", ".", 'say "no"')


def example(number: int) -> dict[str, Any]:
    """A row that the table takes, without its geometry."""
    return {
        "Parcel No": f"{ODD[number % len(ODD)]}{number // len(ODD) or ''}",
        "Land Use": f"Meadow {number}",
        "Land_Use": "none",
        "addr:housenumber": f"{number} A",
        "100% (a)": f"{number} %",
        "Größe": number / 4,
        "select": number,
        "class": "B",
        "_id": number,
        "_place": f"place {number}",
        "limit": number,
        "distance": 0.5,
        "lat": 1.5,
    }


COLLECTION = Collection(
    LandParcel, create=LandParcelIn, read=LandParcelOut, example=example, name="land_parcels"
)
