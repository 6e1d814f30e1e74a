"""Whether the schemas of a collection, and its examples, say what its table says."""

import datetime
import json
import logging
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Any

import shapely
import sqlalchemy as sa
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from shapely.geometry.base import BaseGeometry

from geotables.checks.models import file_of
from geotables.collection import Collection
from geotables.column_types import AsText, RowIn, integer_bits, members
from geotables.crs import WGS84
from geotables.geometry import WKT, GeoJSON, GeometryFormat, read, samples
from geotables.service import Service

log = logging.getLogger(__name__)

#: Coordinates that differ by less, in degrees, are the same: GeoJSON rounds, and a projection is not exact.
TOLERANCE = 1e-6


def check_formats(service: Service, collection: Collection) -> Iterator[str]:
    """See that the Pydantic types take and give every geometry that the column stores."""
    for written in (GeoJSON(collection.geometry), WKT(collection.geometry), collection.format):
        for problem in _check_format(written):
            yield f"{file_of(service, collection)}: {problem}"


def _check_format(written: GeometryFormat) -> Iterator[str]:
    name = type(written).__name__
    adapter: TypeAdapter[BaseGeometry] = TypeAdapter(Annotated[BaseGeometry, written])
    for sample in samples.geometries(written.column):
        try:
            value = json.loads(
                adapter.dump_json(adapter.validate_python(json.loads(shapely.to_geojson(sample))))
            )
            again = read(value, default_srid=WGS84)
        except (ValidationError, ValueError) as error:
            yield f"a {sample.geom_type} does not come through {name}: {error}"
            continue
        if not shapely.equals_exact(again, sample, TOLERANCE):
            yield f"a {sample.geom_type} comes out of {name} as {value!r:.100}"


def check_schemas(service: Service, collection: Collection) -> Iterator[str]:
    """Compare the table with what goes in, with what comes out, and with the examples, both ways."""
    hidden = _hidden(collection)
    for name in hidden:
        log.warning(
            "%s.%s is hidden: %s does not have it",
            collection.name,
            name,
            collection.read.__name__,
        )
    if texts := [column.name for column in collection.columns if isinstance(column.type, AsText)]:
        log.warning("%s: shown as text and never written: %s", collection.name, ", ".join(texts))
    file = file_of(service, collection)
    for check in (_check_fields, _check_read_only, _check_example_names):
        for problem in check(collection):
            yield f"{file}: {problem}"


def _hidden(collection: Collection) -> list[str]:
    """The columns that clients are not to see: a team's choice, unless they write them."""
    known = {*collection.shown, *collection.written}
    return [column.name for column in collection.table.columns if column.name not in known]


def _check_fields(collection: Collection) -> Iterator[str]:
    table, hidden = collection.table, {*_hidden(collection)}
    shown = [column for column in table.columns if column.name not in hidden]
    written = [
        column
        for column in table.columns
        if column.name not in collection.read_only
        and not _is_given_by_database(column)
        and (
            column.name not in hidden or (not column.nullable and _is_never_set(collection, column))
        )
    ]
    example = collection.example(0)
    schemas = [(collection.read, shown)]
    if collection.create is not None:
        schemas.insert(0, (collection.create, written))
    for schema, columns in schemas:
        fields = members(schema)
        for name in sorted(fields.keys() - table.columns.keys()):
            yield f"{schema.__name__}.{name} is no column of {table.fullname}"
        for column in columns:
            if column.name not in fields:
                yield f"{schema.__name__} has no {column.name}, a column of {table.fullname}{_hint(column)}"
            elif column is not collection.geometry:
                value = example.get(column.name)
                for difference in _differences(
                    column, schema, value, is_taken=schema is collection.create
                ):
                    yield f"{schema.__name__}.{column.name} {difference}"


def _hint(column: sa.Column[Any]) -> str:
    """How a field is given the name of a column that is no identifier."""
    is_identifier = column.name.isidentifier() and not column.name.startswith("_")
    return "" if is_identifier else f" (its field has alias={column.name!r})"


def _is_never_set(collection: Collection, column: sa.Column[Any]) -> bool:
    """Whether a column that clients do not write has no value of its own, and no hook that could set it."""
    return column.server_default is None and collection.before_write is None


def _check_example_names(collection: Collection) -> Iterator[str]:
    table, given = collection.table, collection.example(0).keys()
    if collection.create is None:
        yield from _check_read_only_example(collection)
        return
    written = {
        name
        for name in collection.written.keys() & table.columns.keys()
        if name not in collection.read_only and name != collection.geometry.name
    }
    for name in sorted(written - given):
        yield f"example() has no {name}, which clients write: give it a value"
    for name in sorted(given - written):
        yield f"example() has {name}, which is no column that clients write"


def _check_read_only_example(collection: Collection) -> Iterator[str]:
    """See that the example of a read-only collection has what an INSERT has to give, and no more than the table takes."""
    columns, given = collection.table.columns, collection.example(0).keys()
    for column in columns:
        is_needed = not column.nullable and column.server_default is None
        if is_needed and column is not collection.geometry and column.name not in given:
            yield f"example() has no {column.name}, without which there is no row: give it a value"
    for name in sorted(given - columns.keys()):
        yield f"example() has {name}, which is no column of {collection.table.name}"


