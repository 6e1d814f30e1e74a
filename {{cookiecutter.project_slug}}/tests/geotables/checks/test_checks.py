"""The check finds nothing in what was made right, and names what is sabotaged."""

import copy
import dataclasses
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import sqlalchemy as sa
from geoalchemy2 import Geometry

from geotables import checks
from geotables.checks.ddl import ALEMBIC
from geotables.collection import Collection, UnsupportedKey
from geotables.column_types import AsText
from geotables.db.database import Database
from geotables.db.statements import Condition, execute
from geotables.geometry import metadata
from geotables.identifiers import quoted
from geotables.service import Service
from geotables.settings import ServiceSettings

from contract import each, only, writes
from rows import Rows

Sabotage = Callable[..., str]


def has_timestamps(collection: Collection) -> bool:
    """Whether the table has the columns created_at and updated_at, which the database sets."""
    return Rows.of(collection).has_timestamps


def spatial_indexes(collection: Collection) -> list[sa.Index]:
    """The indexes of the model over the geometry."""
    column = collection.geometry
    return [*metadata.gist_indexes(column), *metadata.geography_indexes(column)]


every_index = each("index", spatial_indexes, id=lambda index: index.name)


@pytest.fixture
def found_after(service: Service, settings: ServiceSettings) -> Callable[..., str]:
    """What the check says after some statements, which are undone at the end."""
    # One connection for all who ask: the check sees what is not committed.
    engine = sa.create_engine(settings.database_url, poolclass=sa.StaticPool)

    def check(*statements: str) -> str:
        with engine.connect() as connection:
            for statement in statements:
                execute(connection, statement)
            found = "\n".join(checks.check_database(service, engine))
        engine.dispose()
        return found

    return check


def names(fault: str, findings: Iterator[str]) -> bool:
    """Whether a fault is among the findings; those after it are not waited for."""
    return any(fault in finding for finding in findings)


def definition(index: sa.Index) -> str:
    """The key of an index and the rows that it holds, in SQL."""
    return str(sa.schema.CreateIndex(index).compile(dialect=ALEMBIC)).partition(" USING ")[2]


def name(constraint: sa.Constraint | sa.Index) -> str:
    """The name of a constraint or an index in SQL, by the naming convention."""
    return str(ALEMBIC.identifier_preparer.format_constraint(constraint))


def index_name(index: sa.Index) -> str:
    """The name of an index in SQL, with the schema of its table."""
    schema = index.table.schema
    return f"{quoted(schema)}.{name(index)}" if schema else name(index)


def checks_of(rows: Rows) -> list[sa.CheckConstraint]:
    """The CHECK constraints of the model."""
    return [each for each in rows.table.constraints if isinstance(each, sa.CheckConstraint)]


def test_models_and_migrations_agree(service: Service) -> None:
    assert list(checks.check_models(service)) == []


def test_the_database_agrees(found_after: Sabotage) -> None:
    assert found_after() == ""


def test_the_check_leaves_the_database_as_it_was(
    service: Service, database: Database, client: object
) -> None:
    for _ in range(2):
        assert list(checks.check_database(service, database.engine)) == []


def test_a_database_that_was_not_migrated_is_named(service: Service, found_after: Sabotage) -> None:
    assert "migrate first" in found_after(f"DELETE FROM {service.migrations.version_table}")


@every_index
def test_a_dropped_index_is_named(rows: Rows, found_after: Sabotage, index: sa.Index) -> None:
    assert f"no index {index.name}," in found_after(f"DROP INDEX {index_name(index)}")


def test_a_session_that_cannot_write_compares_the_catalogue(
    service: Service, rows: Rows, found_after: Sabotage
) -> None:
    """As for a database that is only looked at: it need not be migrated, and gets no temporary tables."""
    not_migrated = f"DELETE FROM {service.migrations.version_table}"
    read_only = "SET TRANSACTION READ ONLY"
    assert found_after(not_migrated, read_only) == ""
    for index in spatial_indexes(rows.collection):
        found = found_after(not_migrated, f"DROP INDEX {index_name(index)}", read_only)
        assert f"add index Index('{index.name}'" in found


@every_index
def test_a_renamed_index_is_named(rows: Rows, found_after: Sabotage, index: sa.Index) -> None:
    found = found_after(f"ALTER INDEX {index_name(index)} RENAME TO another_name")
    assert index.name in found
    assert "another_name" in found


@every_index
def test_a_changed_predicate_is_named(rows: Rows, found_after: Sabotage, index: sa.Index) -> None:
    key = definition(index).partition(" WHERE ")[0]
    found = found_after(
        f"DROP INDEX {index_name(index)}",
        f"CREATE INDEX {name(index)} ON {rows.sql} USING {key} WHERE {rows.key_sql} IS NOT NULL",
    )
    assert f"index {index.name} is" in found


