"""What a service is to be made of: the geometry column and its CRS, the key, and what the rows hold."""

import dataclasses
import re
from dataclasses import dataclass

from parameters import attributes, columns, names, predicate
from parameters.attributes import STORED_TYPES, TIMES

from . import catalogue, naming, rows
from .catalogue import Column, Connection, Geometry, Index, Relation
from .rows import KEY_TYPES, Rows, Uniqueness

#: The value of `primary_key` that is nearest to a key's type.
PRIMARY_KEYS = {"int2": "smallint", "int4": "integer", "int8": "bigint", "uuid": "uuid"}

#: The types that clients can write, by their names in pg_type; columns of others are shown as text.
WRITABLE = frozenset(
    {"int2", "int4", "int8", "float4", "float8", "numeric", "bool", "text", "varchar", "bpchar"}
    | {"date", "timestamptz", "uuid", "json", "jsonb"}
)

#: Of a CHECK, what only PostgreSQL can tell the truth of: a regular expression, a function.
HARD = re.compile(r"~|%|\w\(")

#: Nothing was looked at.
UNREAD = Rows(0, True, None, 0, (), 0)


@dataclass(frozen=True, slots=True)
class Key:
    """The column that tells rows apart, or why there is none."""

    column: Column | None
    #: primary key, unique index, view or named: how it is known.
    how: str = ""
    #: The index that keeps it unique, if one does.
    index: str = ""
    #: What the values of the rows say, where no index does.
    checked: Uniqueness | None = None
    #: The table whose primary key it is, of a view.
    table: str = ""
    #: The columns of a primary key that cannot be the key: it has several, or one of a type without order.
    composite: tuple[str, ...] = ()
    #: Columns that would do.
    candidates: tuple[Uniqueness, ...] = ()
    #: Columns that seem to be keys, and are not.
    repeating: tuple[Uniqueness, ...] = ()
    #: Why the column that was named will not do.
    refusal: str = ""
    #: Whether the tables that inherit from it have rows of the same key.
    repeated_by_heirs: bool = False

    @property
    def is_numbered(self) -> bool:
        """Whether the database makes the values, and clients cannot give one that is there."""
        column = self.column
        return column is not None and bool(
            column.identity or re.match(r"nextval\(|gen_random_uuid|uuid_generate", column.default)
        )


