"""GeoParquet and FlatGeobuf of rows that they cannot hold, of programs and readers that end too early, FlatGeobuf's index, and Parquet of others."""

import io
import json
import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pyogrio
import pytest
import shapely
import sqlalchemy as sa
from geoalchemy2 import Geometry
from pydantic import BaseModel
from rendering import TEMPLATE
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

sys.path.insert(0, str(TEMPLATE / "{{cookiecutter.project_slug}}" / "src"))

from geotables.collection import Collection
from geotables.file_formats import FORMATS, FormatError, Layer
from geotables.files import flatgeobuf
from geotables.files.sources import SourceError, source


class Base(DeclarativeBase):
    pass


class Place(Base):
    __tablename__ = "places"

    id: Mapped[int] = mapped_column(primary_key=True)
    built: Mapped[Any] = mapped_column(sa.Date)
    seen: Mapped[Any] = mapped_column(sa.DateTime(timezone=True))
    price: Mapped[Any] = mapped_column(sa.Numeric(10, 2))
    name: Mapped[str] = mapped_column(sa.Text)
    note: Mapped[str | None] = mapped_column(sa.Text)
    geom: Mapped[Any] = mapped_column(Geometry("GEOMETRY", srid=4326))


class PlaceOut(BaseModel):
    id: int


PLACES = Collection(Place, read=PlaceOut, example=lambda number: {"id": number})

POINT = "0101000000" + 16 * "00"
ARC = "010800000000000000"


def line(
    *,
    built: str = "2020-01-31",
    seen: str = "2020-01-31T00:00:00+00:00",
    price: str = "1.50",
    geom: str = POINT,
) -> tuple[str]:
    """A row as the query of a layer selects it."""
    return (f'1,"{built}","{seen}",{price},{geom}',)


def layer(format: str) -> Layer:
    columns = [PLACES.table.c[name] for name in ("id", "built", "seen", "price", "geom")]
    return Layer(format, PLACES, columns, 4326)


def write(format: str, chunks: Iterator[list[tuple[str]]]) -> Iterator[bytes]:
    return layer(format).write(chunks)


@pytest.mark.parametrize(
    ("format", "cell", "reason"),
    [
        ("parquet", {"built": "infinity"}, "infinity in the column built"),
        ("parquet", {"price": "NaN"}, "NaN in the column price"),
        ("parquet", {"geom": ARC}, "geom"),
        (
            "fgb",
            {"seen": "0044-03-15T00:00:00+00:00 BC"},
            "0044-03-15T00:00:00+00:00 BC in the column seen",
        ),
        ("fgb", {"built": "10000-01-01"}, "10000-01-01 in the column built"),
        ("fgb", {"geom": ARC}, "a geometry of WKB's type 8 in the column geom"),
    ],
)
def test_a_value_that_a_format_cannot_hold_is_named(
    format: str, cell: dict[str, str], reason: str
) -> None:
    with pytest.raises(FormatError, match=re.escape(reason)) as raised:
        b"".join(write(format, iter([[line(), line(**cell)]])))
    assert str(raised.value).startswith(f"{FORMATS[format]} cannot hold ")


def test_null_is_no_empty_text_at_the_end_of_the_last_row() -> None:
    columns = [PLACES.table.c[name] for name in ("id", "name", "note")]
    file = b"".join(
        Layer("parquet", PLACES, columns, 4326).write(iter([[('1,"a",""',), ('2,"b",',)]]))
    )
    assert pyarrow.parquet.read_table(io.BytesIO(file)).column("note").to_pylist() == ["", None]


def test_readers_can_pass_over_row_groups_by_what_they_hold() -> None:
    file = b"".join(write("parquet", iter([[line()], [line(geom="")]])))
    group = pyarrow.parquet.ParquetFile(io.BytesIO(file)).metadata.row_group(0)
    columns = [group.column(number) for number in range(group.num_columns)]
    compared = [column.path_in_schema for column in columns if column.is_stats_set]
    boxes = [f"bbox.{corner}" for corner in ("xmin", "ymin", "xmax", "ymax")]
    assert compared == ["id", "built", "seen", "price", *boxes]


WKB = shapely.Point(1, 2).wkb


