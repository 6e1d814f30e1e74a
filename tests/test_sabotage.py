"""The check finds each thing that a team may break, names it, and lets them change what they may.

Each test breaks one thing in a project that the check has passed. What stands in the files is found by `check` alone;
what the database says is found by `check --database`.
"""

import contextlib
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from conftest import Bake
from rendering import Project, rewrite

VARIANTS = {
    "geographic": {"geometry_type": "POINT", "srid": "4326"},
    "projected": {"geometry_type": "POLYGON", "srid": "27700", "primary_key": "uuid"},
    "partial": {
        "geometry_type": "LINESTRING",
        "srid": "4258",
        "index_predicate": "status = 'active'",
        "attributes": "name:str(100) status:str(20)=active price:numeric(6,2)?",
    },
}
GIST = "idx_facilities_location_gist"
GEOGRAPHY = "idx_facilities_location_geog"

TABLE = "src/facilities_service/tables/facilities.py"
MIGRATION = "migrations/versions/0001_create_facilities.py"
GEOMETRY = "src/geotables/geometry/__init__.py"
QUERIES = "src/geotables/sql/queries.py"
BBOX = "src/geotables/sql/bbox.py"
NEARBY = "src/geotables/rest/nearby.py"


@dataclass(frozen=True, slots=True)
class Service:
    """A project and its database, migrated."""

    project: Project
    url: str

    def check(self, *arguments: str) -> str:
        """What the check finds; "" if it passes."""
        run = self.project.service("check", *arguments, DATABASE_URL=self.url)
        assert (run.code == 0) == ("agree" in run.output), run
        return run.output if run.code else ""

    def sql(self, statement: str) -> None:
        connection = psycopg2.connect(self.url)
        with contextlib.closing(connection), connection, connection.cursor() as cursor:
            cursor.execute(statement)

    def change(self, file: str, pattern: str, new: str, *, times: int = 1) -> None:
        """Replace what a regular expression finds in a file."""
        path = self.project.path / file
        text, found = re.subn(pattern, new, path.read_text(encoding="utf-8"))
        assert found == times, f"{pattern} stands {found} times in {file}"
        rewrite(path, text)


def test_a_condition_that_fails_for_rows_is_named(
    bake: Bake, tmp_path: Path, database_url: str
) -> None:
    """Before the table is made, and when a row cannot be written for it."""
    project = bake(attributes="n:int=1", index_predicate="10 / (n - n) > 1")
    file = tmp_path / "row.geojsonl"
    point = '{"type": "Point", "coordinates": [13, 52]}'
    file.write_text(f'{{"type": "Feature", "properties": {{}}, "geometry": {point}}}')
    check = project.service("check", "--ddl", DATABASE_URL=database_url)
    project.service("migrate", DATABASE_URL=database_url).passed()
    load = project.service("load", str(file), DATABASE_URL=database_url)
    for run in (check, load):
        assert run.code != 0
        assert "division by zero" in run.output
        assert f"{GIST}: (10 / (n - n) > 1)" in run.output


@pytest.fixture(scope="module")
def services(bake_once: Bake, server: Any) -> Iterator[dict[str, Service]]:
    """The variants, with migrated databases, as nobody has changed them."""
    with contextlib.ExitStack() as databases:
        services = {}
        for name, parameters in VARIANTS.items():
            services[name] = Service(
                bake_once(**parameters), databases.enter_context(server.database())
            )
            services[name].project.service("migrate", DATABASE_URL=services[name].url).passed()
        yield services


@pytest.fixture
def copied(services: dict[str, Service], tmp_path: Path) -> Callable[[str], Service]:
    """A copy of a variant's project, whose files may be changed."""

    def copied(name: str) -> Service:
        project = services[name].project
        path = shutil.copytree(project.path, tmp_path / "project")
        return replace(services[name], project=replace(project, path=path))

    return copied


@pytest.fixture
def fresh(copied: Callable[[str], Service], server: Any) -> Iterator[Callable[[str], Service]]:
    """The same with a migrated database, which may be changed, too."""
    with contextlib.ExitStack() as databases:

        def fresh(name: str) -> Service:
            service = replace(copied(name), url=databases.enter_context(server.database()))
            service.project.service("migrate", DATABASE_URL=service.url).passed()
            return service

        yield fresh


@pytest.mark.parametrize("variant", VARIANTS)
def test_check_passes_before_anything_is_broken(services: dict[str, Service], variant: str) -> None:
    assert services[variant].check("--database") == ""


