"""A table as the code of its module and of its first revision states it."""

from __future__ import annotations

import ast
import contextlib
import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any
from uuid import UUID

import example_rows
import parameters
from parameters import epsg, names
from parameters.attributes import INTEGER_RANGES, MAX_LENGTH, Attribute
from parameters.columns import Constraint, Index, Requirement
from parameters.names import sql_name, sql_spellings
from python_code import LINE_LENGTH, call, imported, in_turns, listed, literal, python


@dataclass(frozen=True, slots=True)
class Kind:
    """How a type of ``attributes`` is written in the rendered code."""

    python: str
    sqlalchemy: str
    #: Arguments of the Pydantic field that say which values the column's type holds.
    field: tuple[str, ...] = ()
    #: The type of geotables.column_types that reads what a client sends, if that is not the Python type.
    schema: str = ""
    #: The type of geotables.column_types that writes what the service returns, if Pydantic would write the Python type otherwise.
    returned: str = ""


KINDS = {
    "str": Kind("str", "sa.String({0.length})", ("max_length={0.length}",), "Text"),
    "char": Kind("str", "sa.CHAR({0.length})", ("max_length={0.length}",), "Text"),
    "varchar": Kind("str", "sa.String()", (), "Text"),
    "text": Kind("str", "sa.Text()", (), "Text"),
    "smallint": Kind("int", "sa.SmallInteger()", ("ge=-(2**15)", "le=2**15 - 1")),
    "int": Kind("int", "sa.Integer()", ("ge=-(2**31)", "le=2**31 - 1")),
    "bigint": Kind("int", "sa.BigInteger()", ("ge=-(2**63)", "le=2**63 - 1")),
    "float": Kind("float", "sa.Double()", ("allow_inf_nan=False",)),
    "real": Kind("float", "sa.REAL()", ("allow_inf_nan=False",)),
    "decimal": Kind("Decimal", "sa.Numeric()", returned="ExactNumber"),
    "numeric": Kind(
        "Decimal",
        "sa.Numeric({0.precision}, {0.scale})",
        ("max_digits={0.precision}", "decimal_places={0.scale}"),
        returned="ExactNumber",
    ),
    "bool": Kind("bool", "sa.Boolean()"),
    "date": Kind("datetime.date", "sa.Date()", (), "Date"),
    "datetime": Kind("datetime.datetime", "sa.DateTime(timezone=True)", (), "Timestamp"),
    "uuid": Kind("UUID", "sa.Uuid()"),
    "json": Kind("Any", "JSONB(none_as_null=True)", (), "Json"),
    "json_text": Kind("Any", "sa.JSON(none_as_null=True)", (), "Json"),
    "other": Kind("str", "AsText"),
}

#: Texts of values of the types that are shown as text: for rows of tests. An array is empty, a range and a geometry, too.
SAMPLES = {
    **{
        "interval": "1 day",
        "bytea": "\\x01",
        "hstore": "a=>1",
        "time": "12:00",
        "timestamp": "2020-01-01",
    },
    **{"inet": "127.0.0.1", "cidr": "127.0.0.0/8", "macaddr": "08:00:2b:01:02:03", "bit": "1"},
    **{
        "point": "(0,0)",
        "box": "(1,1),(0,0)",
        "tsvector": "a",
        "xml": "<a/>",
        "money": "1",
        "numeric": "1",
        "oid": "1",
    },
    **{
        "geometry": "POINT EMPTY",
        "geography": "POINT EMPTY",
        "ltree": "a",
        "citext": "a",
        "name": "a",
    },
}


