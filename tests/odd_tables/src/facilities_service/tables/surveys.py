"""A table with a date that clients give for a key."""

import datetime
from typing import Annotated, Any

import sqlalchemy as sa
from geoalchemy2 import Geometry, WKBElement
from geotables import Collection, Date, GeoJSON, RowIn, RowOut, Text
from pydantic import Field
from shapely.geometry.base import BaseGeometry
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base


class Survey(Base):
    """A row of ``surveys``."""

    __tablename__ = "surveys"
    __table_args__ = (
        sa.Index(
            "surveys_area_idx",
            "area",
            postgresql_using="gist",
            postgresql_where=sa.literal_column("(crew <> 'none')", sa.Boolean()),
        ),
        {"schema": "archive"},
    )

    day: Mapped[datetime.date] = mapped_column(sa.Date(), primary_key=True)
    crew: Mapped[str] = mapped_column(sa.String(4), server_default="none")
    area: Mapped[WKBElement] = mapped_column(
        Geometry("MULTIPOLYGON", srid=3857, dimension=2, spatial_index=False)
    )


#: How the resource writes the geometry.
GEOMETRY = GeoJSON(Survey.area)


class SurveyIn(RowIn):
    """A row as a client sends it: what has a default, or may be null, may be left out."""

    READ_ONLY = frozenset()

    day: Date
    crew: Text = Field(default="none", max_length=4)
    area: Annotated[BaseGeometry, GEOMETRY]


class SurveyOut(RowOut):
    """A row as the service returns it: a column that is not here is hidden."""

    day: datetime.date
    crew: str
    area: Annotated[BaseGeometry, GEOMETRY]


def example(number: int) -> dict[str, Any]:
    """A row that the table takes, without its geometry."""
    day = datetime.date(1999, 12, 31) + datetime.timedelta(days=number)
    return {"day": day, "crew": ("none", "east", "west")[number % 3]}


COLLECTION = Collection(Survey, create=SurveyIn, read=SurveyOut, example=example)