EVERY, AS_GEOGRAPHY, PARTIAL = tuple(VARIANTS), ("geographic", "partial"), ("partial",)
ONE = ("geographic",)

#: What is changed in a file: what it is, in which variants, the file, a pattern, what takes its place; and what the
#: check has to say.
IN_FILES = [
    ("SRID in the model only", EVERY, TABLE, r"\bsrid=\d+", "srid=3857", "3857"),
    ("no SRID in the model", EVERY, TABLE, r"\bsrid=\d+", "srid=-1", "SRID is -1"),
    ("SRID in the migration only", EVERY, MIGRATION, r"\bsrid=\d+", "srid=3857", "3857"),
    (
        "type in the model only",
        EVERY,
        TABLE,
        r'(Geometry\(\s+)"\w+"',
        r'\1"MULTIPOINT"',
        "MULTIPOINT",
    ),
    (
        "type in the migration only",
        EVERY,
        MIGRATION,
        r'(Geometry\(\s+)"\w+"',
        r'\1"MULTIPOINT"',
        "MULTIPOINT",
    ),
    (
        "dimension in the model only",
        EVERY,
        TABLE,
        r'(Geometry\(\s+)"(\w+)"(,\s+srid=\d+,\s+dimension=)2',
        r'\1"\2Z"\g<3>3',
        "POINTZ|LINESTRINGZ|POLYGONZ",
    ),
    (
        "spatial_index=True",
        EVERY,
        TABLE,
        "spatial_index=False",
        "spatial_index=True",
        "spatial_index=True",
    ),
    ("index renamed in the model", EVERY, TABLE, GIST, "idx_renamed", "idx_renamed"),
    ("index renamed in the migration", EVERY, MIGRATION, GIST, "idx_renamed", "idx_renamed"),
    (
        "index is no GiST index",
        EVERY,
        TABLE,
        f'(?s)("{GIST}".*?)postgresql_using="gist",',
        r"\1",
        GIST,
    ),
    ("geography index renamed", AS_GEOGRAPHY, TABLE, GEOGRAPHY, "idx_renamed", "idx_renamed"),
    ("geography index not in the model", AS_GEOGRAPHY, TABLE, r"::geography", "", "geography"),
    (
        "predicate changed in the model",
        PARTIAL,
        TABLE,
        "status = 'active'",
        "status = 'open'",
        "status = 'open'",
    ),
    (
        "predicate changed in the migration",
        PARTIAL,
        MIGRATION,
        "status = 'active'",
        "status = 'open'",
        "status = 'open'",
    ),
    (
        "predicate dropped from one index",
        PARTIAL,
        TABLE,
        f'(?s)("{GIST}".*?)postgresql_where=INDEXED_ROWS,',
        r"\1",
        "different rows",
    ),
    (
        "predicate dropped from the migration",
        PARTIAL,
        MIGRATION,
        f'(?s)("{GIST}".*?)postgresql_where=INDEXED_ROWS,',
        r"\1",
        f"{GIST}.* WHERE",
    ),
    (
        "a query that binds the predicate's value",
        PARTIAL,
        QUERIES,
        r"(select\(\*record\.columns\))\.where\(rows\)",
        r'\1.where(record.collection.table.c.status == "active")',
        r"status = 'active'",
    ),
    (
        "Pydantic writes WKB for GeoJSON",
        EVERY,
        GEOMETRY,
        r"return orjson.loads\(shapely.to_geojson\(geometry\)\)",
        "return shapely.to_wkb(geometry, hex=True)",
        "GeoJSON",
    ),
    (
        "Pydantic writes WKB for WKT",
        EVERY,
        GEOMETRY,
        r"return geometry\.wkt",
        "return shapely.to_wkb(geometry, hex=True)",
        "WKT",
    ),
    (
        "a column of the schema is not in the table",
        EVERY,
        TABLE,
        r"\bname: Text",
        "title: Text",
        "title",
    ),
    (
        "a column of the model is not in the migration",
        EVERY,
        TABLE,
        r"    name: M",
        "    other: M",
        "other",
    ),
    ("a longer text in the model", EVERY, TABLE, r"sa.String\(100\)", "sa.String(200)", "200"),
    ("another default in the migration", EVERY, MIGRATION, '"active"', '"open"', "open"),
    (
        "a column is not in what comes in",
        ONE,
        TABLE,
        r"\n    name: Text = .*",
        "",
        "FacilityIn has no name",
    ),
    (
        "a column is not in what goes out",
        ONE,
        TABLE,
        r"\n    name: str",
        "",
        "FacilityOut has no name",
    ),
    (
        "longer texts in the schema",
        ONE,
        TABLE,
        "max_length=100",
        "max_length=200",
        "more than 100",
    ),
    ("shorter texts in the schema", ONE, TABLE, "max_length=100", "max_length=50", "50.*100"),
    ("null in the schema only", ONE, TABLE, r"name: Text =", "name: Text | None =", "takes null"),
    (
        "null in the model only",
        ONE,
        TABLE,
        r"name: Mapped\[str\]",
        "name: Mapped[str | None]",
        "FacilityIn.name refuses null",
    ),
    (
        "another type in the schema",
        ONE,
        TABLE,
        r"    name: str",
        "    name: int",
        "Out.name refuses",
    ),
    (
        "another default in the schema",
        ONE,
        TABLE,
        r'(Field\(default=)"active"',
        r'\1"open"',
        "'open'.*'active'",
    ),
    ("no default in the model", ONE, TABLE, r', server_default="active"', "", "no server_default"),
    ("no onupdate", ONE, TABLE, ", onupdate=sa.func.now\\(\\)", "", "updated_at has no onupdate"),
    (
        "a column without an example",
        ONE,
        TABLE,
        r'\n        "name": .*',
        "",
        r"example\(\) has no name",
    ),
    (
        "a table renamed in the model",
        ONE,
        TABLE,
        '__tablename__ = "facilities"',
        '__tablename__ = "sites"',
        "sites.*make revision",
    ),
    (
        "the range of coordinates is not in the model",
        EVERY,
        TABLE,
        "location @ ",
        "true OR location @ ",
        "range",
    ),
]