@dataclass(frozen=True, slots=True)
class Survey:
    """A relation, and what was chosen and found of it."""

    relation: Relation
    #: The name of the collection.
    collection: str
    #: The geometry column that is served; None where there is none.
    geometry: Geometry | None
    #: The geometry column that was asked for.
    wanted: str
    #: The CRS of what it stores; 0 where that is not known.
    srid: int
    #: The CRS that was given for rows without one.
    given_srid: str
    rows: Rows
    key: Key
    #: By column, the text of a value that example rows have, where its type does not say what it takes.
    samples: dict[str, str]
    #: The columns whose sample is a value of a row.
    copied: tuple[str, ...] = ()

    @property
    def column(self) -> Geometry:
        """The geometry column, of a relation that has one."""
        assert self.geometry is not None
        return self.geometry

    @property
    def key_column(self) -> str:
        """What the key is called where a name has to be an identifier."""
        assert self.key.column is not None
        name = self.key.column.name
        others = {each.name for each in self.relation.every} - {name}
        # <collection>_<key>_seq
        return naming.column(name, others, names.NAME_BYTES - len(f"{self.collection}__seq"))

    @property
    def has_times(self) -> bool:
        """Whether created_at and updated_at are as the template makes them."""
        times = [self.relation.column(name) for name in TIMES]
        return all(
            each is not None
            and (each.base, each.modifier, each.nullable, each.default, each.generated)
            == ("timestamptz", -1, False, "now()", "")
            for each in times
        )

    @property
    def own(self) -> set[str]:
        """The columns that are neither in `attributes` nor in `_columns`."""
        key = {self.key.column.name} if self.key.column else set()
        return key | set(TIMES if self.has_times else ())

    def stated(self, column: Column) -> columns.Column:
        """A column in normal form."""
        is_key = self.key.column is not None and column.name == self.key.column.name
        unique = any(each.name == self.unique_name(column.name) for each in self.unique_alone)
        return columns.Column(
            column.name,
            column.type,
            # A view's columns do not say that they are never NULL.
            nullable=column.nullable and not is_key,
            unique=unique and not is_key,
            default=column.default,
            generated=column.generated,
            identity={"a": "always", "d": "by default"}.get(column.identity, ""),  # type: ignore[arg-type]
            collation=column.collation,
            sample=self.samples.get(column.name, ""),
        )

    def unique_name(self, column: str) -> str:
        """The default name of a unique constraint of one column."""
        return f"uq_{self.relation.name}_{column}"

    @property
    def unique_alone(self) -> list[catalogue.Constraint]:
        """The unique constraints that columns state themselves: of one column, under the default name."""
        return [
            each
            for each in self.relation.constraints
            if each.kind == "u"
            and not each.special
            and len(each.columns) == 1
            and each.columns[0] not in self.own
            and each.name == self.unique_name(each.columns[0])
        ]

    def word(self, column: columns.Column) -> str:
        """The column as a word of `attributes`; empty where they cannot say it."""
        # A word cannot have the name that the key or the geometry goes by, whatever these are called in the table.
        taken = {self.key_column, self.geometry_parameter, *(TIMES if self.has_times else ())}
        return "" if column.name in taken or self._is_hard(column) else attributes.word(column)

    def _is_hard(self, column: columns.Column) -> bool:
        """Whether no row of tests would keep a CHECK, but with a value that is there: a word does not say that either."""
        if not column.sample or attributes.typed(column).type not in (
            "str",
            "text",
            "int",
            "bigint",
        ):
            return False
        conditions = [
            each.condition
            for each in self.relation.constraints
            if each.kind == "c" and column.name in each.columns
        ]
        predicates = " ".join(each.predicate for each in self.spatial_indexes)
        return (
            any(HARD.search(condition) for condition in conditions)
            # Of a column that has no word, none can be said.
            and column.name not in predicates
        )

    @property
    def geometry_parameter(self) -> str:
        """What the geometry column is called where a name has to be an identifier."""
        relation = self.relation
        others = {each.name for each in relation.every} - {self.column.name}
        # Names of which no letter is a Latin one are numbered, and the key's was first.
        others |= {self.key_column} if self.key.column else set()
        # ck_<collection>_<geometry>_range
        room = names.NAME_BYTES - len(f"ck_{self.collection}__range")
        return naming.column(self.column.name, others, room)

    @property
    def index_name(self) -> str:
        """The name of the GiST index: the one that is there, else the default one."""
        built = self.spatial_indexes or [
            index
            for index in self.relation.indexes
            if index.method == "gist" and index.columns == (self.column.name,) and not index.valid
        ]
        if built and not (built[0].predicate and not self.predicate):
            return built[0].name
        return naming.index(self.collection, self.geometry_parameter, "gist", self._taken)

    @property
    def geography_index_name(self) -> str:
        """The name of the index in metres, if it is not there yet."""
        return naming.index(self.collection, self.geometry_parameter, "geog", self._taken)

    @property
    def _taken(self) -> set[str]:
        return {index.name for index in self.relation.indexes}

    @property
    def predicate(self) -> str:
        """The condition of the only GiST index, as `index_predicate` says it; empty where it is of all rows, or cannot be said."""
        found = self.spatial_indexes
        if not found or not found[0].predicate:
            return ""
        condition = stated_predicate(found[0].predicate)
        if self.key.column is None:
            return ""
        known = {
            each.name: STORED_TYPES[attributes.typed(stated).type]
            for each in self.relation.columns
            if self.word(stated := self.stated(each))
        }
        known |= dict.fromkeys(TIMES if self.has_times else (), "timestamptz")
        known[self.key_column] = PRIMARY_KEYS.get(self.key.column.base, "text")
        known[self.geometry_parameter] = f"geometry({self.type},{self.srid or ''})"
        return "" if predicate.findings(condition, known) else condition

    @property
    def type(self) -> str:
        """The type that its geometries are said to be: the column's, or else that of all of its rows."""
        declared = self.column.type
        types = list(self.rows.numbers("type"))
        if (
            not self.column.typed
            and declared == "GEOMETRY"
            and self.rows.complete
            and len(types) == 1
        ):
            return types[0] if types[0] in rows.SIMPLE else declared
        return declared

    @property
    def dimension(self) -> int:
        """2 or 3."""
        if self.column.typed or not self.rows.groups:
            return 3 if self.column.dimension > 2 and not self._is_xym else 2
        return 3 if any(group.has_z for group in self.rows.groups) else 2

    @property
    def _is_xym(self) -> bool:
        return self.column.has_m and self.column.dimension == 3

    @property
    def spatial_indexes(self) -> list[Index]:
        """The GiST indexes that searches in a box can use, with those of all rows before partial ones."""
        found = [
            index
            for index in self.relation.indexes
            if index.method == "gist"
            and index.valid
            and index.columns == (self.column.name,)
            and index.classes[:1] == ("gist_geometry_ops_2d",)
        ]
        return sorted(found, key=lambda index: bool(index.predicate))

    @property
    def geography_indexes(self) -> list[Index]:
        """The GiST indexes that searches in metres can use."""
        key = f"({self.column.sql})::geography"
        return [
            index
            for index in self.relation.indexes
            if index.method == "gist"
            and index.valid
            and index.columns == ("",)
            and index.expressions.replace("public.", "").strip("()") == key.strip("()")
        ]