class Column:
    """A column, as the table's module and the first migration write it."""

    def __init__(self, attribute: Attribute, identifier: str = "", *, is_key: bool = False) -> None:
        self.name, self.type, self.unique = attribute.name, attribute.type, attribute.unique
        #: The name of the attribute in Python.
        self.identifier = identifier or attribute.name
        self.has_default = attribute.default is not None
        self.is_key = is_key
        self._attribute = attribute
        self._kind = KINDS[attribute.type]
        self._sqlalchemy = [self._type(), *self._set_by_database()]
        self._alias = [f"alias={literal(self.name)}"] if self.identifier != self.name else []

    @property
    def length(self) -> int | None:
        """How many characters it holds at the most."""
        return self._attribute.length

    @property
    def is_odd(self) -> bool:
        """Whether its name is better written once: it is long, or no plain word."""
        return is_odd(self.name)

    @property
    def json_type(self) -> str:
        """The Python type of its values in JSON."""
        numbers = ("smallint", "int", "bigint", "decimal")
        return "int" if self.type in numbers else "float" if self.type == "numeric" else "str"

    @property
    def is_required(self) -> bool:
        """Whether a client must give it."""
        return not (self._attribute.nullable or self.has_default)

    @property
    def has_constant_default(self) -> bool:
        """Whether it may be left out, and the value that it has then is known."""
        default = self._attribute.default
        return not default.function if default else self._attribute.nullable

    @property
    def left_out(self) -> Any:
        """The value that it has then, as a client gets it."""
        default = self._attribute.default
        return None if default is None else example_rows.as_sent(default.value)

    def value(self, number: int, resource: str) -> Any:
        """What it has in an example row, 1 or 2, as a client sends it."""
        if self.type == "other":
            return self.sample_text
        return example_rows.value(self._attribute, number, resource, is_key=self.is_key)

    @property
    def python(self) -> str:
        """The annotation of its values."""
        return self._optional(self._kind.python)

    @property
    def model(self) -> str:
        """The attribute of the mapped class."""
        name = [literal(self.name)] if self.identifier != self.name else []
        marks = ["unique=True"] * self.unique + ["primary_key=True"] * self.is_key
        head = f"{self.identifier}: Mapped[{self.python}] = mapped_column"
        return call(head, [*name, *self._sqlalchemy, *marks], indent=4, joined=self.is_key)

    @property
    def migration(self) -> str:
        """The column of ``op.create_table``."""
        nullable = f"nullable={self._attribute.nullable}"
        return call(
            "sa.Column", [literal(self.name), *self._sqlalchemy, nullable], indent=8, end=","
        )

    @property
    def given(self) -> str:
        """The field of what a client sends: what has a default, or may be NULL, may be left out."""
        if self._has_unknown_default:
            return f"    # Left out, it gets the column's default.\n{self._given}"
        return self._given

    @property
    def _has_unknown_default(self) -> bool:
        """Whether it has a default that only the database can work out."""
        default = self._attribute.default
        return bool(default and default.function and (self.type, default.function) not in FUNCTIONS)

    @property
    def _given(self) -> str:
        arguments = [*self._alias, *(each.format(self._attribute) for each in self._kind.field)]
        head = f"{self.identifier}: {self._optional(self._kind.schema or self._kind.python)}"
        default = self._schema_default()
        # Linters do not see that the class is Pydantic's, which copies a list or an object.
        in_field = default.startswith(("default_factory=", "default=[", "default={"))
        if not arguments and not in_field:
            line = f"    {head}" + default.replace("default=", " = ", 1)
            if len(line) <= LINE_LENGTH:
                return line
        return call(f"{head} = Field", [*filter(None, [default]), *arguments], indent=4)

    @property
    def returned(self) -> str:
        """The field of what the service returns: always there."""
        head = f"{self.identifier}: {self._optional(self._kind.returned or self._kind.python)}"
        return call(f"{head} = Field", self._alias, indent=4) if self._alias else f"    {head}"

    def sample(self) -> list[str]:
        """An expression of a row's number, with the arguments apart if it is a call."""
        length, scale = self._attribute.length or MAX_LENGTH, self._attribute.scale
        match self.type:
            case "other":
                return [literal(self.sample_text)]
            case "numeric" | "decimal" if self.is_key:
                return ["Decimal", "number"]
            case "text" | "str" | "varchar" | "char" if self.is_key and length > 30:
                # It stands in URLs.
                return ['f"row-{number}"']
            case "str" | "text" | "varchar" | "char" if re.fullmatch(
                r"[\w .,()'-]+", self.name, re.ASCII
            ) and len(self.name) < min(length - 7, 30):
                return [f'f"{self.name} {{number}}"']
            case "str" | "text" | "varchar" | "char":
                return [f"str(number)[:{length}]" if length < 20 else "str(number)"]
            case "bool":
                return ["number % 2 == 0"]
            case "float" | "real":
                return ["number + 0.5"]
            case "decimal":
                return ["Decimal", 'f"0.{number % 10}"']
            case "numeric":
                return ["Decimal", 'f"0.{number % 10}"' if scale else "number % 10"]
            case "date":
                return ["datetime.date", "2020 + number % 7000", "1", "1"]
            case "datetime":
                moment = ["2020 + number % 7000", "1", "1", "12", "tzinfo=datetime.UTC"]
                return ["datetime.datetime", *moment]
            case "uuid":
                return ["UUID(int=number)"]
            case "json" | "json_text":
                return ['{"number": number}']
        return ["number"]

    @property
    def sample_text(self) -> str:
        """The text of a value of a column that is shown as text."""
        kind = self._attribute.sql.lower()
        if self._attribute.sample or kind.endswith("[]"):
            return self._attribute.sample or "{}"
        plain = re.sub(r"\W.*", "", kind.rpartition(".")[2])
        return "empty" if plain.endswith("range") else SAMPLES.get(plain, "")

    @property
    def known(self) -> object:
        """A value that the table has, of those that its CHECKs limit; None where that is not known."""
        match self.type:
            case "str" | "text" | "varchar" | "char":
                return self._attribute.sample or None
            case "int" | "bigint" | "smallint" if self._attribute.sample:
                return int(self._attribute.sample)
        return None

    def asked_for(self, predicate: str) -> Iterator[object]:
        """Values for which a predicate may hold, and others; none if it does not name the column."""
        quoted_texts = r"'(?:[^']|'')*'"
        code = re.sub(quoted_texts, "''", predicate)
        if self.unique or not re.search(
            rf"(?<!\w){re.escape(self.name)}(?!\w)", code, re.IGNORECASE
        ):
            return
        texts = [text[1:-1].replace("''", "'") for text in re.findall(quoted_texts, predicate)]
        match self.type:
            case "str" | "text" | "varchar" | "char":
                for text in texts:
                    yield from (
                        text[: self._attribute.length],
                        text.replace("%", "")[: self._attribute.length],
                    )
                yield self.name[: self._attribute.length]
            case "bool":
                yield from (True, False)
            case "smallint" | "int" | "bigint" | "float" | "real" | "numeric" | "decimal":
                yield from self._numbers(code)
            case "date" | "datetime":
                for text in texts:
                    with contextlib.suppress(ValueError, OverflowError):
                        moment = datetime.fromisoformat(text)
                        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
                        for days in (-1, 0, 1):
                            there = moment + timedelta(days)
                            yield there.date() if self.type == "date" else there
                yield date(2020, 1, 1) if self.type == "date" else datetime(2020, 1, 1, tzinfo=UTC)
            case "uuid":
                yield UUID(int=1)
            case "json" | "json_text":
                yield {"number": 1}
        if self._attribute.nullable:
            yield None

    def _numbers(self, code: str) -> Iterator[object]:
        """The numbers of a predicate and those beside them, as far as the column holds them."""
        number: type[int | float | Decimal] = {"float": float, "real": float}.get(self.type, int)
        number = Decimal if self.type in ("numeric", "decimal") else number
        low, high = INTEGER_RANGES.get(self.type, (-(2**53), 2**53))
        if self.type == "numeric":
            high = 10 ** ((self._attribute.precision or 0) - (self._attribute.scale or 0)) - 1
            low = -high
        for digits in ["0", *re.findall(r"(?<!\w)\d+", code)]:
            for value in (int(digits) - 1, int(digits), int(digits) + 1):
                if low <= value <= high:
                    yield number(value)

    def _optional(self, annotation: str) -> str:
        return f"{annotation} | None" if self._attribute.nullable else annotation

    def _type(self) -> str:
        """The type, for SQLAlchemy."""
        collation = self._attribute.collation
        if self.type == "other":
            suffix = f" COLLATE {sql_name(collation)}" if collation else ""
            return f"AsText({literal(self._attribute.sql + suffix)})"
        written = self._kind.sqlalchemy.format(self._attribute)
        if not collation:
            return written
        function, _, limits = written.removesuffix(")").partition("(")
        arguments = [*filter(None, [limits]), f"collation={literal(collation)}"]
        return f"{function}({', '.join(arguments)})"

    def _set_by_database(self) -> list[str]:
        """What the database sets it to, if it does."""
        attribute = self._attribute
        if attribute.generated:
            return [f"sa.Computed({literal(escaped(attribute.generated))}, persisted=True)"]
        if attribute.identity:
            return [f"sa.Identity({'always=True' if attribute.identity == 'always' else ''})"]
        default = attribute.default
        if default is None:
            return []
        match default.value:
            case _ if default.function:
                known = FUNCTIONS.get((self.type, default.function))
                # Alembic compares it without.
                expression = re.sub(r"^(nextval\('.*')::regclass\)$", r"\1)", default.function)
                expression = known.server if known else f"sa.text({literal(escaped(expression))})"
            case bool(value):
                expression = "sa.true()" if value else "sa.false()"
            case int() | float() | Decimal():
                expression = f'sa.text("{default.value}")'
            case date() | UUID():
                expression = literal(str(default.value))
            case _ if self.type in ("json", "json_text"):
                expression = literal(json.dumps(default.value, ensure_ascii=False))
            case _:
                expression = literal(str(default.value))
        return [f"server_default={expression}"]

    def _schema_default(self) -> str:
        default = self._attribute.default
        if default is None:
            return "default=None" if self._attribute.nullable else ""
        if not default.function:
            return f"default={python(default.value)}"
        if known := FUNCTIONS.get((self.type, default.function)):
            return f"default_factory={known.client}"
        # What a client leaves out gets the database's default, whatever the schema says.
        return "default=None" if self._attribute.nullable else f"default_factory={ANY[self.type]}"