def _check_read_only(collection: Collection) -> Iterator[str]:
    if collection.create is None:
        return
    table, listed = collection.table, f"{collection.create.__name__}.READ_ONLY"
    # The list of RowIn itself is for any table.
    if collection.read_only != RowIn.READ_ONLY:
        for name in sorted(collection.read_only.difference(table.columns.keys())):
            yield f"{listed} has {name}, which is no column of {table.fullname}"
    for column in table.columns:
        sets_itself = column.onupdate is not None or column.server_onupdate is not None
        if column.name == "updated_at" and not sets_itself:
            yield "updated_at has no onupdate, and would stay the time when the row was added"
        elif sets_itself and column.name not in collection.read_only:
            yield f"{listed} has no {column.name}, which sets itself (onupdate in the model)"
        elif column.name not in collection.read_only and _is_given_by_database(column):
            yield f"{listed} has no {column.name}, which no client writes ({_kind(column)})"
        is_set = column.nullable or not _is_never_set(collection, column)
        if column.name in collection.read_only and not is_set:
            yield f"{column.name} has no server_default, and clients may not give it ({listed})"


def _is_given_by_database(column: sa.Column[Any]) -> bool:
    is_numbered = column.identity is not None and not column.primary_key
    return is_numbered or isinstance(column.type, AsText)


def _kind(column: sa.Column[Any]) -> str:
    return "shown as text" if isinstance(column.type, AsText) else "an identity column"


def _differences(
    column: sa.Column[Any], schema: type[BaseModel], example: Any, *, is_taken: bool
) -> Iterator[str]:
    """What a field of a schema says otherwise than its column in the model."""
    field = members(schema)[column.name]
    kind: Any = field.annotation
    if field.metadata:
        kind = Annotated[(kind, *field.metadata)]
    adapter: TypeAdapter[Any] = TypeAdapter(kind)

    def takes(value: Any) -> bool:
        try:
            adapter.validate_python(value)
        except ValidationError:
            return False
        return True

    # In JSON null is a value.
    is_json = isinstance(column.type, sa.JSON)
    if column.nullable and not takes(None):
        yield "refuses null, which the column takes"
    if not column.nullable and takes(None) and not is_json:
        yield "takes null, which the column does not"
    if example is not None and not takes(example):
        yield f"refuses {example!r:.100}, an example of the column ({column.type})"
    elif example is not None and not is_json:
        made = adapter.validate_python(example)
        if not _is_of(made, column.type.python_type):
            yield f"makes {made!r:.100} ({type(made).__name__}) of an example of the column ({column.type})"
    if is_taken:
        for too_much, what in _beyond(column.type):
            if takes(too_much):
                yield f"takes {what}, the column ({column.type}) does not"
        length, most = getattr(column.type, "length", None), _max_length(adapter)
        if length is not None and most is not None and most < length:
            yield f"takes {most} characters at the most, the column {length}"
        yield from _different_default(column, field, adapter)


def _is_of(value: Any, kind: type[Any]) -> bool:
    """Whether a value is of a type, and not of a special one: True is an int, and a time is a date."""
    special = {int: bool, datetime.date: datetime.datetime}.get(kind)
    return isinstance(value, kind) and not (special and isinstance(value, special))


def _beyond(kind: sa.types.TypeEngine[Any]) -> Iterator[tuple[Any, str]]:
    """Values that a column of a type cannot hold, though the next smaller ones."""
    if bits := integer_bits(kind):
        yield 2 ** (bits - 1), f"integers of more than {bits - 1} bits"
    match kind:
        case sa.String(length=int(length)):
            yield "x" * (length + 1), f"more than {length} characters"
        case sa.Numeric(precision=int(precision), scale=int(scale)):
            yield Decimal(10) ** (precision - scale), f"more than {precision} digits"
            yield Decimal(1).scaleb(-scale - 1), f"more than {scale} decimals"


def _max_length(adapter: TypeAdapter[Any]) -> int | None:
    schema = adapter.json_schema()
    lengths = [each.get("maxLength") for each in (schema, *schema.get("anyOf", ()))]
    return next((length for length in lengths if length is not None), None)


def _different_default(
    column: sa.Column[Any], field: FieldInfo, adapter: TypeAdapter[Any]
) -> Iterator[str]:
    if column.server_default is None:
        if not field.is_required() and not (column.nullable and field.default is None):
            yield f"may be left out for {field.default!r:.100}, but the column has no server_default"
        return
    if field.is_required():
        yield "is required, but the column has a server_default"
        return
    default: Any = _constant(column.server_default)
    if default is None or field.default_factory is not None:
        return
    text = default
    try:
        if isinstance(column.type, sa.JSON):
            default = json.loads(text)
        default = adapter.validate_python(default)
    except ValidationError:
        yield f"refuses the default of the column, {text}"
        return
    if field.default != default:
        yield f"has the default {field.default!r:.100}, the column {default!r:.100}"


def _constant(default: sa.FetchedValue) -> str | None:
    """The text of a default that is the same for every row; None of one that is worked out."""
    match getattr(default, "arg", None):
        case str(text):
            return text
        case sa.True_():
            return "true"
        case sa.False_():
            return "false"
        case sa.TextClause(text=text) if re.fullmatch(r"-?[\d.]+([eE][-+]?\d+)?", text):
            return str(text)
    return None