@every_index
def test_an_index_of_another_method_is_named(
    rows: Rows, found_after: Sabotage, index: sa.Index
) -> None:
    found = found_after(
        f"DROP INDEX {index_name(index)}",
        f"CREATE INDEX {name(index)} ON {rows.sql} ({rows.key_sql})",
    )
    assert index.name in found


@every_index
def test_a_second_index_for_the_same_purpose_is_named(
    rows: Rows, found_after: Sabotage, index: sa.Index
) -> None:
    statement = f"CREATE INDEX one_too_many ON {rows.sql} USING {definition(index)}"
    assert "one_too_many" in found_after(statement)


def test_another_srid_in_the_database_is_named(rows: Rows, found_after: Sabotage) -> None:
    other = 3857 if rows.collection.crs.srid != 3857 else 4326
    kind = f"geometry({rows.collection.geometry.type.geometry_type}, {other})"
    found = found_after(
        *(f"ALTER TABLE {rows.sql} DROP CONSTRAINT {name(check)}" for check in checks_of(rows)),
        f"ALTER TABLE {rows.sql} ALTER {rows.geometry_sql} TYPE {kind}"
        f" USING ST_SetSRID({rows.geometry_sql}, {other})",
    )
    assert (
        f"its SRID is {rows.collection.crs.srid} in the model and {other} in the database" in found
    )


def test_another_geometry_type_in_the_database_is_named(rows: Rows, found_after: Sabotage) -> None:
    other = "POLYGON" if rows.collection.geometry_type != "POLYGON" else "POINT"
    kind = f"geometry({other}{'Z' * rows.collection.has_z}, {rows.collection.crs.srid})"
    found = found_after(f"ALTER TABLE {rows.sql} ALTER {rows.geometry_sql} TYPE {kind} USING NULL")
    assert f"{other} in the database" in found


@writes
def test_another_column_in_the_database_is_named(rows: Rows, found_after: Sabotage) -> None:
    assert "forgotten" in found_after(f"ALTER TABLE {rows.sql} ADD forgotten text")


def test_tables_of_others_are_left_alone(found_after: Sabotage) -> None:
    found = found_after(
        "CREATE TABLE alembic_version (version_num text PRIMARY KEY)",
        "INSERT INTO alembic_version VALUES ('0007')",
        "CREATE TABLE layer_styles (id serial PRIMARY KEY, stylename text)",
        "CREATE TABLE by_year (year int) PARTITION BY LIST (year)",
        "CREATE TABLE by_year_2026 PARTITION OF by_year FOR VALUES IN (2026)",
    )
    assert found == ""


def test_a_missing_table_is_named(rows: Rows, found_after: Sabotage) -> None:
    assert f"no table {rows.table.fullname}," in found_after(f"DROP TABLE {rows.sql} CASCADE")


@writes
def test_an_invalid_index_is_named(rows: Rows, found_after: Sabotage) -> None:
    """What CREATE INDEX CONCURRENTLY leaves when it fails, by a name that no model has."""
    found = found_after(
        f"CREATE INDEX left_over ON {rows.sql} ({rows.key_sql})",
        "UPDATE pg_index SET indisvalid = false"
        " WHERE indexrelid = (SELECT oid FROM pg_class WHERE relname = 'left_over')",
    )
    left_over = "left_over"
    if rows.table.schema:
        left_over = f"{quoted(rows.table.schema)}.left_over"
    assert f"{left_over} is invalid" in found
    assert f"DROP INDEX CONCURRENTLY {left_over}" in found


def test_a_revision_of_a_newer_version_is_named(service: Service, found_after: Sabotage) -> None:
    found = found_after(f"UPDATE {service.migrations.version_table} SET version_num = 'newer'")
    assert "at revision newer, which this version does not have" in found


def trigger(rows: Rows, event: str, body: str) -> tuple[str, str]:
    """The statements that have the rows of a table go through some code."""
    return (
        f"CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$",
        f"CREATE TRIGGER meddling BEFORE {event} ON {rows.sql}"
        " FOR EACH ROW EXECUTE FUNCTION meddle()",
    )


