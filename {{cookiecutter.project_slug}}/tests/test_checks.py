"""The check finds nothing in what was made right, and names what is sabotaged."""

import copy
import dataclasses
import re
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa
from geoalchemy2 import Geometry
from rows import COLLECTION, GEOMETRY, SERVICE, STORAGE, TABLE

from geotables import checks
from geotables.checks.ddl import ALEMBIC
from geotables.db.database import Database
from geotables.db.statements import Condition
from geotables.geometry import metadata

from {{ cookiecutter.package_name }}.settings import Settings
from {{ cookiecutter.package_name }}.tables import MIGRATIONS

Sabotage = Callable[..., str]
INDEXES = [*metadata.gist_indexes(GEOMETRY), *metadata.geography_indexes(GEOMETRY)]
EVERY_INDEX = pytest.mark.parametrize("index", INDEXES, ids=lambda index: index.name)


@pytest.fixture
def found_after(settings: Settings) -> Callable[..., str]:
    """What the check says after some statements, which are undone at the end."""
    # One connection for all who ask: the check sees what is not committed.
    engine = sa.create_engine(settings.database_url, poolclass=sa.StaticPool)

    def check(*statements: str) -> str:
        with engine.connect() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)
            found = "\n".join(checks.check_database(SERVICE, engine))
        engine.dispose()
        return found

    return check


def names(fault: str, findings: Iterator[str]) -> bool:
    """Whether a fault is among the findings; those after it are not waited for."""
    return any(fault in finding for finding in findings)


def definition(index: sa.Index) -> str:
    """The key of an index and the rows that it holds, in SQL."""
    return str(sa.schema.CreateIndex(index).compile(dialect=ALEMBIC)).partition(" USING ")[2]


def test_models_and_migrations_agree() -> None:
    assert list(checks.check_models(SERVICE)) == []


def test_the_database_agrees(found_after: Sabotage) -> None:
    assert found_after() == ""


def test_the_check_leaves_the_database_as_it_was(database: Database, client: object) -> None:
    for _ in range(2):
        assert list(checks.check_database(SERVICE, database.engine)) == []


def test_a_database_that_was_not_migrated_is_named(found_after: Sabotage) -> None:
    assert "migrate first" in found_after(f"DELETE FROM {MIGRATIONS.version_table}")


@EVERY_INDEX
def test_a_dropped_index_is_named(found_after: Sabotage, index: sa.Index) -> None:
    assert f"no index {index.name}," in found_after(f"DROP INDEX {index.name}")


@EVERY_INDEX
def test_a_renamed_index_is_named(found_after: Sabotage, index: sa.Index) -> None:
    found = found_after(f"ALTER INDEX {index.name} RENAME TO another_name")
    assert index.name in found
    assert "another_name" in found


@EVERY_INDEX
def test_a_changed_predicate_is_named(found_after: Sabotage, index: sa.Index) -> None:
    key = definition(index).partition(" WHERE ")[0]
    found = found_after(
        f"DROP INDEX {index.name}",
        f"CREATE INDEX {index.name} ON {TABLE.name} USING {key} WHERE id IS NOT NULL",
    )
    assert f"index {index.name} is" in found


@EVERY_INDEX
def test_an_index_of_another_method_is_named(found_after: Sabotage, index: sa.Index) -> None:
    found = found_after(
        f"DROP INDEX {index.name}", f"CREATE INDEX {index.name} ON {TABLE.name} (created_at)"
    )
    assert index.name in found


@EVERY_INDEX
def test_a_second_index_for_the_same_purpose_is_named(
    found_after: Sabotage, index: sa.Index
) -> None:
    statement = f"CREATE INDEX one_too_many ON {TABLE.name} USING {definition(index)}"
    assert "one_too_many" in found_after(statement)


def test_another_srid_in_the_database_is_named(found_after: Sabotage) -> None:
    other = 3857 if STORAGE.srid != 3857 else 4326
    kind = f"geometry({GEOMETRY.type.geometry_type}, {other})"
    found = found_after(
        f"ALTER TABLE {TABLE.name} DROP CONSTRAINT ck_{TABLE.name}_{GEOMETRY.name}_range",
        f"ALTER TABLE {TABLE.name} ALTER {GEOMETRY.name} TYPE {kind}"
        f" USING ST_SetSRID({GEOMETRY.name}, {other})",
    )
    assert f"its SRID is {STORAGE.srid} in the model and {other} in the database" in found


def test_another_geometry_type_in_the_database_is_named(found_after: Sabotage) -> None:
    other = "POLYGON" if metadata.geometry_type(GEOMETRY) != "POLYGON" else "POINT"
    kind = f"geometry({other}{'Z' * (metadata.dimension(GEOMETRY) - 2)}, {STORAGE.srid})"
    found = found_after(f"ALTER TABLE {TABLE.name} ALTER {GEOMETRY.name} TYPE {kind} USING NULL")
    assert f"{other} in the database" in found


def test_another_column_in_the_database_is_named(found_after: Sabotage) -> None:
    assert "forgotten" in found_after(f"ALTER TABLE {TABLE.name} ADD forgotten text")