@dataclass(frozen=True, slots=True)
class Function:
    """A default that each row computes: in the database, and in the schema of what comes in."""

    server: str
    client: str


FUNCTIONS = {
    ("date", "CURRENT_DATE"): Function("sa.func.current_date()", "datetime.date.today"),
    ("datetime", "now()"): Function("sa.func.now()", "lambda: datetime.datetime.now(datetime.UTC)"),
    ("uuid", "gen_random_uuid()"): Function("sa.func.gen_random_uuid()", "uuid4"),
}

#: A factory of some value of each type, for the schema of a column whose default only the database can work out.
ANY = {
    **dict.fromkeys(("str", "char", "varchar", "text"), "str"),
    **dict.fromkeys(("smallint", "int", "bigint"), "int"),
    **{
        "float": "float",
        "real": "float",
        "numeric": "Decimal",
        "decimal": "Decimal",
        "bool": "bool",
    },
    **{"uuid": "uuid4", "date": "datetime.date.today", "json": "dict", "json_text": "dict"},
    "datetime": "lambda: datetime.datetime.now(datetime.UTC)",
}


def sqlite(condition: str) -> str:
    """A condition as PostgreSQL writes it, for SQLite, which has no casts and no arrays."""
    kinds = r"character varying|double precision|timestamp with(?:out)? time zone|[\w\".]+"
    plain = re.sub(rf"::(?:{kinds})(?:\([\d,]+\))?(?:\[\])*", "", condition)
    for operator, word in (("= ANY", "IN"), ("<> ALL", "NOT IN")):
        array = rf"{operator} \((\()?ARRAY\[([^\]]*)\](?(1)\))\)"
        plain = re.sub(array, rf"{word} (\2)", plain)
    return plain.replace(" !~~ ", " NOT LIKE ").replace(" ~~ ", " LIKE ")