#: What is changed in a file and shows in the database alone.
IN_QUERIES = [
    (
        "PostGIS writes WKB for GeoJSON",
        EVERY,
        GEOMETRY,
        r"return sa.func.ST_AsGeoJSON\(.*\)",
        "return sa.cast(sa.func.to_json(sa.cast(self.column, sa.Text())), sa.Text())",
        "as GeoJSON",
    ),
    (
        "PostGIS writes WKB for WKT",
        EVERY,
        GEOMETRY,
        r"return sa.func.ST_AsText\(.*\)",
        "return sa.cast(self.column, sa.Text())",
        "as WKT",
    ),
    (
        "PostGIS writes GeoJSON in the table's CRS",
        ("projected",),
        GEOMETRY,
        r"ST_AsGeoJSON\(in_srid\(self.column, WGS84\)",
        "ST_AsGeoJSON(self.column",
        "as GeoJSON",
    ),
    (
        "a cast to geography that the index does not know",
        AS_GEOGRAPHY,
        NEARBY,
        r"there = sa\.func\.geography\(collection\.geometry\)",
        "there = sa.cast(collection.geometry, __import__('geoalchemy2').Geography('POINT', srid=4326))",
        GEOGRAPHY,
    ),
    (
        "a search that transforms the column",
        ("projected", "partial"),
        BBOX,
        r'column\.bool_op\("&&"\)\(sa\.func\.ST_Envelope',
        'sa.func.ST_Transform(column, 4326).bool_op("&&")(sa.func.ST_Envelope',
        f"use {GIST}",
    ),
    (
        "a search that does not ask the index",
        ("projected", "partial"),
        BBOX,
        r"return _in_envelopes\(column, covered, _is_covered\(column, box\)\) & exactly",
        "return exactly",
        f"use {GIST}",
    ),
]