def look_at(
    connection: Connection,
    name: str,
    *,
    key: str = "",
    srid: str = "",
    geometry_column: str = "",
    collection: str = "",
) -> Survey:
    """Read a relation and look at its rows.

    Args:
        connection: One of `catalogue.reading`.
        name: The relation, as a user types it.
        key: The column that tells its rows apart, where its catalogue does not say.
        srid: The CRS of rows that have none.
        geometry_column: The one to serve, of several.
        collection: What to call it, if not by its own name.

    Raises:
        Unreadable: There is no such relation.
    """
    relation = catalogue.read(connection, name)
    name = collection or naming.collection(relation.name)
    geometry = _geometry(relation, geometry_column)
    if relation.lacking & {"SELECT", "USAGE"} or geometry is None:
        return Survey(relation, name, geometry, geometry_column, 0, srid, UNREAD, Key(None), {})
    found = rows.read(connection, relation, geometry, geometry.srid)
    stored = geometry.srid or _only_srid(found)
    if stored and not geometry.srid:
        found = rows.read(connection, relation, geometry, stored)
    chosen = Key(None)
    if not found.unknown:
        try:
            chosen = _key(connection, relation, key)
        except rows.Failed as error:
            found = dataclasses.replace(found, unknown=str(error))
    samples, copied = _samples(connection, relation)
    return Survey(
        relation=relation,
        collection=name,
        geometry=geometry,
        wanted=geometry_column,
        srid=stored,
        given_srid=srid,
        rows=found,
        key=chosen,
        samples=samples,
        copied=copied,
    )


def _geometry(relation: Relation, wanted: str) -> Geometry | None:
    """The column to serve: the one asked for, else one that every row has, that an index has, or the first."""
    columns = [each for each in relation.geometries if each.base == "geometry"]
    if wanted:
        return next((each for each in columns if each.name == wanted), None)
    indexed = {name for index in relation.indexes for name in index.columns}
    columns.sort(key=lambda each: (each.nullable, each.name not in indexed))
    return columns[0] if columns else None


def _only_srid(found: Rows) -> int:
    srids = found.numbers("srid")
    return int(next(iter(srids))) if len(srids) == 1 else 0


