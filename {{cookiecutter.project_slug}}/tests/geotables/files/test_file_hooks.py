"""Hooks of a collection hold for files, too: they look at every row that is loaded, and exports have what everybody may see."""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyogrio
import pytest
import shapely
import sqlalchemy as sa

from geotables.collection import Change, Collection, Refused
from geotables.column_types import text_of, values_of
from geotables.commands import command_line, run
from geotables.context import Caller
from geotables.crs import WGS84
from geotables.db.database import Database
from geotables.db.statements import Condition
from geotables.files import add_commands
from geotables.geometry import bind, samples
from geotables.service import Service

import apps
from contract import each, only, writes
from rows import Rows

pytestmark = writes

Command = Callable[..., int]


@pytest.fixture
def command(
    service: Service, collection: Collection, connection: sa.Connection
) -> Callable[..., Command]:
    """Makes a command line of the service whose only collection is this one, with hooks that are given by their names."""

    def make(**hooks: Any) -> Command:
        return command_of(replace(service, collections=[apps.with_hooks(collection, **hooks)]))

    return make


def command_of(service: Service) -> Command:
    """The commands about files of a service."""

    def command(*arguments: str) -> int:
        parser, commands = command_line(service.package)
        add_commands(commands, service)
        return run(parser, arguments)

    return command


def file_of(folder: Path, rows: Rows, numbers: Sequence[int], **members: Any) -> str:
    """A file with features of these numbers."""
    features = []
    for number in numbers:
        properties = rows.full_body(number) | members
        shape = properties.pop(rows.collection.geometry.name)
        features.append({"type": "Feature", "geometry": shape, "properties": properties})
    path = folder / "rows.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return str(path)


def stored(connection: sa.Connection, column: sa.Column[Any]) -> list[Any]:
    return list(connection.scalars(sa.select(text_of(column))))


class Asked(list[dict[str, Any]]):
    """A hook that remembers the rows that it was asked about."""

    def __call__(
        self,
        connection: sa.Connection,
        caller: Caller,
        old: Mapping[str, Any] | None,
        new: dict[str, Any] | None,
    ) -> None:
        assert connection.in_transaction()
        assert old is None
        assert new is not None
        self.append(dict(new))


def test_before_write_is_asked_about_every_row_of_a_file(
    command: Callable[..., Command], rows: Rows, connection: sa.Connection, tmp_path: Path
) -> None:
    asked = Asked()
    assert command(before_write=asked)("load", file_of(tmp_path, rows, range(2))) == 0
    assert rows.count(connection) == len(asked) == 2
    place = rows.collection.geometry.name
    for number, new in enumerate(asked):
        assert new.keys() == rows.full_body(number).keys()
        assert new[place].geom_type == rows.samples[0].geom_type
        example = values_of(rows.collection.create.model_validate(rows.full_body(number)))
        for name in new.keys() - {place}:
            assert new[name] == example[name], name


def test_before_write_puts_loaded_rows_elsewhere(
    command: Callable[..., Command], rows: Rows, connection: sa.Connection, tmp_path: Path
) -> None:
    collection = rows.collection
    lon, lat = samples.middle(collection.geometry)
    there = samples.geometries(collection.geometry, (lon + 1e-3, lat))[-1]

    def put_there(_connection: Any, _caller: Any, _old: Any, new: dict[str, Any]) -> None:
        new[collection.geometry.name] = shapely.set_srid(there, WGS84)

    assert command(before_write=put_there)("load", file_of(tmp_path, rows, range(2))) == 0
    expected = connection.scalar(sa.select(sa.func.ST_AsBinary(bind(there, collection.crs.srid))))
    shapes = list(connection.scalars(sa.select(sa.func.ST_AsBinary(collection.geometry))))
    assert len(shapes) == 2
    for shape in shapes:
        ours, theirs = (shapely.from_wkb(bytes(wkb)) for wkb in (shape, expected))
        assert shapely.equals_exact(ours, theirs, 1e-6)


def changeable(collection: Collection) -> dict[str, sa.Column[Any]]:
    """The columns that a client writes and rows may share."""
    rows = Rows.of(collection)
    return {column.name: column for column in rows.writable if column.name not in rows.unique}


@each("column", changeable)
def test_before_write_changes_values_of_loaded_rows(
    command: Callable[..., Command],
    rows: Rows,
    connection: sa.Connection,
    tmp_path: Path,
    column: sa.Column[Any],
) -> None:
    value = rows.collection.example(3)[column.name]

    def set_it(_connection: Any, _caller: Any, _old: Any, new: dict[str, Any]) -> None:
        new[column.name] = value

    assert command(before_write=set_it)("load", file_of(tmp_path, rows, range(2))) == 0
    assert stored(connection, column) == [value, value]


def refuse_the_first(asked: Asked) -> Callable[..., None]:
    def refuse(*given: Any) -> None:
        asked(*given)
        if len(asked) == 1:
            raise Refused("the harbour is closed")

    return refuse


@pytest.mark.parametrize("options", [[], ["--skip-invalid"]], ids=["all", "the others"])
def test_what_before_write_refuses_is_a_reject(
    command: Callable[..., Command],
    rows: Rows,
    connection: sa.Connection,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
) -> None:
    asked, told, rejects = Asked(), [], tmp_path / "rejects.geojsonl"
    load = command(
        before_write=refuse_the_first(asked),
        after_commit=lambda _caller, changes: told.append(changes),
    )
    path = file_of(tmp_path, rows, range(2))
    assert load("load", *options, "--rejects", str(rejects), path) == (0 if options else 1)
    assert "feature 1: the harbour is closed" in capsys.readouterr().err
    (reject,) = map(json.loads, rejects.read_text().splitlines())
    assert (reject["position"], reject["reason"]) == (1, "the harbour is closed")
    assert rows.count(connection) == len(told) == len(options)