#: What is changed in the database.
IN_DATABASE = [
    ("index renamed", EVERY, f"ALTER INDEX {GIST} RENAME TO renamed", GIST),
    ("index dropped", EVERY, f"DROP INDEX {GIST}", GIST),
    (
        "an extra GiST index",
        EVERY,
        "CREATE INDEX extra ON facilities USING gist (location)",
        "extra",
    ),
    (
        "an extra GiST index of several columns",
        EVERY,
        "CREATE INDEX extra ON facilities USING gist (ST_Centroid(location), location)",
        "extra",
    ),
    (
        "an extra SP-GiST index",
        EVERY,
        "CREATE INDEX extra ON facilities USING spgist (location)",
        "extra",
    ),
    (
        "an index that is not valid",
        EVERY,
        f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{GIST}'::regclass",
        f"{GIST}.*invalid",
    ),
    ("geography index dropped", AS_GEOGRAPHY, f"DROP INDEX {GEOGRAPHY}", GEOGRAPHY),
    (
        "predicate dropped",
        PARTIAL,
        f"DROP INDEX {GIST}; CREATE INDEX {GIST} ON facilities USING gist (location)",
        f"{GIST}.*status",
    ),
    (
        "predicate changed",
        PARTIAL,
        f"DROP INDEX {GIST}; CREATE INDEX {GIST} ON facilities USING gist (location) WHERE status = 'open'",
        f"{GIST}.*open",
    ),
    (
        "predicate of the geography index changed",
        PARTIAL,
        f"DROP INDEX {GEOGRAPHY}; CREATE INDEX {GEOGRAPHY} ON facilities USING gist (geography(location)) WHERE status = 'open'",
        f"{GEOGRAPHY}.*open",
    ),
    (
        "another geometry type",
        EVERY,
        "ALTER TABLE facilities ALTER location TYPE geometry(GEOMETRY, {srid})",
        "geometry type",
    ),
    (
        "another SRID",
        ("projected",),
        "ALTER TABLE facilities DROP CONSTRAINT ck_facilities_location_range;"
        "ALTER TABLE facilities ALTER location TYPE geometry(POLYGON, 3857) USING ST_SetSRID(location, 3857)",
        "SRID",
    ),
    (
        "geometry may be missing",
        EVERY,
        "ALTER TABLE facilities ALTER location DROP NOT NULL",
        "null",
    ),
    ("a column may be missing", EVERY, "ALTER TABLE facilities ALTER name DROP NOT NULL", "null"),
    ("another default", EVERY, "ALTER TABLE facilities ALTER status SET DEFAULT 'open'", "status"),
    ("no default", EVERY, "ALTER TABLE facilities ALTER status DROP DEFAULT", "status"),
    ("a column that is not in the model", EVERY, "ALTER TABLE facilities ADD extra text", "extra"),
    ("a shorter text", EVERY, "ALTER TABLE facilities ALTER name TYPE varchar(50)", "name"),
    (
        "no range of coordinates",
        EVERY,
        "ALTER TABLE facilities DROP CONSTRAINT ck_facilities_location_range",
        "ck_facilities_location_range",
    ),
    (
        "a number of any precision",
        PARTIAL,
        "ALTER TABLE facilities ALTER price TYPE numeric",
        r"column price is `numeric` in the database and `numeric\(6,2\)` in the model",
    ),
    (
        "a trigger that changes rows",
        ONE,
        "CREATE FUNCTION tidy() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN NEW.name = upper(NEW.name); RETURN NEW; END $$;"
        " CREATE TRIGGER tidy BEFORE INSERT ON facilities FOR EACH ROW EXECUTE FUNCTION tidy()",
        r"facilities\.py: example\(0\).*name is 'name 0' there, and stored as 'NAME 0'",
    ),
    ("no revision", EVERY, "DELETE FROM alembic_version_facilities_service", "migrate"),
]


def assert_says(found: str, says: str) -> None:
    if not re.search(says, found):
        pytest.fail(f"nothing of {says!r} in:\n{found or 'all agree'}", pytrace=False)


def cases(table: list[Any]) -> list[Any]:
    """Each row of a table for each of its variants."""
    return [
        pytest.param(variant, *rest, id=f"{variant}: {what}")
        for what, variants, *rest in table
        for variant in variants
    ]


@pytest.mark.parametrize(("variant", "file", "pattern", "new", "says"), cases(IN_FILES))
def test_check_finds_what_is_broken_in_files(
    copied: Callable[[str], Service], variant: str, file: str, pattern: str, new: str, says: str
) -> None:
    service = copied(variant)
    service.change(file, pattern, new)
    assert_says(service.check(), says)


@pytest.mark.parametrize(("variant", "file", "pattern", "new", "says"), cases(IN_QUERIES))
def test_check_finds_broken_queries(
    copied: Callable[[str], Service], variant: str, file: str, pattern: str, new: str, says: str
) -> None:
    service = copied(variant)
    service.change(file, pattern, new)
    assert_says(service.check("--database"), says)


@pytest.mark.parametrize(("variant", "statement", "says"), cases(IN_DATABASE))
def test_check_finds_what_is_broken_in_the_database(
    fresh: Callable[[str], Service], variant: str, statement: str, says: str
) -> None:
    service = fresh(variant)
    service.sql(statement.replace("{srid}", VARIANTS[variant]["srid"]))
    assert_says(service.check("--database"), says)


