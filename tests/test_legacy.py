"""Tables as they are found: each is served, or refused with what to do, and left as it was."""

import csv
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import legacy
import psycopg2
import pyogrio
import pytest
import requests
import shapely
from browser import browser
from clients import wait_for
from clusters import free_port
from legacy import LEGACY, Legacy
from legacy.project import PACKAGE, render
from legacy.state import state
from rendering import TEMPLATE, Project

import adoption
from adoption.__main__ import read_only

#: Rows that a page has here: there are several pages.
LIMIT = 4


@dataclass(frozen=True, slots=True)
class Adopted:
    """A legacy table, and what the project says of it."""

    table: Legacy
    answers: dict[str, str]
    findings: list[adoption.Finding]

    @property
    def collection(self) -> str:
        return self.answers["table_name"]

    @property
    def stated(self) -> dict[str, Any]:
        """What only the table of the database has, not a table of the template's own."""
        found: dict[str, Any] = json.loads(self.answers["_table"])
        return found

    @property
    def key(self) -> str:
        """The real name of the key's column."""
        return str(self.stated.get("key", {}).get("name") or self.answers["key_column"])

    @property
    def geometry(self) -> str:
        """The real name of the geometry column."""
        return str(self.stated.get("geometry_column") or self.answers["geometry_column"])


@pytest.fixture(scope="module")
def url(server: Any) -> Iterator[str]:
    """A database with all of them, which is in the end what it was: to the row, and the transaction that wrote it."""
    with server.database() as url:
        legacy.make(url)
        before = state(url)
        yield url
        after = state(url)
        changed = {name for name in before | after if before.get(name) != after.get(name)}
        assert not changed


@pytest.mark.parametrize("table", LEGACY, ids=lambda table: f"{table.name} {table.key}".strip())
def test_a_table_is_served_or_refused_with_what_to_do(url: str, table: Legacy) -> None:
    answers, findings = adoption.answers(url, table.table, table.key)
    report = "\n".join(
        line
        for finding in findings
        for line in (finding.what, finding.why, *(each.sql for each in finding.statements))
    )
    assert any(finding.refused for finding in findings) is not table.served, report
    assert bool(answers) is table.served
    for words in table.says:
        assert words in report
    if table.served:
        assert answers["read_only"] == ("yes" if table.read_only else "no")


# --- All of them in one project -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def adopted(url: str) -> list[Adopted]:
    served = [table for table in LEGACY if table.served]
    return [Adopted(table, *adoption.answers(url, table.table, table.key)) for table in served]