def is_odd(name: str) -> bool:
    """Whether a name is long, or no plain word."""
    return len(name) > 12 or not name.isidentifier() or not name.isascii()


def escaped(sql: str) -> str:
    """SQL as ``sa.text`` takes it: a colon before a word begins the name of a parameter there."""
    return re.sub(r"(?<![:\w\\]):(?=\w)", r"\\:", sql)


class TableCode:
    """The table of a project, as the templates write it.

    Attributes:
        name: Its real name.
        schema: Its schema; "" is the default one.
        key: The key.
        columns: The columns besides the key, the geometry and the two times.
        geometry: The name of the geometry column.
        predicate: The condition of partial spatial indexes; "" if they hold every row.
    """

    def __init__(self, context: Mapping[str, str]) -> None:
        relation = parameters.relation(context)
        self.relation, self._stated = relation, relation.stated
        self.name, self.schema, self.geometry = relation.name, relation.schema, relation.geometry
        self.has_times, self.is_read_only = relation.has_times, relation.is_read_only
        self.is_adopted, self.is_view = self._stated.adopted, self._stated.is_view
        self.is_geometry_nullable = self._stated.geometry_nullable
        self._names = relation.identifiers
        self.key = Column(relation.key, self._names[relation.key.name], is_key=True)
        self.columns = [Column(each, self._names[each.name]) for each in relation.attributes]
        self.given_columns = [
            Column(each, self._names[each.name], is_key=each is relation.key)
            for each in relation.written
        ]
        self._index_name, self._collection = context["index_name"], relation.collection
        self._geometry_parameter = context["geometry_column"]
        crs = epsg.crs(context["srid"])
        assert crs is not None
        self._crs = crs
        spatial = next(filter(self._is_spatial, self._stated.indexes), None)
        self.predicate = spatial.predicate if spatial else context["index_predicate"]

    @property
    def is_geometry_odd(self) -> bool:
        """Whether the geometry's name is better written once."""
        return len(self.geometry) > 20 or not names.IDENTIFIER.fullmatch(self.geometry)

    @property
    def csv_assertion(self) -> str:
        """The assertion of a test that the header of rows as CSV begins with the key and the geometry."""
        text = io.StringIO()
        csv.writer(text).writerow([self.key.name, self.geometry])
        begin = literal(text.getvalue().strip())
        return call("assert header.startswith", [begin], indent=4)

    @property
    def geometry_identifier(self) -> str:
        """The geometry's name in Python."""
        return self._names[self.geometry]

    # -- The model -------------------------------------------------------------------------------

    def geometry_model(self, type: str) -> str:
        """The attribute of the mapped class for the geometry, of a type."""
        name, nullable = self._names[self.geometry], " | None" * self.is_geometry_nullable
        head = f"{name}: Mapped[WKBElement{nullable}] = mapped_column"
        arguments = [type.replace("\n", "\n    ").strip()]
        if name == self.geometry:
            return f"    {head}(\n        {arguments[0]}\n    )"
        return listed(head, [literal(self.geometry), *arguments], indent=4)

    @property
    def arguments(self) -> list[str]:
        """What ``__table_args__`` holds before the options."""
        return [*self._constraints(self._model_name), *self._indexes("sa.Index", indent=8)]

    @property
    def options(self) -> dict[str, object]:
        """What ``__table_args__`` ends with."""
        options: dict[str, object] = {"schema": self.schema} if self.schema else {}
        return options | ({"info": {"is_view": True}} if self.is_view else {})

    @property
    def short_arguments(self) -> str:
        """``__table_args__`` on one line, if it has options alone and they fit."""
        line = f"    __table_args__ = ({python(self.options)},)"
        is_short = self.options and not (self.has_range or self.arguments)
        return line if is_short and len(line) <= LINE_LENGTH else ""

    @staticmethod
    def _model_name(constraint: Constraint) -> str:
        # The naming convention adds to the name of a CHECK.
        if constraint.kind == "check":
            return f"name=sa.schema.conv({literal(constraint.name)})"
        return f"name={literal(constraint.name)}"

    @staticmethod
    def _revised_name(constraint: Constraint) -> str:
        return f"name=op.f({literal(constraint.name)})"

    def _constraints(self, named: Callable[[Constraint], str]) -> Iterator[str]:
        """The constraints that the table was found with, but for a primary key of the default name in the model."""
        for each in self._stated.constraints:
            default = each.name == f"pk_{self.name}" and named == self._model_name
            if each.kind == "check":
                arguments = [literal(escaped(each.condition)), named(each)]
                yield listed("sa.CheckConstraint", arguments, indent=8, end=",")
            elif each.kind == "unique" or (each.columns == (self.key.name,) and not default):
                head = "sa.UniqueConstraint" if each.kind == "unique" else "sa.PrimaryKeyConstraint"
                arguments = [*map(literal, each.columns), named(each)]
                yield listed(head, arguments, indent=8, end=",")

    def _every_index(self) -> Iterator[Index]:
        """The indexes that it was found with, and those that its searches need."""
        stated = self._stated.indexes
        yield from stated
        if self.is_view:
            return
        if not any(map(self._is_spatial, stated)):
            yield Index(self._index_name, (sql_name(self.geometry),), "gist")
        if self._crs.geographic and not any(map(self._is_geographic, stated)):
            name = f"idx_{self._collection}_{self._geometry_parameter}_geog"
            yield Index(name, (f"({sql_name(self.geometry)}::geography)",), "gist")

    def _is_spatial(self, index: Index) -> bool:
        is_whole = len(index.elements) == 1 and index.elements[0] in sql_spellings(self.geometry)
        return index.method == "gist" and is_whole

    def _is_geographic(self, index: Index) -> bool:
        column = "|".join(map(re.escape, sql_spellings(self.geometry)))
        geography = r'(?:(?:\w+|"[^"]+")\.)?geography'
        cast = rf"\(*(?:{column})\)*::{geography}\)*|\(*{geography}\((?:{column})\)\)*"
        return index.method == "gist" and re.fullmatch(cast, index.elements[0]) is not None

    def _indexes(self, head: str, *, indent: int) -> Iterator[str]:
        """The indexes, for a model or for a revision."""
        in_model = head == "sa.Index"
        for each in self._every_index():
            is_spatial, is_geographic = self._is_spatial(each), self._is_geographic(each)
            elements = each.elements
            if is_geographic:
                elements = (f"({sql_name(self.geometry)}::geography)",)
                if in_model:
                    yield "        # Searches in metres: on the geometry's own index they would measure degrees."
            columns = {
                spelling: literal(name)
                for name in self.relation.columns
                for spelling in sql_spellings(name)
            }
            # Alembic sees PostgreSQL's expressions without the parentheses around a name that is cast.
            plain = (re.sub(r"\((\w+|\"[^\"]+\")\)::", r"\1::", e) for e in elements)
            of = [columns.get(e) or f"sa.text({literal(escaped(e))})" for e in plain]
            if not in_model:
                of = [literal(self.name), f"[{', '.join(of)}]"]
                of += [f"schema={literal(self.schema)}"] if self.schema else []
            options = ["unique=True"] * each.unique
            if each.method != "btree":
                options.append(f"postgresql_using={literal(each.method)}")
            if each.include:
                options.append(f"postgresql_include={python([*each.include])}")
            if (is_spatial or is_geographic) and self.predicate:
                options.append("postgresql_where=INDEXED_ROWS")
            elif each.predicate:
                options.append(f"postgresql_where=sa.text({literal(escaped(each.predicate))})")
            end = "," if in_model else ""
            yield listed(head, [literal(each.name), *of, *options], indent=indent, end=end)

    @property
    def has_range(self) -> bool:
        """Whether a CHECK keeps coordinates in the CRS's range."""
        return not self.is_adopted

    # -- The first revision ----------------------------------------------------------------------

    @property
    def revised_constraints(self) -> list[str]:
        """The constraints of ``op.create_table`` that the table was found with, and its key."""
        found = list(self._constraints(self._revised_name))
        if any("sa.PrimaryKeyConstraint" in each for each in found):
            return found
        key = Constraint(f"pk_{self.name}"[:63], "primary key", (self.key.name,))
        arguments = [literal(self.key.name), self._revised_name(key)]
        unique = [
            listed(
                "sa.UniqueConstraint",
                [literal(each.name), f"name=op.f({literal(f'uq_{self.name}_{each.name}')})"],
                indent=8,
                end=",",
            )
            for each in self.columns
            if each.unique
        ]
        return [listed("sa.PrimaryKeyConstraint", arguments, indent=8, end=","), *unique, *found]

    @property
    def revised_indexes(self) -> list[str]:
        """The ``op.create_index`` of each index."""
        return list(self._indexes("op.create_index", indent=4))

    @property
    def requirements(self) -> list[str]:
        """Statements that make what has to be there before the table, each where it is not there yet."""
        statements = []
        # Not IF NOT EXISTS: that asks for the right to make schemas even where there is nothing to make.
        schema = sql_name(self.schema)
        own = [Requirement("schema", schema, f"CREATE SCHEMA {schema}")] if self.schema else []
        for each in (*own, *self._stated.requires):
            statement, there = each.statement.rstrip("; "), THERE.get(each.kind)
            statement = re.sub(r"^CREATE SEQUENCE (?!IF )", r"\g<0>IF NOT EXISTS ", statement)
            if there and "IF NOT EXISTS" not in statement.upper():
                name = each.name.replace("'", "''")
                statement = f"DO $guard$ BEGIN IF {there}('{name}') IS NULL THEN {statement}; END IF; END $guard$"
            statements.append(statement)
        return [call("op.execute", [literal(escaped(each))], indent=4) for each in statements]

    @property
    def schema_sql(self) -> str:
        """Its schema in SQL."""
        return sql_name(self.schema)

    @property
    def geometry_sql(self) -> str:
        """The geometry's column in SQL."""
        return sql_name(self.geometry)

    @property
    def key_has_sequence(self) -> bool:
        """Whether a sequence, which has the names of the table and the key in its own, counts the keys."""
        return bool(self.relation.key.identity)

    @property
    def sql(self) -> str:
        """The table in SQL."""
        return ".".join(sql_name(name) for name in (self.schema, self.name) if name)

    def named(self, function: str) -> str:
        """The call of a function that takes the table's name and its schema."""
        schema = [f"schema={literal(self.schema)}"] if self.schema else []
        return call(function, [literal(self.name), *schema], indent=4)

    # -- The schemas -----------------------------------------------------------------------------

    @property
    def read_only(self) -> str:
        """The names of the columns that the database sets, unless they are the usual ones."""
        names = self.relation.read_only
        if names == {"id", "created_at", "updated_at"}:
            return ""
        ordered = [name for name in self.relation.columns if name in names]
        return call("READ_ONLY = frozenset", [f"{{{', '.join(map(literal, ordered))}}}"], indent=4)

    def geometry_field(self, *, given: bool) -> str:
        """The field of the geometry in a schema."""
        name = self._names[self.geometry]
        kind = "Annotated[BaseGeometry, GEOMETRY]"
        arguments = [f"alias={literal(self.geometry)}"] if name != self.geometry else []
        if self.is_geometry_nullable:
            kind += " | None"
            arguments = ["default=None", *arguments] if given else arguments
        if arguments == ["default=None"]:
            return f"    {name}: {kind} = None"
        return (
            call(f"{name}: {kind} = Field", arguments, indent=4)
            if arguments
            else f"    {name}: {kind}"
        )

    # -- The rows of tests -----------------------------------------------------------------------

    @property
    def examples(self) -> list[str]:
        """The items of an example row in the table's module, a column each.

        Rows have every combination of the values that a predicate asks for, and other columns a value of each row's own.
        """
        items, combinations = [], 1
        for column in self.example_columns:
            head = f"{literal(column.name)}: "
            if column.name in self.checked:
                items.append(f"        {head}{python(self.checked[column.name])},")
                continue
            values = list(dict.fromkeys(map(python, column.asked_for(self.predicate))))
            function, *arguments = column.sample()
            if len(values) > 1:
                turn = f"number // {combinations}" if combinations > 1 else "number"
                items.append(in_turns(head, values, f"[{turn} % {len(values)}],", indent=8))
                combinations *= len(values)
            elif arguments:
                items.append(call(f"{head}{function}", arguments, indent=8, end=","))
            else:
                items.append(f"        {head}{function},")
        return items

    @cached_property
    def checked(self) -> dict[str, object]:
        """Values with which a row keeps the CHECKs that it would not keep by itself, as far as that is known."""
        conditions = [sqlite(c.condition) for c in self._stated.constraints if c.kind == "check"]
        checks = [example_rows.Predicate(each, self.relation) for each in conditions]
        rows = [{c.name: c.value(n, "row") for c in self.example_columns} for n in (0, 1, 2)]
        answers = {check.holds(row) for check in checks for row in rows}
        if answers <= {True}:
            return {}
        # Of a row that is there, unless rows have to differ in it.
        lists = [each.columns for each in self._stated.constraints if each.kind != "check"]
        lists += [each.elements for each in self._stated.indexes if each.unique]
        unique = {name for names in lists for name in names}
        known = {
            c.name: c.known
            for c in self.example_columns
            if c.known is not None and not c.unique and c.name not in unique
        }
        if known and not any(check.holds(row | known) is False for check in checks for row in rows):
            return known
        if False not in answers:
            return {}
        values = {c.name: [*c.asked_for(" ".join(conditions))] for c in self.example_columns}
        for combination in example_rows.combinations({n: v for n, v in values.items() if v}):
            sent = {name: example_rows.as_sent(value) for name, value in combination.items()}
            if not any(check.holds(row | sent) is False for check in checks for row in rows):
                return combination
        return {}

    @property
    def example_columns(self) -> list[Column]:
        """What an example row has: what clients write; where they do not, what an INSERT gives."""
        if not self.is_read_only:
            return self.given_columns
        written = [*self.given_columns]
        written += [
            column
            for column, each in zip(self.columns, self.relation.attributes, strict=True)
            if each.type == "other" and not (each.nullable or each.default or each.is_set)
        ]
        return written


