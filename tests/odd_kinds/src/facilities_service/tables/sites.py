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
    shape: Annotated[BaseGeometry, GEOMETRY] | None


def example(number: int) -> dict[str, Any]:
    """A row as an INSERT gives it, without its geometry."""
    return {
        "gid": number + 1,
        "name": f"site {number}" if number % 3 != 1 else None,
        "mood": ("sad", "ok", "happy")[number % 3],
        "tags": f"{{a,tag {number}}}",
        "open_hours": f"[{number},{number + 10})",
        "address": None if number % 2 else f"192.168.0.{number % 256}",
    }


COLLECTION = Collection(Site, read=SiteOut, example=example)
