"""The table in PostgreSQL's own catalog: as the model has it."""

import pytest
import shapely
import sqlalchemy as sa

from geotables.collection import Collection
from geotables.geometry import metadata

from contract import always_has_a_place, only
from rows import Rows


def gist_indexes(connection: sa.Connection, rows: Rows) -> dict[str, str]:
    """The definitions of the GiST indexes of the table, from the key on, by name."""
    query = sa.text(
        "SELECT relname, pg_get_indexdef(oid) FROM pg_index JOIN pg_class ON oid = indexrelid"
        " WHERE indrelid = cast(:table AS regclass)"
    )
    found = connection.execute(query, {"table": rows.sql})
    return {
        name: text.partition(" USING gist ")[2] for name, text in found if " USING gist " in text
    }


def has_range(collection: Collection) -> bool:
    """Whether the database keeps coordinates in the range of the CRS."""
    names = {str(constraint.name) for constraint in collection.table.constraints}
    return any(name.endswith(f"{collection.geometry.name}_range") for name in names)


def gist(rows: Rows) -> sa.Index:
    """The index of the geometry itself, as the model has it."""
    return next(metadata.gist_indexes(rows.collection.geometry))


def test_the_column_has_its_type_srid_and_dimension(rows: Rows, connection: sa.Connection) -> None:
    query = sa.text(
        "SELECT type, srid, coord_dimension FROM geometry_columns"
        " WHERE format('%I.%I', f_table_schema, f_table_name)::regclass = cast(:table AS regclass)"
        " AND f_geometry_column = :column"
    )
    column = rows.collection.geometry
    found = connection.execute(query, {"table": rows.sql, "column": column.name}).one()
    assert tuple(found) == (
        rows.collection.geometry_type,
        rows.collection.crs.srid,
        metadata.dimension(column),
    )


@only(lambda collection: not collection.is_view)
def test_one_gist_index_has_the_column_itself_as_its_key(
    rows: Rows, connection: sa.Connection
) -> None:
    key = f"({rows.geometry_sql})"
    assert [
        name
        for name, definition in gist_indexes(connection, rows).items()
        if definition.startswith(key)
    ] == [gist(rows).name]


@only(lambda collection: not collection.is_view)
def test_a_geographic_column_has_a_geography_index_too_and_others_have_not(
    rows: Rows,
    connection: sa.Connection,
) -> None:
    others = set(gist_indexes(connection, rows)) - {gist(rows).name}
    assert others == {index.name for index in metadata.geography_indexes(rows.collection.geometry)}
    assert len(others) == rows.collection.crs.geographic


@only(lambda collection: not collection.is_view)
def test_the_spatial_indexes_hold_the_same_rows(rows: Rows, connection: sa.Connection) -> None:
    wheres = {
        definition.partition(" WHERE ")[2] for definition in gist_indexes(connection, rows).values()
    }
    assert len(wheres) == 1
    assert (wheres != {""}) == (metadata.predicate(gist(rows)) is not None)


@only(always_has_a_place)
def test_the_geometry_is_required(rows: Rows, connection: sa.Connection) -> None:
    row = rows.collection.example(0)
    with pytest.raises(sa.exc.IntegrityError, match=rows.collection.geometry.name):
        connection.execute(sa.insert(rows.table).values(row))


@only(has_range)
def test_a_geometry_out_of_range_is_refused_by_the_database_too(
    rows: Rows,
    connection: sa.Connection,
) -> None:
    (shape,) = rows.spread(1)
    far = 2 * abs(rows.collection.crs.extent.xmax)
    beyond = shapely.transform(shape, lambda xyz: xyz + far, include_z=shape.has_z)
    with pytest.raises(sa.exc.IntegrityError, match=f"{rows.collection.geometry.name}_range"):
        rows.insert(connection, [beyond])
