"""Surveys: a geometry column without a type in the database."""

from typing import Annotated, Any

import sqlalchemy as sa
from geoalchemy2 import Geometry, WKBElement
from geotables import Collection, GeoJSON, RowIn, RowOut, Text
from shapely.geometry.base import BaseGeometry
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base


class Survey(Base):
    """A row of ``surveys``."""

    __tablename__ = "surveys"
    __table_args__ = (sa.Index("surveys_geom_idx", "geom", postgresql_using="gist"),)

    id: Mapped[int] = mapped_column(sa.BigInteger(), sa.Identity(), primary_key=True)
    name: Mapped[str | None] = mapped_column(sa.Text())
    geom: Mapped[WKBElement | None] = mapped_column(
        Geometry("GEOMETRY", srid=2193, dimension=2, spatial_index=False)
    )


#: How the resource writes the geometry.
GEOMETRY = GeoJSON(Survey.geom)


class SurveyIn(RowIn):
    """A row as a client sends it: what has a default, or may be null, may be left out."""

    name: Text | None = None
    geom: Annotated[BaseGeometry, GEOMETRY] | None = None


class SurveyOut(RowOut):
    """A row as the service returns it: a column that is not here is hidden."""

    id: int
    name: str | None
    geom: Annotated[BaseGeometry, GEOMETRY] | None


def example(number: int) -> dict[str, Any]:
    """A row that the table takes, without its geometry."""
    return {"name": f"survey {number}"}


COLLECTION = Collection(Survey, create=SurveyIn, read=SurveyOut, example=example)