def test_after_commit_is_told_once_of_a_file(
    command: Callable[..., Command],
    rows: Rows,
    connection: sa.Connection,
    own: Database,
    tmp_path: Path,
) -> None:
    told: list[Sequence[Change]] = []

    def look(caller: Caller, changes: Sequence[Change]) -> None:
        told.append(changes)
        # Others see them already.
        with own.read() as other:
            assert rows.count(other) == 2

    assert command(after_commit=look)("load", file_of(tmp_path, rows, range(2))) == 0
    (changes,) = told
    assert all(change.old is None for change in changes)
    ids = [change.new[rows.key.name] for change in changes if change.new]
    assert sorted(ids) == sorted(stored(connection, rows.key))


def test_after_commit_is_not_told_of_a_file_that_is_refused(
    command: Callable[..., Command], rows: Rows, connection: sa.Connection, tmp_path: Path
) -> None:
    told: list[Any] = []
    load = command(after_commit=lambda _caller, changes: told.append(changes))
    wrong = file_of(tmp_path, rows, range(2))
    text = Path(wrong).read_text().replace('"type": "Feature",', '"type": "Nothing",')
    Path(wrong).write_text(text)
    assert load("load", "--rejects", str(tmp_path / "rejects.geojsonl"), wrong) == 1
    assert (told, rows.count(connection)) == ([], 0)


@only(lambda c: bool(Rows.of(c).unique))
def test_before_write_sees_the_row_that_a_feature_changes(
    command: Callable[..., Command], rows: Rows, connection: sa.Connection, tmp_path: Path
) -> None:
    key = min(rows.unique)
    assert command()("load", file_of(tmp_path, rows, [0])) == 0
    (id,) = stored(connection, rows.key)
    seen: list[tuple[Any, Any]] = []
    told: list[Sequence[Change]] = []

    def see(_connection: Any, _caller: Any, old: Any, new: Any) -> None:
        seen.append((dict(old), dict(new)))

    load = command(before_write=see, after_commit=lambda _caller, changes: told.append(changes))
    assert load("load", "--key", key, file_of(tmp_path, rows, [0])) == 0
    ((old, new),) = seen
    assert old[rows.key.name] == new[rows.key.name] == id
    assert old[key] == new[key] == rows.collection.example(0)[key]
    ((change,),) = told
    assert change.old == old
    assert change.new is not None
    assert change.new[rows.key.name] == id


def test_an_export_has_what_everybody_may_see(
    command: Callable[..., Command], rows: Rows, connection: sa.Connection, tmp_path: Path
) -> None:
    rows.insert(connection, rows.spread(9))
    hidden, *shown = rows.indexed_ids(connection)
    expression = rows.key != sa.bindparam("hidden", type_=rows.key.type)
    asked: list[Caller] = []

    def where(caller: Caller) -> Condition:
        asked.append(caller)
        return Condition(expression, {"hidden": hidden})

    export = command(where=where)
    for name in ("rows.geojsonl", "rows.geojson", "rows.csv"):
        path = tmp_path / name
        assert export("export", str(path)) == 0
        assert str(hidden) not in ids_of(path, rows)
        assert sorted(ids_of(path, rows)) == sorted(map(str, shown))
        # Whoever has the database can have every row.
        assert export("export", "--all", str(path)) == 0
        assert sorted(ids_of(path, rows)) == sorted(map(str, stored(connection, rows.key)))
    assert asked
    assert all(caller == Caller() for caller in asked)


def ids_of(path: Path, rows: Rows) -> list[str]:
    """The ids of the rows of a file."""
    text = path.read_text()
    if path.suffix == ".csv":
        return [line[rows.key.name] for line in csv.DictReader(io.StringIO(text))]
    if path.suffix == ".geojson":
        return [rows.text(feature["id"]) for feature in json.loads(text)["features"]]
    return [str(json.loads(line)["id"]) for line in text.splitlines()]


@pytest.mark.parametrize("name", ["rows.geojsonl", "rows.geojson", "rows.csv", "rows.gpkg"])
@each("column", lambda c: {column.name: column for column in c.properties})
def test_no_export_has_a_hidden_column(
    service: Service,
    rows: Rows,
    connection: sa.Connection,
    tmp_path: Path,
    column: sa.Column[Any],
    name: str,
) -> None:
    rows.insert(connection, rows.spread(3))
    hiding = replace(service, collections=[apps.without(rows.collection, column)])
    path = tmp_path / name
    assert command_of(hiding)("export", "--all", str(path)) == 0
    others = rows.columns.keys() - {column.name, rows.key.name}
    assert columns_of(path) - {rows.key.name, rows.collection.geometry.name} == others


@each("column", lambda c: {column.name: column for column in Rows.of(c).writable})
def test_a_file_may_fill_a_hidden_column(
    service: Service,
    rows: Rows,
    connection: sa.Connection,
    tmp_path: Path,
    column: sa.Column[Any],
) -> None:
    hiding = replace(service, collections=[apps.without(rows.collection, column)])
    assert command_of(hiding)("load", file_of(tmp_path, rows, [1])) == 0
    assert stored(connection, column) == [rows.collection.example(1)[column.name]]


def columns_of(path: Path) -> set[str]:
    """The names of the columns of a file."""
    if path.suffix == ".gpkg":
        return {*pyogrio.read_info(path)["fields"]}
    text = path.read_text()
    if path.suffix == ".csv":
        return {*next(csv.reader(io.StringIO(text)))}
    if path.suffix == ".geojson":
        features = json.loads(text)["features"]
    else:
        features = [json.loads(line) for line in text.splitlines()]
    assert features
    return {name for feature in features for name in feature["properties"]}