@pytest.mark.parametrize(
    ("columns", "about", "srid"),
    [
        ({"geometry": ["POINT (1 2)"]}, None, 4326),
        ({"geometry": [WKB]}, None, 4326),
        ({"x": [1], "y": [2.0]}, None, 4326),
        ({"lon": [1.0], "lat": ["2"]}, None, 4326),
        ({"geometry": [WKB]}, {}, 4326),
        ({"geometry": [WKB]}, {"crs": {"id": {"authority": "OGC", "code": "CRS84"}}}, 4326),
        ({"geometry": [WKB]}, {"crs": {"id": {"authority": "EPSG", "code": 2193}}}, 2193),
        ({"geometry": [WKB]}, {"crs": "EPSG:2193"}, 2193),
    ],
)
def test_parquet_has_its_geometries_in_many_ways(
    tmp_path: Path, columns: dict[str, list[Any]], about: dict[str, Any] | None, srid: int
) -> None:
    file = source(parquet(tmp_path, columns, about))
    (batch,) = file.batches()
    assert (file.srid, batch.problems) == (srid, {})
    assert [shape.wkt for shape in batch.geometries] == ["POINT (1 2)"]
    assert batch.properties == [{"name": "a"}]


@pytest.mark.parametrize(
    ("columns", "about", "reason"),
    [
        ({"geometry": [{"x": 1.0, "y": 2.0}]}, {"encoding": "point"}, "write them as WKB: GDAL"),
        ({"geometry": [{"x": 1.0, "y": 2.0}]}, None, "has geometries as struct<x: double"),
        ({"geometry": [WKB]}, {"crs": None}, "it has no CRS; say which with --source-crs"),
        ({"geometry": [WKB]}, {"crs": {"name": "local"}}, "its CRS, local, is not of the EPSG"),
        ({"shape": [WKB]}, {}, "has no column 'geometry', where its metadata, geo, has"),
        ({"geometry": [WKB]}, {"covering": 5}, "its metadata, geo, is not GeoParquet's"),
        ({"place": ["POINT (1 2)"]}, None, "has no geometries: its columns are place, name"),
    ],
)
def test_parquet_whose_geometries_cannot_be_read_is_refused_with_the_reason(
    tmp_path: Path, columns: dict[str, list[Any]], about: dict[str, Any] | None, reason: str
) -> None:
    with pytest.raises(SourceError, match=re.escape(reason)):
        source(parquet(tmp_path, columns, about))


def parquet(folder: Path, columns: dict[str, list[Any]], about: dict[str, Any] | None) -> Path:
    """A file of one row, with the metadata of GeoParquet unless there is nothing about its geometries."""
    table = pyarrow.table({**columns, "name": ["a"]})
    if about is not None:
        column = {"encoding": "WKB", "geometry_types": [], **about}
        geo = {"primary_column": "geometry", "columns": {"geometry": column}}
        table = table.replace_schema_metadata({"geo": json.dumps(geo)})
    path = folder / "a.parquet"
    pyarrow.parquet.write_table(table, path)
    return path


@pytest.mark.parametrize("number", [1, 17, 400])
def test_an_index_finds_what_is_in_a_box(number: int, tmp_path: Path) -> None:
    path = tmp_path / "a.fgb"
    places = [shapely.Point(at % 20, at // 20) for at in range(number)]
    rows = [(*line(geom=place.wkb_hex), *place.bounds) for place in places]
    with path.open("wb") as file:
        flatgeobuf.write(layer("fgb"), [rows[:300], rows[300:]], file)
    about = pyogrio.read_info(path)
    assert (about["features"], about["capabilities"]["fast_spatial_filter"]) == (number, True)
    for box in [(0, 0, 0, 0), (3, 0, 12, 7), (15.5, 0.5, 19.5, 19.5), (50, 50, 60, 60)]:
        _, _, shapes, _ = pyogrio.raw.read(path, bbox=box)
        inside = [place for place in places if shapely.box(*box).intersects(place)]
        assert {shapely.from_wkb(shape) for shape in shapes} == {*inside}


def children() -> set[int]:
    return {int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()}


def test_a_program_that_ends_breaks_the_file() -> None:
    def chunks() -> Iterator[list[tuple[str]]]:
        yield [line()] * 10_000
        (program,) = children() - before
        os.kill(program, signal.SIGKILL)
        yield [line()] * 10_000

    before = children()
    with pytest.raises(RuntimeError, match="FlatGeobuf has ended with the status -9"):
        b"".join(write("fgb", chunks()))
    assert children() == before


def test_a_reader_that_leaves_ends_the_program_and_the_query() -> None:
    is_closed = []

    def chunks() -> Iterator[list[tuple[str]]]:
        try:
            while True:
                yield [line()] * 10_000
        finally:
            is_closed.append(True)

    before = children()
    parts = write("parquet", chunks())
    assert next(parts).startswith(b"PAR1")
    assert len(children() - before) == 1
    parts.close()  # type: ignore[attr-defined]
    assert (children(), is_closed) == (before, [True])
