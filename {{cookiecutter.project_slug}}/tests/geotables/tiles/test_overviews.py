"""Overviews of large tables: a tile is the same with them and without, and nothing takes their indexes for a difference."""

from collections.abc import Iterator
from itertools import product

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from geotables.checks import plans
from geotables.checks.database import check_tables
from geotables.checks.plans import check_overviews
from geotables.collection import Collection
from geotables.db.overview_names import key_ranges_name
from geotables.db.statements import Statement, execute
from geotables.geometry import metadata
from geotables.identifiers import DIALECT, beside, quoted
from geotables.service import Service
from geotables.sql import overview_indexes, overviews
from geotables.sql.overviews import Overviews
from geotables.tiles.mvt import Tile, statement

import mvt
from contract import only

#: Of this many rows a tile, hundreds of rows are a large table.
LIMIT = 4

INVALIDATE = sa.text(
    "UPDATE pg_index SET indisvalid = false WHERE indexrelid = CAST(:name AS regclass)"
)

TILES = [Tile(z, x, y) for z in range(3) for x, y in product(range(2**z), repeat=2)]


def can_have_overviews(collection: Collection) -> bool:
    """Whether its table is one that can be indexed so."""
    return not collection.is_view and not overviews.unfit(collection)


@pytest.fixture
def owner(service: Service, collection: Collection) -> Iterator[sa.Connection]:
    """A connection that makes indexes; the overviews are dropped at the end."""
    engine = sa.create_engine(
        service.settings().database_url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT"
    )
    with engine.connect() as connection:
        yield connection
        list(overview_indexes.make(connection, collection, None))
        assert overviews.stored(connection, collection) == {}
        assert overviews.key_ranges(connection, collection) is None


def findings(service: Service, collection: Collection) -> list[str]:
    """What `check --database` finds of the tables and their overviews; `alembic check` compares them the same way."""
    engine = sa.create_engine(service.settings().database_url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        return [
            *check_tables(service.migrations, connection),
            *check_overviews(connection, collection),
        ]


@only(can_have_overviews)
def test_tiles_are_the_same_with_overviews_and_without(
    spread: TestClient,
    owner: sa.Connection,
    collection: Collection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def contents() -> list[set[tuple[str, bytes]]]:
        # In a tile that shows all its rows they have no order.
        found = (mvt.features(spread, collection, tile) for tile in TILES)
        return [{(str(each.properties), each.geometry.wkb) for each in tile} for tile in found]

    state = spread.app.state  # type: ignore[attr-defined]
    monkeypatch.setattr(state.settings, "tile_limit", LIMIT)
    without = contents()
    list(overview_indexes.make(owner, collection, LIMIT))
    known = Overviews(state.database, collection, 60, LIMIT)
    monkeypatch.setitem(state.overviews, collection.name, known)
    assert len(known.of((0, 0, 0))) > 1
    assert contents() == without
    # A tile of an index that is gone, or of another bound than the rows have by now, is the same.
    list(overview_indexes.make(owner, collection, None))
    assert contents() == without


@only(lambda collection: collection.geometry_type != "POINT")
def test_areas_of_a_size_are_equal_wherever_they_lie(
    connection: sa.Connection, collection: Collection
) -> None:
    """Boxes in single precision are the larger, the farther from the origin they are."""
    size = overviews.order(collection)[0].compile(
        dialect=DIALECT, compile_kwargs={"include_table": False}
    )
    squares = ", ".join(f"(ST_MakeEnvelope({x}, 10, {x + 0.1}, 10.1))" for x in (0, 90, 179))
    name = quoted(collection.geometry.name)
    query = f"SELECT DISTINCT {size} FROM (VALUES {squares}) AS squares ({name})"
    assert len(connection.execute(sa.text(query)).all()) == 1


@only(can_have_overviews)
def test_an_overview_is_no_difference_and_is_made_again_where_it_is_another(
    spread: TestClient,
    owner: sa.Connection,
    service: Service,
    collection: Collection,
) -> None:
    list(overview_indexes.make(owner, collection, LIMIT))
    smallest, *_, name = overviews.stored(owner, collection)
    assert findings(service, collection) == []
    qualified = beside(collection.table, name)
    execute(owner, f"COMMENT ON INDEX {qualified} IS 'of another version'")
    (finding,) = findings(service, collection)
    assert name in finding
    lines = list(overview_indexes.make(owner, collection, LIMIT))
    assert [line for line in lines if line.startswith(f"{name} is made")]
    assert all(overviews.stored(owner, collection).values())
    # No other overview stands in for one that is gone: each larger one has twice as many rows to read.
    overview = overviews.stored(owner, collection)[smallest]
    execute(owner, f"DROP INDEX {beside(collection.table, smallest)}")
    query, values = statement(collection, Tile(0, 0, 0), LIMIT, overview)
    execute(owner, "SET enable_seqscan = off")
    explained = Statement(query.query, explained=True)
    plan = owner.exec_driver_sql(explained.text, explained.values(values)).scalar_one()
    assert "overview" not in str(plan)


@only(can_have_overviews)
@only(lambda collection: any(metadata.gist_indexes(collection.geometry)))
def test_an_invalid_overview_is_named_once_also_where_sql_quotes_its_name(
    spread: TestClient,
    # Before ``owner``, which knows the overviews by the name of that index, and drops them at the end.
    monkeypatch: pytest.MonkeyPatch,
    owner: sa.Connection,
    service: Service,
    collection: Collection,
) -> None:
    index = next(metadata.gist_indexes(collection.geometry))
    monkeypatch.setattr(index, "name", "By place")
    list(overview_indexes.make(owner, collection, LIMIT))
    name, *_ = overviews.stored(owner, collection)
    assert name.startswith("By place_overview_")
    owner.execute(INVALIDATE, {"name": beside(collection.table, name)})
    (finding,) = (finding for finding in findings(service, collection) if name in finding)
    assert f"the overview {name} is invalid" in finding


@only(can_have_overviews)
@only(lambda collection: isinstance(collection.key.type, sa.Integer))
def test_a_table_in_the_order_of_its_keys_gets_an_index_of_their_ranges(
    spread: TestClient,
    owner: sa.Connection,
    service: Service,
    collection: Collection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def lines() -> list[str]:
        return [line for line in overview_indexes.make(owner, collection, LIMIT) if name in line]

    name = key_ranges_name(collection.geometry)
    assert lines() == []
    monkeypatch.setattr(overview_indexes, "LEAST_PAGES", 1)
    # Rows may lie where others were before.
    monkeypatch.setattr(overview_indexes, "LEAST_CORRELATION", -1)
    # However few rows its pages have, PostgreSQL need not prefer it.
    monkeypatch.setattr(plans, "MANY", 0)
    (line,) = lines()
    assert line.startswith(f"{name} is made")
    assert not [finding for finding in findings(service, collection) if name in finding]
    assert lines() == [f"{name} is as it should be"]
    # As an interrupted run leaves it.
    owner.execute(INVALIDATE, {"name": beside(collection.table, name)})
    assert any(f"{name} is invalid" in finding for finding in findings(service, collection))
    assert [line.split(":")[0] for line in lines()] == [f"{name} is dropped", f"{name} is made"]
    monkeypatch.setattr(overview_indexes, "LEAST_CORRELATION", 2)
    assert lines() == [f"{name} is dropped"]
