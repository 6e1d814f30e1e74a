"""The usual way, corrected so that it answers: ORM objects, ``to_shape``, ``mapping`` and response models.

What is corrected: the geometry is converted before validation, and the column for metric search is cast as it is usually
done, row by row.
"""

import os
from collections.abc import Iterator
from typing import Annotated, Any

import shapely.geometry
from fastapi import Depends, FastAPI, HTTPException
from geoalchemy2 import Geometry, WKBElement, WKTElement
from geoalchemy2.shape import to_shape
from pydantic import BaseModel, BeforeValidator, ConfigDict
from sqlalchemy import BigInteger, String, create_engine, func, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

engine = create_engine(
    os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg2://"),
    pool_size=10,
    max_overflow=5,
    pool_pre_ping=True,
)


class Base(DeclarativeBase):
    pass


class Facility(Base):
    __tablename__ = "facilities"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    status: Mapped[str] = mapped_column(String(20), server_default="active")
    location: Mapped[WKBElement] = mapped_column(
        Geometry(os.environ.get("GEOMETRY_TYPE", "POINT"), srid=4326, spatial_index=False)
    )


def geojson(value: WKBElement) -> dict[str, Any]:
    return shapely.geometry.mapping(to_shape(value))


class FacilitySchema(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str
    status: str
    location: Annotated[dict[str, Any], BeforeValidator(geojson)]


app = FastAPI()


def create_app() -> FastAPI:
    return app


def get_db() -> Iterator[Session]:
    with Session(engine) as session:
        yield session


Database = Annotated[Session, Depends(get_db)]


@app.post("/facilities/", response_model=FacilitySchema, status_code=201)
def create_facility(name: str, lat: float, lon: float, db: Database) -> Facility:
    facility = Facility(name=name, location=WKTElement(f"POINT({lon} {lat})", srid=4326))
    db.add(facility)
    db.commit()
    db.refresh(facility)
    return facility


@app.put("/facilities/{facility_id}", response_model=FacilitySchema)
def update_facility(facility_id: int, name: str, lat: float, lon: float, db: Database) -> Facility:
    facility = get_facility(facility_id, db)
    facility.name = name
    facility.location = WKTElement(f"POINT({lon} {lat})", srid=4326)
    db.commit()
    db.refresh(facility)
    return facility


@app.get("/facilities/nearby", response_model=list[FacilitySchema])
def nearby(lon: float, lat: float, radius: float, db: Database, limit: int = 10) -> list[Facility]:
    place = func.geography(func.ST_SetSRID(func.ST_MakePoint(lon, lat), 4326))
    db.execute(text("SET LOCAL work_mem = '32MB'"))
    there = func.geography(Facility.location)
    query = select(Facility).where(func.ST_DWithin(there, place, radius))
    return list(db.scalars(query.order_by(func.ST_Distance(there, place)).limit(limit)))


@app.get("/facilities/{facility_id}", response_model=FacilitySchema)
def get_facility(facility_id: int, db: Database) -> Facility:
    facility = db.get(Facility, facility_id)
    if facility is None:
        raise HTTPException(status_code=404)
    return facility


@app.get("/facilities/", response_model=list[FacilitySchema])
def list_facilities(
    db: Database,
    limit: int = 10,
    offset: int = 0,
    bbox: str | None = None,
    status: str | None = None,
) -> list[Facility]:
    query = select(Facility).order_by(Facility.id).limit(limit).offset(offset)
    if bbox is not None:
        envelope = func.ST_MakeEnvelope(*map(float, bbox.split(",")), 4326)
        query = query.where(func.ST_Intersects(Facility.location, envelope))
    if status is not None:
        query = query.where(Facility.status == status)
    return list(db.scalars(query))