# -- What a team may do --------------------------------------------------------------------------

DEPOT = '''

class Depot(Base):
    """A table of the team's own."""

    __tablename__ = "depots"
    __table_args__ = (
        sa.Index("idx_depots_area_gist", "area", postgresql_using="gist"),
        sa.Index("idx_depots_entrance_gist", "entrance", postgresql_using="gist"),
    )

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(50), unique=True)
    area: Mapped[WKBElement] = mapped_column(
        Geometry("MULTIPOLYGON", srid=3857, spatial_index=False)
    )
    entrance: Mapped[WKBElement | None] = mapped_column(
        Geometry("POINTZ", srid=4326, dimension=3, spatial_index=False)
    )
'''


def grow(service: Service) -> None:
    """Add a table and a column as a team does: to the model, the schemas and the example, and by a revision of Alembic's making."""
    path = service.project.path / TABLE
    path.write_text(path.read_text(encoding="utf-8") + DEPOT, encoding="utf-8")
    phone = r"    phone: Mapped[str | None] = mapped_column(sa.String(30), index=True)\n\g<0>"
    service.change(TABLE, r"    location: Mapped\[WKBElement\]", phone)
    service.change(TABLE, r'        "name": ', r'        "phone": "555",\n\g<0>')
    service.change(
        TABLE,
        r"    location: Annotated",
        "    phone: Text | None = Field(default=None, max_length=30)\n    location: Annotated",
        times=2,
    )
    revise = ("-m", "alembic", "revision", "--autogenerate", "-m", "depots and telephones")
    service.project.python(*revise, DATABASE_URL=service.url).passed()


@pytest.fixture
def grown(fresh: Callable[[str], Service]) -> Callable[[str], Service]:
    def grown(variant: str) -> Service:
        service = fresh(variant)
        grow(service)
        service.project.service("migrate", DATABASE_URL=service.url).passed()
        return service

    return grown


@pytest.mark.parametrize("variant", EVERY)
def test_check_passes_after_a_table_and_a_column_are_added(
    grown: Callable[[str], Service], variant: str
) -> None:
    service = grown(variant)
    assert service.check() == ""
    assert service.check("--database") == ""
    service.project.python("-m", "alembic", "check", DATABASE_URL=service.url).passed()
    service.project.python("-m", "ruff", "check", "migrations").passed()
    service.project.python("-m", "ruff", "format", "--check", "migrations").passed()


@pytest.mark.parametrize("variant", EVERY)
def test_check_asks_for_the_migration(fresh: Callable[[str], Service], variant: str) -> None:
    service = fresh(variant)
    grow(service)
    assert "migrate" in service.check("--database")


@pytest.mark.parametrize(
    ("file", "pattern", "new", "says"),
    [
        (
            TABLE,
            'Geometry\\("MULTIPOLYGON", srid=3857',
            'Geometry("MULTIPOLYGON", srid=3035',
            "depots.area.*SRID",
        ),
        (
            TABLE,
            '"POINTZ", srid=4326, dimension=3',
            '"POINT", srid=4326',
            "depots.entrance.*dimension",
        ),
        (TABLE, GIST, "idx_renamed", "idx_renamed"),
        (TABLE, "idx_depots_area_gist", "idx_renamed", "idx_renamed"),
        (TABLE, "status = 'active'", "status = 'open'", "status.*open"),
    ],
)
def test_check_finds_what_is_broken_in_a_grown_project(
    grown: Callable[[str], Service], file: str, pattern: str, new: str, says: str
) -> None:
    """The first revision says no longer what the model does: the database is the judge."""
    service = grown("partial")
    service.change(file, pattern, new)
    assert_says(service.check("--database"), says)