def _samples(connection: Connection, relation: Relation) -> tuple[dict[str, str], tuple[str, ...]]:
    """Values for example rows, and the columns of those that are of rows.

    A row's value is taken only where nothing else says what the column takes: of a type that clients cannot write, which a
    CHECK or a domain limits, and where PostgreSQL alone can tell what a CHECK takes.
    """
    checks = [each for each in relation.constraints if each.kind == "c"]
    limited = {name for each in checks for name in each.columns}
    hard = {
        name
        for each in checks
        if HARD.search(each.condition) or len(each.columns) > 1
        for name in each.columns
    }
    samples, copied = {}, []
    for column in relation.columns:
        is_limited = column.name in limited
        is_needed = not column.is_filled and column.base not in WRITABLE
        if is_needed and not is_limited:
            if label := catalogue.first_label(connection, relation, column):
                samples[column.name] = label
                continue
            is_needed = not column.base
        if (is_needed or column.name in hard) and (
            value := rows.value_of(connection, relation, column)
        ):
            samples[column.name] = value
            copied.append(column.name)
    return samples, tuple(copied)


# -- The key -------------------------------------------------------------------------------------


def _key(connection: Connection, relation: Relation, named: str) -> Key:
    primary = relation.primary_key
    column = relation.column(primary.columns[0]) if primary and len(primary.columns) == 1 else None
    composite = primary.columns if primary else ()
    if primary and column is not None and column.base in KEY_TYPES:
        name = column.name
        if named not in ("", name):
            refusal = (
                f"KEY={named}: its primary key is {name}, which tells its rows apart: leave KEY out"
            )
            return Key(None, refusal=refusal)
        if relation.children:
            # Each table of a family keeps its own key.
            checked = rows.uniqueness(connection, relation, column)
            if not checked.holds:
                refusal = f"its primary key {name} is not kept across the tables that inherit from it: {repeats(checked)}"
                return Key(None, refusal=refusal, composite=composite, repeated_by_heirs=True)
        return Key(column, "primary key", index=primary.name)
    if named:
        return _named(connection, relation, named, composite)
    if not composite and (found := _unique_index(connection, relation)):
        return found
    for name, table in relation.inherited_keys:
        column = relation.column(name)
        if column is not None and column.base in KEY_TYPES:
            checked = rows.uniqueness(connection, relation, column)
            if checked.holds:
                return Key(column, "view", checked=checked, table=table)
    return _none(connection, relation, composite)


def _named(
    connection: Connection, relation: Relation, name: str, composite: tuple[str, ...]
) -> Key:
    column = relation.column(name)
    if column is None:
        listed = ", ".join(each.name for each in relation.columns)
        return _none(
            connection, relation, composite, f"KEY={name}: it has no such column, but {listed}"
        )
    if column.base not in KEY_TYPES:
        reason = f"KEY={name}: {column.type} has no order or no text that a URL can hold"
        return _none(connection, relation, composite, reason)
    for index in relation.indexes:
        if index.identifies and index.columns == (name,) and not column.nullable:
            return Key(column, "unique index", index=index.name, composite=composite)
    if composite and relation.kind != "partitioned table":
        reason = (
            f"KEY={name}: no index keeps it unique, and the primary key is ({', '.join(composite)})"
        )
        return _none(connection, relation, composite, reason)
    checked = rows.uniqueness(connection, relation, column)
    if not checked.holds:
        reason = f"KEY={name}: {repeats(checked)}"
        return _none(connection, relation, composite, reason)
    return Key(column, "named", checked=checked, composite=composite)


def _unique_index(connection: Connection, relation: Relation) -> Key | None:
    """A unique index of one column that is never NULL; a materialized view's columns do not say that they are not."""
    for index in relation.indexes:
        column = relation.column(index.columns[0]) if index.identifies else None
        if column is None or column.base not in KEY_TYPES:
            continue
        if not column.nullable:
            return Key(column, "unique index", index=index.name)
        if relation.kind == "materialized view":
            checked = rows.uniqueness(connection, relation, column)
            if checked.holds:
                return Key(column, "unique index", index=index.name, checked=checked)
    return None