#: What breaks what the service promises, and no comparison of tables shows: statements, and how the check names it.
BREAKING: dict[str, Callable[[Rows], tuple[Sequence[str], str]]] = {
    "an exclusion": lambda rows: (
        [f"ALTER TABLE {rows.sql} ADD CONSTRAINT apart EXCLUDE ({rows.key_sql} WITH =)"],
        "the model has no constraint apart",
    ),
    "a deferrable key": lambda rows: (
        [
            f"ALTER TABLE {rows.sql} DROP CONSTRAINT {name(rows.table.primary_key)} CASCADE,"
            f" ADD CONSTRAINT {name(rows.table.primary_key)} PRIMARY KEY ({rows.key_sql}) DEFERRABLE"
        ],
        rf"constraint {rows.table.primary_key.name} is `PRIMARY KEY \({rows.key_sql}\) DEFERRABLE`",
    ),
    "a check": lambda rows: (
        [f"ALTER TABLE {rows.sql} ADD CONSTRAINT sound CHECK ({rows.key_sql} IS NOT NULL)"],
        "the model has no constraint sound",
    ),
    "a trigger that drops rows": lambda rows: (
        trigger(rows, "INSERT", "RETURN NULL;"),
        "a trigger drops it",
    ),
    "a trigger that drops changes": lambda rows: (
        trigger(rows, "UPDATE", "RETURN NULL;"),
        "drops its changes",
    ),
    "a trigger that keeps rows": lambda rows: (
        trigger(rows, "DELETE", "RETURN NULL;"),
        "from being deleted",
    ),
    "a trigger that refuses rows": lambda rows: (
        trigger(rows, "INSERT", "RAISE EXCEPTION 'not on Sundays';"),
        r"example\(0\) is not as .* PostgreSQL refuses it: not on Sundays",
    ),
    "a rule": lambda rows: (
        [f"CREATE RULE ignore AS ON DELETE TO {rows.sql} DO INSTEAD NOTHING"],
        "the rule ignore",
    ),
    "a table that a crash empties": lambda rows: (
        [f"ALTER TABLE {rows.sql} SET UNLOGGED"],
        "UNLOGGED",
    ),
}


@writes
@pytest.mark.parametrize("breaking", BREAKING)
def test_what_breaks_the_service_is_named(rows: Rows, found_after: Sabotage, breaking: str) -> None:
    statements, named = BREAKING[breaking](rows)
    assert re.search(named, found_after(*statements))


@only(has_timestamps)
def test_a_generated_column_is_named(rows: Rows, found_after: Sabotage) -> None:
    found = found_after(
        f"ALTER TABLE {rows.sql} DROP updated_at",
        f"ALTER TABLE {rows.sql} ADD updated_at timestamptz NOT NULL"
        " GENERATED ALWAYS AS (created_at) STORED",
    )
    assert "updated_at" in found


@writes
def test_what_a_team_may_want_is_warned_of(
    rows: Rows, found_after: Sabotage, caplog: pytest.LogCaptureFixture
) -> None:
    found = found_after(
        f"ALTER TABLE {rows.sql} ENABLE ROW LEVEL SECURITY",
        *trigger(rows, "INSERT", "RETURN NEW;"),
        f"CREATE RULE more AS ON DELETE TO {rows.sql} DO ALSO SELECT 1",
    )
    assert found == ""
    for named in ("row-level", "the trigger meddling", "the rule more"):
        assert named in caplog.text


def test_a_predicate_may_have_percent_signs(rows: Rows, service: Service) -> None:
    condition = sa.literal_column(
        f"({rows.key_sql} IS NOT NULL AND '5 %' LIKE '_ %')", sa.Boolean()
    )
    other = copy.copy(rows.collection)
    other.indexed_rows, other._rows = condition, Condition(condition)
    service = dataclasses.replace(service, collections=[other])
    assert not names("a page in a box", checks.check_models(service))


@writes
def test_an_index_of_geoalchemy2s_own_is_named(
    rows: Rows, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows.collection.geometry.type, "spatial_index", True)
    assert names("spatial_index=True", checks.check_models(service))


@pytest.mark.parametrize("type", [AsText("mood"), sa.Double(), sa.Boolean()], ids=repr)
def test_a_key_of_a_type_that_is_none_is_named(
    collection: Collection, monkeypatch: pytest.MonkeyPatch, type: sa.types.TypeEngine[Any]
) -> None:
    monkeypatch.setattr(collection.key, "type", type)
    changed = Collection(collection.model, read=collection.read, example=collection.example)
    with pytest.raises(UnsupportedKey, match=f"{collection.key.name}, the primary key, is of the"):
        changed.key  # noqa: B018


def test_a_format_that_writes_what_is_no_geometry_is_named(
    rows: Rows, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    format_ = type(rows.collection.format)
    monkeypatch.setattr(format_, "write", lambda _self, geometry: geometry.wkb_hex)
    assert names(f"does not come through {format_.__name__}", checks.check_models(service))


def test_a_table_without_a_geometry_or_with_another_column_is_no_fault(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    others = sa.MetaData()
    sa.Table("notes", others, sa.Column("id", sa.Integer, primary_key=True))
    assert metadata.geometry_columns(others.tables["notes"]) == []
    with pytest.raises(LookupError, match="notes has 0 geometry columns"):
        metadata.geometry_column(others.tables["notes"])
    two = sa.Table("two", others, *(sa.Column(name, Geometry("POINT", 4326)) for name in "ab"))
    with pytest.raises(LookupError, match="two has 2 geometry columns"):
        metadata.geometry_column(two)