#: A revision that adds what a team's table may have: checks, a foreign key, and a trigger that tidies up.
RULES = '''"""Rules."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    statuses = op.create_table(
        "statuses",
        sa.Column("code", sa.String(20), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_statuses")),
    )
    op.bulk_insert(statuses, [{"code": "active"}, {"code": "closed"}])
    op.create_check_constraint("name_length", "facilities", "length(name) >= 3")
    op.create_check_constraint("status_known", "facilities", "status IN ('active', 'closed')")
    op.create_foreign_key(
        op.f("fk_facilities_status"), "facilities", "statuses", ["status"], ["code"]
    )
    op.execute("""
        CREATE FUNCTION tidy_name() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            NEW.name = upper(trim(NEW.name));
            RETURN NEW;
        END $$
    """)
    op.execute("""
        CREATE TRIGGER tidy BEFORE INSERT OR UPDATE ON facilities
        FOR EACH ROW EXECUTE FUNCTION tidy_name()
    """)


def downgrade() -> None:
    op.execute("DROP TRIGGER tidy ON facilities")
    op.execute("DROP FUNCTION tidy_name()")
    op.drop_constraint(op.f("fk_facilities_status"), "facilities")
    op.drop_constraint(op.f("ck_facilities_status_known"), "facilities")
    op.drop_constraint(op.f("ck_facilities_name_length"), "facilities")
    op.drop_table("statuses")
'''

STATUS = '''class Status(Base):
    """The states that a facility may be in."""

    __tablename__ = "statuses"

    code: Mapped[str] = mapped_column(sa.String(20), primary_key=True)


'''


#: A validator of two members for a team's schema, and tests of it and of a constraint.
VALIDATOR = """    @model_validator(mode="after")
    def _name_does_not_deny_the_status(self) -> "FacilityIn":
        if self.name.lower() == f"not {self.status}":
            raise ValueError("the name denies the status")
        return self


"""
VALIDATOR_TEST = """from fastapi.testclient import TestClient
from rows import Rows


def test_patches_are_validated_with_what_they_leave_out(client: TestClient, rows: Rows) -> None:
    id = client.post(rows.path, json=rows.body(name="NAME", status="active")).json()["id"]
    row, feature = f"{rows.path}{id}", f"{rows.items}/{id}"
    for name, status in (("not active", 422), ("other", 200)):
        patched = client.patch(row, json={"name": name})
        assert patched.status_code == status, patched.text
        patched = client.patch(feature, json={"properties": {"name": name}})
        assert patched.status_code == status, patched.text
    nulls = client.patch(row, json={"location": None}).json()
    assert nulls["errors"] == [{"location": "body.location", "detail": "Field required"}]


def test_a_check_is_named_with_its_column_whatever_the_row_holds(
    client: TestClient, rows: Rows
) -> None:
    broken = client.post(rows.path, json=rows.body(name="(ID)=(", status="other")).json()
    assert (broken["constraint"], broken["column"]) == ("ck_facilities_status_known", "status")
"""


def test_a_teams_own_constraints_pass_once_the_examples_keep_them(
    fresh: Callable[[str], Service], server: Any
) -> None:
    service = fresh("geographic")
    service.change(TABLE, r"class Facility\(", rf"{STATUS}\g<0>")
    checks = (
        '        sa.CheckConstraint("length(name) >= 3", name="name_length"),\n'
        "        sa.CheckConstraint(\"status IN ('active', 'closed')\", name=\"status_known\"),\n"
    )
    service.change(TABLE, r"    __table_args__ = \(\n", rf"\g<0>{checks}")
    key = r'\g<0>, sa.ForeignKey("statuses.code")'
    service.change(TABLE, r"status: .* = mapped_column\(sa.String\(20\)", key)
    (service.project.path / "migrations/versions/0002_rules.py").write_text(RULES, encoding="utf-8")
    service.project.service("migrate", DATABASE_URL=service.url).passed()
    assert_says(
        service.check("--database"), r"facilities\.py: example\(0\).*ck_facilities_status_known"
    )
    service.change(TABLE, r'f"name \{number\}"', 'f"NAME {number}"')
    states = '["active", "closed"][number % 2]'
    service.change(TABLE, r'f"status \{number\}"', states)
    assert service.check("--database") == ""
    service.change(TABLE, r"from pydantic import Field", r"\g<0>, model_validator")
    service.change(TABLE, r"class FacilityOut\(", rf"{VALIDATOR}\g<0>")
    assert service.check("--database") == ""
    validator = service.project.path / "tests/test_validator.py"
    validator.write_text(VALIDATOR_TEST, encoding="utf-8")
    contract = ("rest/test_rest.py", "features/test_features_edits.py", "features/test_cql.py")
    tests = ("tests/test_validator.py", *(f"tests/geotables/{file}" for file in contract))
    suite = ("-m", "pytest", "-q", "-p", "no:cacheprovider", *tests)
    own = {"TEST_DATABASE_URL": server.url, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    service.project.python(*suite, **own).passed()
