"""Sites: a view over a join, with columns that are shown as text."""

from typing import Annotated, Any

import sqlalchemy as sa
from geoalchemy2 import Geometry, WKBElement
from geotables import WKT, AsText, Collection, RowOut
from shapely.geometry.base import BaseGeometry
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base


class Site(Base):
    """A row of ``sites``."""

    __tablename__ = "sites"
    __table_args__ = ({"info": {"is_view": True}},)

    gid: Mapped[int] = mapped_column(sa.Integer(), primary_key=True, autoincrement=False)
    name: Mapped[str | None] = mapped_column(sa.Text())
    mood: Mapped[str | None] = mapped_column(AsText("mood"))
    tags: Mapped[str | None] = mapped_column(AsText("text[]"))
    open_hours: Mapped[str | None] = mapped_column(AsText("int4range"))
    address: Mapped[str | None] = mapped_column(AsText("inet"))
    net: Mapped[str | None] = mapped_column(AsText("cidr"))
    wait: Mapped[str | None] = mapped_column(AsText("interval"))
    extra: Mapped[str | None] = mapped_column(AsText("hstore"))
    spot: Mapped[str | None] = mapped_column(AsText("geography(Point,4326)"))
    raw: Mapped[str | None] = mapped_column(AsText("bytea"))
    at: Mapped[str | None] = mapped_column(AsText("time"))
    since: Mapped[str | None] = mapped_column(AsText("timestamp"))
    price: Mapped[str | None] = mapped_column(AsText("money"))
    doc: Mapped[str | None] = mapped_column(AsText("xml"))
    words: Mapped[str | None] = mapped_column(AsText("tsvector"))
    label: Mapped[str | None] = mapped_column(AsText("citext"))
    grade: Mapped[str | None] = mapped_column(AsText("grade"))
    pair: Mapped[str | None] = mapped_column(AsText("pair"))
    bits: Mapped[str | None] = mapped_column(AsText("bit(3)"))
    dot: Mapped[str | None] = mapped_column(AsText("point"))
    path: Mapped[str | None] = mapped_column(AsText("jsonpath"))
    ref: Mapped[str | None] = mapped_column(AsText("oid"))
    span: Mapped[str | None] = mapped_column(AsText("tstzrange"))
    shape: Mapped[WKBElement | None] = mapped_column(
        Geometry("GEOMETRY", srid=2193, dimension=2, spatial_index=False)
    )


#: How the resource writes the geometry.
GEOMETRY = WKT(Site.shape)


class SiteOut(RowOut):
    """A row as the service returns it: a column that is not here is hidden."""

    gid: int
    name: str | None
    mood: str | None
    tags: str | None
    open_hours: str | None
    address: str | None
    net: str | None
    wait: str | None
    extra: str | None
    spot: str | None
    raw: str | None
    at: str | None
    since: str | None
    price: str | None
    doc: str | None
    words: str | None
    label: str | None
    grade: str | None
    pair: str | None
    bits: str | None
    dot: str | None
    path: str | None
    ref: str | None
    span: str | None
    shape: Annotated[BaseGeometry, GEOMETRY] | None


def example(number: int) -> dict[str, Any]:
    """A row as an INSERT gives it, without its geometry."""
    return {
        "gid": number + 1,
        "name": f"site {number}" if number % 3 != 1 else None,
        "mood": ("sad", "ok", "happy")[number % 3],
        "tags": f"{{a,tag {number}}}",
        "open_hours": f"[{number},{number + 10})",
        "net": "10.0.0.0/8" if number % 4 != 1 else None,
        "wait": "1 day 02:00:00" if number % 4 != 1 else None,
        "extra": '"a"=>"1"' if number % 4 != 1 else None,
        "spot": "0101000020E6100000000000000000F03F0000000000000040" if number % 4 != 1 else None,
        "raw": "\\x00ff" if number % 4 != 1 else None,
        "at": "12:30:00" if number % 4 != 1 else None,
        "since": "2020-01-31 12:30:00" if number % 4 != 1 else None,
        "price": "$1.50" if number % 4 != 1 else None,
        "doc": "<a>it's</a>" if number % 4 != 1 else None,
        "words": "'a' 'b'" if number % 4 != 1 else None,
        "label": "Mill" if number % 4 != 1 else None,
        "grade": "b" if number % 4 != 1 else None,
        "pair": "(1,x)" if number % 4 != 1 else None,
        "bits": "101" if number % 4 != 1 else None,
        "dot": "(1,2)" if number % 4 != 1 else None,
        "path": '$."a"' if number % 4 != 1 else None,
        "ref": "42" if number % 4 != 1 else None,
        "span": "empty" if number % 4 != 1 else None,
        "address": None if number % 2 else f"192.168.0.{number % 256}",
    }


COLLECTION = Collection(Site, read=SiteOut, example=example)