def test_tables_of_others_are_left_alone(found_after: Sabotage) -> None:
    found = found_after(
        "CREATE TABLE alembic_version (version_num text PRIMARY KEY)",
        "INSERT INTO alembic_version VALUES ('0007')",
        "CREATE TABLE layer_styles (id serial PRIMARY KEY, stylename text)",
        "CREATE TABLE by_year (year int) PARTITION BY LIST (year)",
        "CREATE TABLE by_year_2026 PARTITION OF by_year FOR VALUES IN (2026)",
    )
    assert found == ""


def test_a_missing_table_is_named(found_after: Sabotage) -> None:
    assert f"no table {TABLE.name}," in found_after(f"DROP TABLE {TABLE.name}")


def test_an_invalid_index_is_named(found_after: Sabotage) -> None:
    """What CREATE INDEX CONCURRENTLY leaves when it fails, by a name that no model has."""
    found = found_after(
        f"CREATE INDEX left_over ON {TABLE.name} (created_at)",
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'left_over'::regclass",
    )
    assert "left_over is invalid" in found
    assert "DROP INDEX CONCURRENTLY left_over" in found


def test_a_revision_of_a_newer_version_is_named(found_after: Sabotage) -> None:
    found = found_after(f"UPDATE {MIGRATIONS.version_table} SET version_num = 'newer'")
    assert "at revision newer, which this version does not have" in found


def trigger(event: str, body: str) -> tuple[str, str]:
    """The statements that have the rows of the table go through some code."""
    return (
        f"CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$",
        f"CREATE TRIGGER meddling BEFORE {event} ON {TABLE.name}"
        " FOR EACH ROW EXECUTE FUNCTION meddle()",
    )


#: What breaks what the service promises, and no comparison of tables shows; and how the check names it.
BREAKING = {
    "an exclusion": (
        (f"ALTER TABLE {TABLE.name} ADD CONSTRAINT apart EXCLUDE (created_at WITH =)",),
        "the model has no constraint apart",
    ),
    "a deferrable key": (
        (
            f"ALTER TABLE {TABLE.name} DROP CONSTRAINT pk_{TABLE.name},"
            f" ADD CONSTRAINT pk_{TABLE.name} PRIMARY KEY (id) DEFERRABLE",
        ),
        rf"constraint pk_{TABLE.name} is `PRIMARY KEY \(id\) DEFERRABLE`",
    ),
    "a check": (
        (f"ALTER TABLE {TABLE.name} ADD CONSTRAINT recent CHECK (created_at > '2000-01-01')",),
        "the model has no constraint recent",
    ),
    "a trigger that drops rows": (trigger("INSERT", "RETURN NULL;"), "a trigger drops it"),
    "a trigger that drops changes": (trigger("UPDATE", "RETURN NULL;"), "drops its changes"),
    "a trigger that keeps rows": (trigger("DELETE", "RETURN NULL;"), "from being deleted"),
    "a trigger that refuses rows": (
        trigger("INSERT", "RAISE EXCEPTION 'not on Sundays';"),
        r"example\(0\) is not as .* PostgreSQL refuses it: not on Sundays",
    ),
    "a rule": (
        (f"CREATE RULE ignore AS ON DELETE TO {TABLE.name} DO INSTEAD NOTHING",),
        "the rule ignore",
    ),
    "a table that a crash empties": ((f"ALTER TABLE {TABLE.name} SET UNLOGGED",), "UNLOGGED"),
    "a generated column": (
        (
            f"ALTER TABLE {TABLE.name} DROP updated_at",
            f"ALTER TABLE {TABLE.name} ADD updated_at timestamptz NOT NULL"
            " GENERATED ALWAYS AS (created_at) STORED",
        ),
        "updated_at",
    ),
}


@pytest.mark.parametrize("breaking", BREAKING)
def test_what_breaks_the_service_is_named(found_after: Sabotage, breaking: str) -> None:
    statements, named = BREAKING[breaking]
    assert re.search(named, found_after(*statements))


#: What a team may want: the check passes, and says that it is there.
WARNED_OF = {
    "row-level security": ((f"ALTER TABLE {TABLE.name} ENABLE ROW LEVEL SECURITY",), "row-level"),
    "a trigger": (trigger("INSERT", "RETURN NEW;"), "the trigger meddling"),
    "a rule": (
        (f"CREATE RULE more AS ON DELETE TO {TABLE.name} DO ALSO SELECT 1",),
        "the rule more",
    ),
}


@pytest.mark.parametrize("wanted", WARNED_OF)
def test_what_a_team_may_want_is_warned_of(
    found_after: Sabotage, caplog: pytest.LogCaptureFixture, wanted: str
) -> None:
    statements, named = WARNED_OF[wanted]
    assert found_after(*statements) == ""
    assert named in caplog.text


def test_a_predicate_may_have_percent_signs() -> None:
    rows = sa.literal_column("(id IS NOT NULL AND '5 %' LIKE '_ %')", sa.Boolean())
    other = copy.copy(COLLECTION)
    other.indexed_rows, other._rows = rows, Condition(rows)
    service = dataclasses.replace(SERVICE, collections=[other])
    assert not names("a page in a box", checks.check_models(service))


def test_an_index_of_geoalchemy2s_own_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GEOMETRY.type, "spatial_index", True)
    assert names("spatial_index=True", checks.check_models(SERVICE))


def test_a_format_that_writes_what_is_no_geometry_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    format_ = type(COLLECTION.format)
    monkeypatch.setattr(format_, "write", lambda _self, geometry: geometry.wkb_hex)
    assert names(f"does not come through {format_.__name__}", checks.check_models(SERVICE))


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