@pytest.fixture(scope="module")
def project(adopted: list[Adopted], tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("legacy") / "all"
    return render(folder, [each.answers for each in adopted])


def test_the_project_is_lint_format_and_type_clean(project: Project, mypy_cache: Path) -> None:
    project.python("-m", "ruff", "check", "--no-cache", ".").passed()
    project.python("-m", "ruff", "format", "--no-cache", "--check", ".").passed()
    project.python("-m", "mypy", MYPY_CACHE_DIR=str(mypy_cache)).passed()


def test_the_check_lists_what_was_reported(
    url: str, project: Project, adopted: list[Adopted]
) -> None:
    checked = project.service("check", "--database", DATABASE_URL=read_only(url))
    lines = [line for line in checked.output.splitlines() if line.startswith("- ")]
    findings = [finding for each in adopted for finding in each.findings]
    patterns = [pattern for finding in findings for pattern in finding.listed]
    unsaid = [line for line in lines if not any(re.search(each, line) for each in patterns)]
    assert not unsaid
    assert f"check: {len(lines)} found wrong" in checked.output
    for finding in findings:
        if finding.kind in {"untyped", "no-index", "several-indexes", "invalid-index"}:
            assert any(re.search(each, line) for each in finding.listed for line in lines), finding


def test_the_tables_own_tests_pass(project: Project, server: Any) -> None:
    files = [
        f"tests/test_{name}.py"
        for name in ("land_parcels", "stops", "pump_stations", "property_zones", "titles")
    ]
    with server.database() as url:
        options = {"TEST_DATABASE_URL": url, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        project.python("-m", "pytest", "-q", "-p", "no:cacheprovider", *files, **options).passed()


# --- As clients meet them -------------------------------------------------------------------------------------------


@contextmanager
def serving(project: Project, url: str) -> Iterator[str]:
    """The address of the project's service, which can only read the database."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", PACKAGE, "serve", "--port", str(port)],
        cwd=project.path,
        env=os.environ | {"PYTHONPATH": "src", "DATABASE_URL": read_only(url)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(address, process)
        yield address
    finally:
        process.terminate()
        process.wait()


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def stored(cursor: Any, each: Adopted) -> dict[str, tuple[dict[str, str | None], str | None]]:
    """The rows by the texts of their keys: the values as texts, and the geometry as GeoJSON."""
    relation = f"{quoted(each.table.schema)}.{quoted(each.table.name)}"
    predicate = each.answers["index_predicate"] or "true"
    cursor.execute(f"SELECT * FROM {relation} LIMIT 0")
    names = [column.name for column in cursor.description if column.name != each.geometry]
    values = ", ".join(f"{quoted(name)}::text" for name in names)
    geometry = f"ST_AsGeoJSON(ST_Transform({quoted(each.geometry)}::geometry, 4326), 9)"
    cursor.execute(f"SELECT {values}, {geometry} FROM {relation} WHERE {predicate}")
    rows = [dict(zip([*names, None], row, strict=True)) for row in cursor.fetchall()]
    return {row[each.key]: (row, row.pop(None)) for row in rows}


def same(ours: Any, theirs: str | None) -> bool:
    """Whether a value of JSON is that of a text of PostgreSQL."""
    match ours:
        case None:
            return theirs is None
        case bool():
            return theirs == ("true" if ours else "false")
        case int() | float() | Decimal():
            return Decimal(str(ours)) == Decimal(f"{theirs}")
        case dict() | list():
            return bool(ours == json.loads(f"{theirs}"))
    # JSON has a T in a time, and minutes in its offset; char(n) has blanks at its end.
    text = re.sub(r"(\d)T(\d.*[+]00):00$", r"\1 \2", ours)
    return text.rstrip() == f"{theirs}".rstrip()


def test_clients_see_every_row_as_it_is(url: str, project: Project, adopted: list[Adopted]) -> None:
    connection = psycopg2.connect(url)
    with (
        serving(project, url) as address,
        requests.Session() as session,
        connection.cursor() as cursor,
        browser() as page,
    ):
        cursor.execute("SET timezone = 'UTC'")
        listed = session.get(f"{address}/collections", timeout=60).json()["collections"]
        assert [each["id"] for each in listed] == [each.collection for each in adopted]
        for each in adopted:
            items, rows = f"{address}/collections/{each.collection}/items", stored(cursor, each)
            features = {f"{found['id']}": found for found in paged(session, items)}
            assert features.keys() == rows.keys(), each.collection
            for key, (values, geometry) in rows.items():
                response = session.get(f"{items}/{quote(key, safe='')}", timeout=60)
                assert response.status_code == 200, (each.collection, key, response.text)
                alone = parsed(response.text)
                assert alone["properties"] == features[key]["properties"]
                compare(each, alone, values, geometry)
                flat = session.get(f"{address}/{each.collection}/{quote(key, safe='')}", timeout=60)
                assert same(parsed(flat.text)[each.key], key)
            read = pyogrio.raw.read(f"OAPIF:{address}", layer=each.collection, columns=[])
            assert len(read[2]) == len(rows), each.collection
            if each.key != "id":
                # GDAL and QGIS ask for it by its name.
                where = f"{quoted(each.key)} = '{min(rows)}'"
                options = {"layer": each.collection, "columns": [each.key], "where": where}
                assert len(pyogrio.raw.read(f"OAPIF:{address}", **options)[2]) == 1, where
            if each.table.read_only:
                refused = session.put(f"{items}/{quote(key, safe='')}", json={}, timeout=60)
                assert (refused.status_code, refused.headers["Allow"]) == (
                    405,
                    "GET, HEAD, OPTIONS",
                )
            header = session.get(items, params={"f": "csv"}, timeout=60).text.splitlines()[0]
            names = set(next(csv.reader(io.StringIO(header))))
            assert {*values} <= names, each.collection
        page.open(f"{address}/map")
        page.wait('document.querySelector("#map")?.ariaBusy === "false"')
        titles = (
            "[...document.querySelectorAll('#layers label')].map((each) => each.textContent.trim())"
        )
        legend = page.evaluate(f"{titles}.join('\\n')").splitlines()
        assert legend == [each["title"] for each in listed]
        assert not page.complaints
    connection.close()


def parsed(text: str) -> Any:
    """JSON, of whose numbers none is rounded."""
    return json.loads(text, parse_float=Decimal)


def paged(session: requests.Session, items: str) -> Iterator[dict[str, Any]]:
    """The features of all pages."""
    following: str | None = f"{items}?limit={LIMIT}"
    while following:
        response = session.get(following, timeout=60)
        assert response.status_code == 200, (following, response.text)
        page = parsed(response.text)
        yield from page["features"]
        following = next((each["href"] for each in page["links"] if each["rel"] == "next"), None)


def compare(
    each: Adopted, feature: dict[str, Any], values: dict[str, str | None], geometry: str | None
) -> None:
    """See that a feature is what a row holds."""
    id = {"id": feature["id"]} if each.key == "id" else {}
    properties = id | feature["properties"]
    assert properties.keys() == values.keys()
    for name, value in values.items():
        assert same(properties[name], value), (each.collection, name, properties[name], value)
    if geometry is None:
        assert feature["geometry"] is None
        return
    ours = shapely.from_geojson(json.dumps(feature["geometry"], default=float))
    assert ours.is_empty == shapely.from_geojson(geometry).is_empty
    # Exterior rings are counterclockwise in GeoJSON, whatever they are in the database.
    assert shapely.hausdorff_distance(ours, shapely.from_geojson(geometry)) < 1e-7 or ours.is_empty


# --- The command ----------------------------------------------------------------------------------------------------


def test_the_command_adopts_what_a_schema_has(url: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "adoption", "--all", "cadastre", "--out", str(tmp_path)]
    ended = subprocess.run(
        command,
        cwd=TEMPLATE,
        env=os.environ | {"DATABASE_URL": url},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    (project,) = tmp_path.iterdir()
    modules = {path.stem for path in project.glob("src/*/tables/*.py")}
    assert modules == {"__init__", "base", "titles", "plan_index"}
    assert "cadastre.leases" in ended.stderr and "KEY=" in ended.stderr
