"""The table in PostgreSQL's own catalog: as the model has it."""

import pytest
import rows
import shapely
import sqlalchemy as sa
from rows import COLLECTION, GEOMETRY, STORAGE, TABLE

from geotables.geometry import metadata

GIST = next(metadata.gist_indexes(GEOMETRY))


def gist_indexes(connection: sa.Connection) -> dict[str, str]:
    """The definitions of the GiST indexes of the table, from the key on, by name."""
    query = sa.text(
        "SELECT indexname, indexdef FROM pg_indexes"
        " WHERE tablename = :table AND schemaname = current_schema()"
    )
    found = connection.execute(query, {"table": TABLE.name})
    return {
        name: text.partition(" USING gist ")[2] for name, text in found if " USING gist " in text
    }


def test_the_column_has_its_type_srid_and_dimension(connection: sa.Connection) -> None:
    query = sa.text(
        "SELECT type, srid, coord_dimension FROM geometry_columns"
        " WHERE f_table_name = :table AND f_geometry_column = :column"
        " AND f_table_schema = current_schema()"
    )
    found = connection.execute(query, {"table": TABLE.name, "column": GEOMETRY.name}).one()
    assert tuple(found) == (
        metadata.geometry_type(GEOMETRY),
        STORAGE.srid,
        metadata.dimension(GEOMETRY),
    )


def test_one_gist_index_has_the_column_itself_as_its_key(connection: sa.Connection) -> None:
    key = f"({GEOMETRY.name})"
    assert [
        name for name, definition in gist_indexes(connection).items() if definition.startswith(key)
    ] == [GIST.name]


def test_a_geographic_column_has_a_geography_index_too_and_others_have_not(
    connection: sa.Connection,
) -> None:
    others = set(gist_indexes(connection)) - {GIST.name}
    assert others == {index.name for index in metadata.geography_indexes(GEOMETRY)}
    assert len(others) == STORAGE.geographic


def test_the_spatial_indexes_hold_the_same_rows(connection: sa.Connection) -> None:
    wheres = {
        definition.partition(" WHERE ")[2] for definition in gist_indexes(connection).values()
    }
    assert len(wheres) == 1
    assert (wheres != {""}) == (metadata.predicate(GIST) is not None)


def test_the_geometry_is_required(connection: sa.Connection) -> None:
    row = COLLECTION.example(0)
    with pytest.raises(sa.exc.IntegrityError, match=GEOMETRY.name):
        connection.execute(sa.insert(TABLE).values(row))


def test_a_geometry_out_of_range_is_refused_by_the_database_too(
    connection: sa.Connection,
) -> None:
    (shape,) = rows.spread(1)
    far = 2 * abs(STORAGE.extent.xmax)
    beyond = shapely.transform(shape, lambda xyz: xyz + far, include_z=shape.has_z)
    with pytest.raises(sa.exc.IntegrityError, match=f"{GEOMETRY.name}_range"):
        rows.insert(connection, [beyond])