#: The functions that tell whether something is there.
THERE = {"schema": "to_regnamespace", "type": "to_regtype", "function": "to_regproc"}


def sql_text(text: str) -> str:
    """A text in SQL."""
    return "'" + text.replace("'", "''") + "'"


#: Where the names come from that the code of a table uses, in the order of the imports.
IMPORTS = (
    ("import datetime", "datetime"),
    ("decimal", "Decimal"),
    ("typing", "Annotated Any"),
    ("uuid", "UUID uuid4"),
    ("", ""),
    ("import sqlalchemy as sa", "sa"),
    ("alembic", "context op"),
    ("geoalchemy2", "Geometry WKBElement"),
    ("pydantic", "Field"),
    ("shapely.geometry.base", "BaseGeometry"),
    ("sqlalchemy.dialects.postgresql", "JSONB"),
    ("sqlalchemy.orm", "Mapped mapped_column"),
    ("", ""),
    (
        "geotables",
        "AsText Collection Date ExactNumber GeoJSON Json RowIn RowOut Text Timestamp WKT",
    ),
)


def imports(code: str) -> str:
    """The imports of the names that some code uses, in the order that ``ruff`` leaves."""
    used = {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)}
    sections: list[list[str]] = [[]]
    for module, listing in IMPORTS:
        # Constants come first, then classes, then functions.
        found = sorted(
            used.intersection(listing.split()),
            key=lambda name: (not name.isupper(), name.islower(), name),
        )
        if not module:
            sections.append([])
        elif found and module.startswith("import "):
            sections[-1].append(module)
        elif found:
            sections[-1].append(imported(module, found))
    return "\n\n".join("\n".join(section) for section in sections if section)