def _none(
    connection: Connection, relation: Relation, composite: tuple[str, ...], refusal: str = ""
) -> Key:
    """No key, with what could be one."""
    found = rows.candidates(connection, relation)
    # What a primary key of other columns does not keep may repeat tomorrow.
    if composite and relation.kind != "partitioned table":
        found = []
    # Those that an index keeps apart, then those that are never NULL, then those that are called so.
    indexed = {index.columns[0] for index in relation.indexes if index.identifies}

    def likelihood(each: Uniqueness) -> tuple[bool, bool, bool]:
        column = relation.column(each.column)
        nullable = column is None or column.nullable
        return each.column not in indexed, nullable, not _is_called_key(each.column)

    found.sort(key=likelihood)
    names = {each.column for each in found}
    seeming = [
        column
        for column in relation.columns
        if column.base in KEY_TYPES and _is_called_key(column.name) and column.name not in names
    ]
    repeating = [rows.uniqueness(connection, relation, column) for column in seeming[:3]]
    return Key(
        None,
        composite=composite,
        candidates=tuple(found),
        repeating=tuple(each for each in repeating if not each.holds),
        refusal=refusal,
    )


def _is_called_key(name: str) -> bool:
    words = name.lower().replace(" ", "_").split("_")
    return words[-1] in {"id", "gid", "fid", "no", "code", "key", "uuid", "oid"} or words[0] in {
        "id",
        "gid",
        "fid",
    }


def repeats(uniqueness: Uniqueness) -> str:
    """Why the values of a column do not tell rows apart."""
    parts = []
    if uniqueness.nulls:
        parts.append(f"it is NULL in {uniqueness.nulls:,} of {uniqueness.read:,} rows")
    if uniqueness.repeated:
        parts.append(
            f"{uniqueness.repeated:,} of {uniqueness.read:,} rows have the value of another"
        )
    return " and ".join(parts)


#: How PostgreSQL writes what a user writes as the second: operators of LIKE, and IN of texts and of others.
_SPELLED = (
    (r" !~~\* ", " NOT ILIKE "),
    (r" ~~\* ", " ILIKE "),
    (r" !~~ ", " NOT LIKE "),
    (r" ~~ ", " LIKE "),
    (r"\((\w+)\)::text", r"\1"),
    (r" = ANY \(\(ARRAY\[([^\[\]]*)\]\)::text\[\]\)", r" IN (\1)"),
    (r" = ANY \(ARRAY\[([^\[\]]*)\]\)", r" IN (\1)"),
    (r" <> ALL \(\(ARRAY\[([^\[\]]*)\]\)::text\[\]\)", r" NOT IN (\1)"),
    (r" <> ALL \(ARRAY\[([^\[\]]*)\]\)", r" NOT IN (\1)"),
)


def stated_predicate(condition: str) -> str:
    """A condition of PostgreSQL as a user writes it: without the types that it adds to texts."""
    plain = re.sub(
        r"('(?:[^']|'')*')::(?:text|character varying|bpchar)(?![\w\[])", r"\1", condition
    )
    # Texts stay as they are.
    parts = re.split(r"('(?:[^']|'')*')", plain)
    marks = [f"\0{number}\0" for number in range(len(parts))]
    plain = "".join(marks[n] if n % 2 else part for n, part in enumerate(parts))
    for pattern, spelling in _SPELLED:
        plain = re.sub(pattern, spelling, plain)
    plain = re.sub(r"\0(\d+)\0", lambda mark: parts[int(mark[1])], plain)
    while is_wrapped(plain):
        plain = plain[1:-1]
    return plain


def is_wrapped(text: str) -> bool:
    """Whether a pair of parentheses is around the whole text."""
    depth = 0
    for mark in re.finditer(r"'(?:[^']|'')*'|[()]", text):
        depth += {"(": 1, ")": -1}.get(mark[0], 0)
        if depth == 0 and mark[0] == ")":
            return text.startswith("(") and mark.end() == len(text)
    return False
