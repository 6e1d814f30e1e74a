"""What a valid parameter is.

The parameters come from prompts, the command line or a replay file, always as text. `problems`
looks at all of them at once and says of each wrong one what is wrong and what would do. Standard
library only: the module runs in whatever Python 3.11+ runs cookiecutter, and without cookiecutter.
"""

import builtins
import difflib
import json
import keyword
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TypeVar
from uuid import UUID

import predicate
from epsg import Crs, crs, srid_candidates, why_refused

__all__ = [
    "CHOICES",
    "RESERVED_CLASSES",
    "RESERVED_COLUMNS",
    "RESERVED_PACKAGES",
    "RESERVED_TABLES",
    "Attribute",
    "AttributesError",
    "Crs",
    "Default",
    "Problem",
    "class_name",
    "crs",
    "derived_names",
    "parse_attributes",
    "plural",
    "printable",
    "problems",
]

# A rule says why a value is refused, "" where it is not; a repair names values to try instead.
Rule = Callable[[str], str]
Repair = Callable[[str], Iterable[str]]
Claims = tuple[tuple[frozenset[str], str], ...]
Parsed = TypeVar("Parsed")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# -- Problems ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: the parameter, its value, the reason, and a value that would do."""

    parameter: str
    value: str
    reason: str
    suggestion: str

    def __str__(self) -> str:
        advice = f"try {shown(self.suggestion, 200)}" if self.suggestion else "leave it empty"
        return f"{shown(self.parameter)[1:-1]} = {shown(self.value)}: {self.reason}; {advice}"


class AttributesError(ValueError):
    """The declarations of the attributes are wrong; `problems` says where."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = list(problems)


def printable(text: str) -> bool:
    """Whether text is one line that shows on a screen and can be written to a file."""
    return not any(map(_is_hidden, text))


def _is_hidden(character: str) -> bool:
    # Joiners and tags make up emoji and the words of some scripts. The other format characters
    # show nothing, or turn the text's direction around and hide what a file says (CVE-2021-42574).
    if character in "\u200c\u200d" or "\U000e0020" <= character <= "\U000e007f":
        return False
    noncharacter = ord(character) & 0xFFFE == 0xFFFE or "\ufdd0" <= character <= "\ufdef"
    return noncharacter or unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"}


def shown(text: str, limit: int = 80) -> str:
    """The text in quotes, on one line: hidden characters escaped, a long text shortened."""
    if len(text) > limit:
        text = f"{text[: limit * 2 // 3]}…{text[-(limit // 4) :]}"
    escaped = (c.encode("unicode_escape").decode("ascii") if _is_hidden(c) else c for c in text)
    return "'" + "".join(escaped) + "'"


def _first_valid(candidates: Iterable[str], rule: Rule) -> str:
    return next(candidate for candidate in candidates if not rule(candidate))


# -- Words that are taken ------------------------------------------------------------------------

# PostgreSQL's documentation, appendix C: the words that PostgreSQL 13 to 18 mark "reserved" or
# "reserved (can be function or type)". The words "non-reserved (cannot be function or type)",
# such as time and values, serve as bare names of tables and columns everywhere.
POSTGRESQL_RESERVED = _words("""
    all analyse analyze and any array as asc asymmetric authorization binary both case cast check
    collate collation column concurrently constraint create cross current_catalog current_date
    current_role current_schema current_time current_timestamp current_user default deferrable desc
    distinct do else end except false fetch for foreign freeze from full grant group having ilike
    in initially inner intersect into is isnull join lateral leading left like limit localtime
    localtimestamp natural not notnull null offset on only or order outer overlaps placing primary
    references returning right select session_user similar some symmetric system_user table
    tablesample then to trailing true union unique user using variadic verbose when where window
    with
""")

# The standard library's modules differ from one Python to the next; what is accepted must not.
STANDARD_LIBRARY = sys.stdlib_module_names | _words("""
    annotationlib asynchat asyncore cgi cgitb chunk compression crypt distutils imghdr imp lib2to3
    mailcap msilib nis nntplib ossaudiodev pipes smtpd sndhdr spwd sunau telnetlib tomllib uu xdrlib
""")

# Dependencies of the rendered project and theirs, by the names that they are imported and installed by.
DEPENDENCIES = _words("""
    aiosqlite alembic annotated_doc annotated_types anyio ast_serialize asyncpg attr attrs
    certifi cffi charset_normalizer click cql2 cryptography dotenv email_validator fastapi
    fastapi_cli fastapi_offline geoalchemy2 geojson_pydantic google googleapis_common_protos
    greenlet gunicorn h11 httpcore httpcore2 httptools httpx httpx2 hypothesis idna iniconfig
    jinja2 joserfc jsonschema jsonschema_path jsonschema_specifications jwt lazy_object_proxy
    librt mako markupsafe mypy mypy_extensions mypyc numpy openapi_schema_validator
    openapi_spec_validator opentelemetry opentelemetry_api
    opentelemetry_exporter_http_transport opentelemetry_exporter_otlp_common
    opentelemetry_exporter_otlp_proto_common opentelemetry_exporter_otlp_proto_http
    opentelemetry_instrumentation opentelemetry_instrumentation_sqlalchemy opentelemetry_proto
    opentelemetry_sdk opentelemetry_semantic_conventions orjson packaging pathable pathspec pip
    pkg_resources pluggy pre_commit prometheus_client protobuf psycopg psycopg2 psycopg2_binary
    psycopg_pool py pyarrow pycparser pydantic pydantic_core pydantic_settings pygments pyjwt
    pyogrio pyproj pytest pytest_cov python_dotenv pyyaml referencing requests
    rfc3339_validator rich rpds rpds_py ruff schemathesis setuptools shapely six sniffio
    sqlalchemy starlette structlog tqdm truststore typer typing_extensions typing_inspection
    urllib3 uv uvicorn uvloop watchfiles websockets wheel wrapt xdist yaml
""")

PROJECT_FOLDERS = _words("""
    app build deploy dist docs migrations scripts site src test tests tools venv
""")

# Modules of the project's own that lie beside the package on the path of its tests.
PROJECT_MODULES = _words("conftest mvt postgis rows")

# Names that Windows keeps for devices, with any ending.
DEVICES = _words("aux con nul prn com1 com2 com3 com4 lpt1 lpt2 lpt3 lpt4")

ROUTES = _words("""
    api collections conformance docs health index items map metrics nearby openapi redoc static
    tiles
""")

# PostGIS's own tables, views and types, and Alembic's table. A table makes a type of its name.
OTHER_RELATIONS = _words("""
    addbandarg agg_count agg_samealignment alembic_version alembic_version_pkc box2d box2df box3d
    geography geography_columns geometry geometry_columns geometry_dump geomval gidx rastbandarg
    raster raster_columns raster_overviews reclassarg spatial_ref_sys spatial_ref_sys_pkey
    spheroid summarystats topology unionarg valid_detail
""")

# Classes and other capitalised names of the rendered modules.
RESERVED_CLASSES = _words("""
    Annotated Any APIRouter AwareDatetime Base BaseGeometry BaseHTTPMiddleware BaseModel
    BaseSettings BBox BindParameter Body Bool Boolean Bounds Callable CheckConstraint ClassVar
    Column ColumnElement Computed Config ConfigDict Connection Crs CRS Database Date DateTime
    Decimal DeclarativeBase Depends Double Engine Enum Envelope ErrorResponse ExactNumber Extent
    FastAPI Feature FeatureCollection Features Field File Filter Final Float Form Fragment
    FunctionElement Generic Geography Geojson Geometry GeometryCollection GeometryFormat Header HTTPException Id
    Identity Index Integer Item Iterable Iterator JSON Json JSONB JSONResponse JsonValue Latitude
    Limit LineString List Literal Longitude Mapped MappedColumn Mapping MetaData Model
    MultiLineString MultiPoint MultiPolygon NamedTuple Neighbour Neighbours Never Numeric Optional
    Page Path Point Polygon PrimaryKeyConstraint Problem Protocol Query RawGeometry Request
    Response Router Row Schema Secret SecretStr Security Select Self Sequence Session Settings
    StreamingResponse String Table Text Tile Timestamp Token Type TypeAdapter TypeAlias TypedDict
    TypeDecorator TypeEngine TypeVar Union UniqueConstraint Url User Uuid UUID ValidationInfo Wkb
    WKBElement Wkt WKTElement
""")

# Compared without regard to case, so that nobody has to tell GeoJson from Geojson.
_CLASSES_FOLDED = {name.casefold() for name in (*RESERVED_CLASSES, *dir(builtins))}

NAME_CLAIMS: Claims = (
    (POSTGRESQL_RESERVED, "is a word that PostgreSQL reserves"),
    (frozenset(keyword.kwlist), "is a Python keyword"),
)

RESERVED_TABLES = ROUTES | OTHER_RELATIONS | {"base"}
TABLE_CLAIMS: Claims = (
    *NAME_CLAIMS,
    (ROUTES, "is a path of the service's own"),
    (OTHER_RELATIONS, "is a table, view or type of PostGIS or Alembic"),
    (frozenset({"base"}), "is the models' base class"),
)

OWN_COLUMNS = _words("id created_at updated_at")
# PostgreSQL's documentation, section 5.6; oid was one of them until PostgreSQL 12.
SYSTEM_COLUMNS = _words("cmax cmin ctid oid tableoid xmax xmin")
QUERY_PARAMETERS = _words("""
    after all bbox bbox_crs count crs datetime distance f filter filter_crs filter_lang geometry
    lat limit lon offset properties radius sortby token
""")
# dir(pydantic.BaseModel) without the names that begin with model_, of pydantic 2.14.
PYDANTIC_NAMES = _words("""
    construct copy dict fields from_orm json parse_file parse_obj parse_raw schema schema_json
    update_forward_refs validate
""")
SQLALCHEMY_NAMES = _words("metadata query registry type_annotation_map")
# Methods of SQLAlchemy's rows, which hide columns of the same name.
ROW_NAMES = _words("index t tuple")
# Names that the bodies of the rendered classes use: a column so named would hide them.
CLASS_BODY_NAMES = _words("bool classmethod float int list mapped_column property sa str uuid4")

COLUMN_CLAIMS: Claims = (
    *NAME_CLAIMS,
    (OWN_COLUMNS, "is a column that the table has anyway"),
    (SYSTEM_COLUMNS, "is a system column of PostgreSQL"),
    (QUERY_PARAMETERS, "is a query parameter or a GeoJSON member of the service"),
    (PYDANTIC_NAMES, "is an attribute of every Pydantic model"),
    (SQLALCHEMY_NAMES, "is an attribute of every SQLAlchemy model"),
    (ROW_NAMES, "is a method of SQLAlchemy's rows"),
    (CLASS_BODY_NAMES, "is a name that the models' code itself uses"),
)
RESERVED_COLUMNS = frozenset().union(*(names for names, _ in COLUMN_CLAIMS))

PACKAGE_CLAIMS: Claims = (
    (frozenset(keyword.kwlist) | {"_"}, "is a Python keyword"),
    (STANDARD_LIBRARY, "is a module of Python's standard library, which would hide it"),
    (DEPENDENCIES, "is a package that the service depends on"),
    (PROJECT_FOLDERS, "is a folder of the project"),
    (PROJECT_MODULES, "is a module of the project's tests and tools"),
    (DEVICES, "is a device on Windows"),
)
RESERVED_PACKAGES = frozenset().union(*(names for names, _ in PACKAGE_CLAIMS))


def _claim(name: str, claims: Claims) -> str:
    return next((f"'{name}' {by}" for names, by in claims if name in names), "")


# -- Names ---------------------------------------------------------------------------------------

# PostgreSQL cuts longer names off (NAMEDATALEN - 1 bytes).
NAME_BYTES = 63
IDENTIFIER = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)


def _size(name: str) -> int:
    return len(name.encode("utf-8", "surrogatepass"))


def _too_long(name: str, limit: int = NAME_BYTES) -> str:
    size = _size(name)
    return f"{size} bytes long, {size - limit} more than the {limit} possible" * (size > limit)


def _identifier(name: str) -> str:
    if not name:
        return "no name given"
    if not IDENTIFIER.fullmatch(name):
        return "not a name of a-z, 0-9 and _ that begins with a letter"
    return _too_long(name)


def _cleaned(text: str, joint: str = "_") -> str:
    """What is left of the text as an identifier: 'Größe (m)' gives grosse_m."""
    folded = unicodedata.normalize("NFKD", text.replace("ß", "ss")).encode("ascii", "ignore")
    parts = re.findall(r"[a-z0-9]+", folded.decode("ascii").lower())
    return joint.join(parts).lstrip("0123456789" + joint)[:40].rstrip(joint)


def _renamed(example: str, ending: str, joint: str = "_") -> Repair:
    """Names like the one given: cleaned, else with an ending, else the example, else numbered."""

    def repair(name: str) -> Iterator[str]:
        cleaned = _cleaned(name, joint)
        yield from (cleaned, f"{cleaned}{joint}{ending}", example)
        yield from (f"{example}{joint}{number}" for number in range(2, 10_000))

    return repair


def class_name(resource_name: str) -> str:
    """The model's class: facility gives Facility, charging_station gives ChargingStation."""
    return "".join(part[:1].upper() + part[1:] for part in resource_name.split("_"))


# Nouns without a plural of their own, nouns that are plurals, and nouns with an irregular plural
# that the rules of `plural` would otherwise get wrong.
_IRREGULAR = _words("""
    advice alga aircraft alumna antenna arctic bacteria baggage bison caribou cattle child
    clothing cod corn corpus criteria criterion crossroad data datum deer die dice ditch
    equipment evidence feet firmware fish foot formula furniture geese goose hardware health
    housing information infrastructure knowledge land larva lice lightning livestock louse
    luggage lumber machinery mail matrix media men mice money moose mouse nebula news ox
    parking pending penny people person phenomena phenomenon police poultry power progress
    rain research rice salmon sand schema sewage shrimp snow software soil spacecraft squid
    staff strata swine teeth tooth traffic trout tuna vegetation vertebra vertex vortex
    watercraft water waste weather wheat wildlife women wood
""")


def plural(noun: str) -> str:
    """The plural of a noun where a rule gives it for sure, else "": it is then to be given."""
    last = noun.rpartition("_")[2]
    if not IDENTIFIER.fullmatch(noun) or not last.isalpha() or len(last) < 3:
        return ""
    if last in _IRREGULAR or (last.endswith(_UNSURE_ENDINGS) and not last.endswith(_SURE_ENDINGS)):
        return ""
    if re.search(r"[^aeiou]y$", last):
        return noun[:-1] + "ies"
    return noun + ("es" if last.endswith(("ss", "x", "ch", "sh")) else "s")


# bus, leaf, knife, potato, axis, datum, index and appendix, stomach, quiz, taxi, plateau,
# soliloquy, woman, software, watercraft, jellyfish, phenomenon
_UNSURE_ENDINGS = (
    *("s", "f", "fe", "o", "um", "ex", "ix", "ch", "z", "i", "au", "quy"),
    *("man", "men", "ware", "craft", "fish", "sheep", "non", "foot", "tooth", "mouse", "goose"),
    *("child", "person", "people", "data"),
)
# glass, video, studio, zoo, pitch, bench, beach, coach, couch
_SURE_ENDINGS = ("ss", "eo", "io", "oo", "tch", "nch", "each", "oach", "ouch", "church", "search")


# -- Attributes ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Default:
    """A column's default: the text as written without its quotes, and what it means.

    `function` is the SQL of a default that the database works out for each row; there is no value
    then.
    """

    text: str
    value: object
    function: str | None = None


@dataclass(frozen=True, slots=True)
class Attribute:
    """A column of the table besides id, geometry, created_at and updated_at."""

    name: str
    type: str
    length: int | None = None
    precision: int | None = None
    scale: int | None = None
    nullable: bool = False
    unique: bool = False
    default: Default | None = None


@dataclass(frozen=True, slots=True)
class _Type:
    name: str
    length: int | None = None
    precision: int | None = None
    scale: int | None = None


class _Refused(Exception):
    """A part of a declaration is wrong: the reason, and the part put right."""

    def __init__(self, reason: str, repaired: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.repaired = repaired


# The type that PostgreSQL stores each attribute's type as.
STORED_TYPES = {
    "str": "text",
    "text": "text",
    "int": "integer",
    "bigint": "bigint",
    "float": "double precision",
    "numeric": "numeric",
    "bool": "boolean",
    "date": "date",
    "datetime": "timestamptz",
    "uuid": "uuid",
    "json": "jsonb",
}
_ALIASES = {
    "boolean": "bool",
    "char": "str(100)",
    "decimal": "numeric(10,2)",
    "double": "float",
    "guid": "uuid",
    "int4": "int",
    "int8": "bigint",
    "integer": "int",
    "jsonb": "json",
    "long": "bigint",
    "money": "numeric(10,2)",
    "number": "float",
    "numeric": "numeric(10,2)",
    "real": "float",
    "smallint": "int",
    "str": "str(100)",
    "string": "str(100)",
    "time": "datetime",
    "timestamp": "datetime",
    "timestamptz": "datetime",
    "varchar": "str(100)",
}
# PostgreSQL's documentation, sections 8.3 and 8.1.2.
MAX_LENGTH = 10_485_760
MAX_PRECISION = 1000
INTEGER_RANGES = {"int": (-(2**31), 2**31 - 1), "bigint": (-(2**63), 2**63 - 1)}


def _parse_type(text: str) -> _Type:
    shape = re.fullmatch(r"([a-z]+)(?:\(([^()]*)\))?", text)
    name, arguments = (shape[1], shape[2]) if shape else ("", None)
    if name not in STORED_TYPES:
        raise _Refused(
            f"no type is called {shown(text)}: {', '.join(STORED_TYPES)}", _nearest(text)
        )
    numbers = [_count(part) for part in (arguments or "").split(",")]
    if name == "str":
        if len(numbers) != 1 or not 1 <= numbers[0] <= MAX_LENGTH:
            raise _Refused(f"str needs a length from 1 to {MAX_LENGTH}: str(100)", "str(100)")
        return _Type(name, length=numbers[0])
    if name == "numeric":
        if len(numbers) != 2 or not (
            1 <= numbers[0] <= MAX_PRECISION and 0 <= numbers[1] <= numbers[0]
        ):
            reason = f"numeric needs a precision from 1 to {MAX_PRECISION} and a scale up to it"
            raise _Refused(f"{reason}, without spaces: numeric(10,2)", "numeric(10,2)")
        return _Type(name, precision=numbers[0], scale=numbers[1])
    if arguments is not None:
        raise _Refused(f"{name} takes nothing in parentheses", name)
    return _Type(name)


def _count(text: str) -> int:
    """The number that plain digits give, -1 for anything else."""
    return int(text) if re.fullmatch(r"0|[1-9][0-9]{0,17}", text) else -1


def _nearest(text: str) -> str:
    word = text.partition("(")[0].strip().lower()
    known = [*STORED_TYPES, *_ALIASES]
    name = next(iter(difflib.get_close_matches(word[:30], known, 1)), "text")
    return _ALIASES.get(name, name)


def _text_default(text: str, kind: _Type) -> str:
    if not printable(text):
        visible = "".join(c for c in text if not _is_hidden(c))
        raise _Refused("the default has characters that do not show", visible[: kind.length])
    if kind.length is not None and len(text) > kind.length:
        reason = f"the default has {len(text)} characters, str({kind.length}) holds {kind.length}"
        raise _Refused(reason, text[: kind.length])
    return text


def _integer_default(text: str, kind: _Type) -> int:
    lowest, highest = INTEGER_RANGES[kind.name]
    if not re.fullmatch(r"-?[0-9]{1,19}", text):
        raise _Refused(f"{shown(text)} is no whole number", "0")
    if not lowest <= int(text) <= highest:
        raise _Refused(f"{text} is outside {kind.name}, {lowest} to {highest}", "0")
    return int(text)


def _float_default(text: str, kind: _Type) -> float:
    if not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?", text):
        raise _Refused(f"{shown(text)} is no finite decimal number", "0")
    value = float(text)
    # PostgreSQL refuses what is too large for a double, and what is too small and not zero.
    if abs(value) == float("inf") or (
        value == 0 and re.search(r"[1-9]", text.lower().split("e")[0])
    ):
        raise _Refused(f"{shown(text)} is outside the range of a double", "0")
    return value


def _numeric_default(text: str, kind: _Type) -> Decimal:
    shape = re.fullmatch(r"-?0*([0-9]*)(?:\.([0-9]+))?", text)
    if not shape or not re.search(r"[0-9]", text) or not text[-1].isdigit():
        raise _Refused(f"{shown(text)} is no decimal number", "0")
    precision, scale = kind.precision or 0, kind.scale or 0
    if len(shape[1]) > precision - scale or len(shape[2] or "") > scale:
        raise _Refused(f"{shown(text)} does not fit numeric({precision},{scale})", "0")
    return Decimal(text)


def _bool_default(text: str, kind: _Type) -> bool:
    if text not in {"true", "false"}:
        said_no = text.lower() in {"0", "f", "n", "no", "off", "false"}
        raise _Refused(f"{shown(text)} is neither true nor false", "false" if said_no else "true")
    return text == "true"


def _date_default(text: str, kind: _Type) -> date:
    try:
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise _Refused(f"{shown(text)} is neither a date like 2020-01-31 nor today", "today")


def _datetime_default(text: str, kind: _Type) -> datetime:
    day, clock = r"[0-9]{4}-[0-9]{2}-[0-9]{2}", r"[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?"
    # PostgreSQL takes offsets below 16 hours.
    offset = r"(Z|[+-](0[0-9]|1[0-5]):[0-5][0-9])"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if not moment or not re.fullmatch(rf"{day}([T ]{clock}{offset}?)?", text):
        raise _Refused(f"{shown(text)} is neither a time like 2020-01-31T12:00:00Z nor now", "now")
    if not moment.tzinfo:
        # It would mean another moment on a server in another time zone.
        raise _Refused(f"{shown(text)} has no offset from UTC", moment.isoformat() + "Z")
    if moment.year in {1, 9999}:
        raise _Refused(f"{shown(text)} is too near to the ends of Python's calendar", "now")
    return moment


def _uuid_default(text: str, kind: _Type) -> UUID:
    if not re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text):
        raise _Refused(f"{shown(text)} is neither a UUID nor random", "random")
    return UUID(text)


def _json_default(text: str, kind: _Type) -> object:
    reason = predicate.why_not_json(text)
    if not printable(text):
        reason = "has characters that do not show"
    if reason:
        raise _Refused(f"{shown(text)} {reason}", "{}")
    return json.loads(text)


_DEFAULT_VALUES: dict[str, Callable[[str, _Type], object]] = {
    "str": _text_default,
    "text": _text_default,
    "int": _integer_default,
    "bigint": _integer_default,
    "float": _float_default,
    "numeric": _numeric_default,
    "bool": _bool_default,
    "date": _date_default,
    "datetime": _datetime_default,
    "uuid": _uuid_default,
    "json": _json_default,
}
# gen_random_uuid() is part of PostgreSQL itself since version 13.
_DEFAULT_FUNCTIONS = {
    ("datetime", "now"): "now()",
    ("date", "today"): "CURRENT_DATE",
    ("uuid", "random"): "gen_random_uuid()",
}


def _parse_default(written: str, kind: _Type) -> Default | None:
    """The default that the text after the type gives: "", "=value" or "='quoted value'"."""
    if not written:
        return None
    try:
        return _read_default(written, kind)
    except _Refused as refused:
        reason, repaired = refused.reason, "=" + _quoted(refused.repaired)
    try:
        _read_default(repaired, kind)
    except _Refused:
        repaired = ""
    raise _Refused(reason, repaired)


def _read_default(written: str, kind: _Type) -> Default:
    text = _unquoted(written[1:])
    if function := _DEFAULT_FUNCTIONS.get((kind.name, text)):
        return Default(text, None, function)
    return Default(text, _DEFAULT_VALUES[kind.name](text, kind))


def _unquoted(text: str) -> str:
    if re.fullmatch(r"'(?:[^']|'')*'", text):
        return text[1:-1].replace("''", "'")
    if not text:
        raise _Refused("nothing follows the = (an empty text is '')", "")
    if "'" in text:
        raise _Refused(
            "quotes belong around the whole default, and are doubled in it", text.replace("'", "")
        )
    return text


def _quoted(text: str) -> str:
    plain = re.fullmatch(r"[^\s']+", text)
    return text if plain else "'" + text.replace("'", "''") + "'"


def _parse_marks(marks: str, kind: _Type, default: Default | None) -> tuple[bool, bool]:
    """Whether the column is nullable, and whether it is unique."""
    if marks not in {"", "?", "!", "?!"}:
        raise _Refused(
            f"after the type come ? (nullable) and ! (unique), not {shown(marks)}",
            "?" * ("?" in marks),
        )
    nullable, unique = "?" in marks, "!" in marks
    if unique and kind.name == "json":
        raise _Refused(
            "json has no equality that a user would expect, so it cannot be unique", "?" * nullable
        )
    if unique and default and default.text != "random":
        raise _Refused(
            "a unique column with a default refuses the second row that takes it", "?" * nullable
        )
    return nullable, unique


@dataclass(frozen=True, slots=True)
class _Declaration:
    """What one word of `attributes` says, put right where it is wrong, and the reasons."""

    given: str
    attribute: Attribute
    word: str
    reasons: tuple[str, ...]


def _put_right(parse: Callable[[str], Parsed], text: str, reasons: list[str]) -> Parsed:
    """What the text says; where it is refused, why is noted and what it should say is returned."""
    try:
        return parse(text)
    except _Refused as refused:
        reasons.append(refused.reason)
        return parse(refused.repaired)


def _parse_declaration(word: str, taken: frozenset[str]) -> _Declaration:
    reasons: list[str] = []
    written_name, colon, rest = word.partition(":")
    if not colon:
        written_name, rest = word.partition("=")[0], "text"
        reasons.append("no type given: write name:type")
    shape = re.match(r"([^=?!]*)([?!]*)", rest)
    written_type, marks = shape.groups() if shape else ("", "")
    written_default = rest[len(written_type) + len(marks) :]

    name = _put_right(lambda text: _parse_name(text, taken), written_name, reasons)
    known_type = len(reasons)
    kind = _put_right(_parse_type, written_type, reasons)
    # Of a default for a type that is not known nothing can be said.
    default_reasons = [] if len(reasons) > known_type else reasons
    default = _put_right(lambda text: _parse_default(text, kind), written_default, default_reasons)
    nullable, unique = _put_right(lambda text: _parse_marks(text, kind, default), marks, reasons)
    attribute = Attribute(
        name, kind.name, kind.length, kind.precision, kind.scale, nullable, unique, default
    )
    return _Declaration(word, attribute, _declared(attribute) if reasons else word, tuple(reasons))


def _declared(attribute: Attribute) -> str:
    """The attribute as a word of `attributes`."""
    limits = {
        "str": f"({attribute.length})",
        "numeric": f"({attribute.precision},{attribute.scale})",
    }.get(attribute.type, "")
    marks = "?" * attribute.nullable + "!" * attribute.unique
    default = f"={_quoted(attribute.default.text)}" if attribute.default else ""
    return f"{attribute.name}:{attribute.type}{limits}{marks}{default}"


def _parse_name(name: str, taken: frozenset[str]) -> str:
    def rule(candidate: str) -> str:
        return _column(candidate) or "declared twice" * (candidate in taken)

    if reason := rule(name):
        raise _Refused(reason, _first_valid(_renamed("attribute", "value")(name), rule))
    return name


def _split(text: str) -> Iterator[str]:
    """The text's words: white space inside single quotes belongs to the word."""
    word, quoted = "", False
    for character in text:
        # A doubled quote closes the quotation and opens it again.
        quoted ^= character == "'"
        if quoted or not character.isspace():
            word += character
        elif word:
            yield word
            word = ""
    if word:
        yield word


def _declarations(text: str) -> list[_Declaration]:
    declarations: list[_Declaration] = []
    for word in _split(text):
        taken = frozenset(declaration.attribute.name for declaration in declarations)
        declarations.append(_parse_declaration(word, taken))
    return declarations


# PostgreSQL's documentation, appendix K: 1,600 columns, of which id, the geometry and the two
# times are the service's.
MAX_ATTRIBUTES = 1596


def parse_attributes(text: str) -> tuple[Attribute, ...]:
    """The columns that `attributes` declares; none is as good as many: id and geometry remain."""
    if found := list(_attribute_problems(text)):
        raise AttributesError(found)
    return tuple(declaration.attribute for declaration in _declarations(text))


# -- Rules for one parameter ---------------------------------------------------------------------


def _text(limit: int, *, required: bool = False) -> Rule:
    def rule(value: str) -> str:
        if required and not value.strip():
            return "no text given"
        if not printable(value):
            return "has line breaks, control characters or other characters that do not show"
        if len(value) > limit:
            return f"{len(value)} characters long, at most {limit} are possible"
        return ""

    return rule


def _visible(example: str, limit: int) -> Repair:
    def repair(value: str) -> Iterable[str]:
        spaced = "".join(" " if c.isspace() else c for c in value)
        return "".join(c for c in spaced if not _is_hidden(c))[:limit].strip(), example

    return repair


def _slug(value: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9-]*", value) or value.endswith("-"):
        return "not a name of a-z, 0-9 and - that begins with a letter and ends without a -"
    # The names of containers and volumes are made from it, and a DNS label ends at 63.
    if len(value) > 50:
        return _too_long(value, 50)
    # A project that has the name of a package that it depends on depends on itself.
    return _claim(
        value.replace("-", "_"),
        (
            (DEPENDENCIES, "is a package that the service depends on"),
            (DEVICES, "is a device on Windows"),
        ),
    )


def _package(value: str) -> str:
    if not re.fullmatch(r"[a-z_][a-z0-9_]*", value) or value.startswith("__"):
        return "not a Python name of a-z, 0-9 and _"
    return _too_long(value) or _claim(value, PACKAGE_CLAIMS)


# alembic_helpers.include_object of GeoAlchemy2 leaves out idx_* and gpkg_*; pg_* looks built in.
TABLE_PREFIXES = ("gpkg_", "idx_", "pg_")


def _table(value: str) -> str:
    if prefix := next((p for p in TABLE_PREFIXES if value.startswith(p)), ""):
        return f"names that begin with {prefix} are left to PostgreSQL and its tools"
    return _identifier(value) or _claim(value, TABLE_CLAIMS)


# The code is laid out in lines of 100, and the longest has the name twice.
CLASS_LETTERS = 39


def _resource(value: str) -> str:
    if reason := _table(value):
        return reason
    name = class_name(value)
    if len(name) > CLASS_LETTERS:
        return f"its class would have {len(name)} letters, {len(name) - CLASS_LETTERS} too many"
    if keyword.iskeyword(name) or name.casefold() in _CLASSES_FOLDED:
        return f"its class would be {name}, a name that the code already uses"
    return ""


def _column(value: str) -> str:
    if value.startswith("model_"):
        return f"'{value}' begins with model_, which Pydantic keeps for itself"
    return _identifier(value) or _claim(value, COLUMN_CLAIMS)


def _index(value: str) -> str:
    if not value:
        return "no name given"
    # PostgreSQL's documentation, section 4.1.1: letters are all that is not ASCII.
    ascii_only = "".join(c if c.isascii() else "x" for c in value)
    spaced = any(_is_hidden(c) or c.isspace() for c in value)
    if spaced or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_$]*", ascii_only):
        return "not an SQL name of letters, digits, _ and $ that begins with a letter or _"
    if value.lower() in POSTGRESQL_RESERVED:
        return f"'{value}' is a word that PostgreSQL reserves"
    return _too_long(value) or _claim(
        value, ((OTHER_RELATIONS, "is a relation of PostGIS or Alembic"),)
    )


def _one_of(choices: Sequence[str]) -> tuple[Rule, Repair]:
    def rule(value: str) -> str:
        return "" if value in choices else f"not one of {', '.join(choices)}"

    def repair(value: str) -> Iterator[str]:
        folded = {choice.casefold(): choice for choice in choices}
        nearest = difflib.get_close_matches(value[:30].casefold(), folded, 1)
        yield from (folded[choice] for choice in nearest)
        yield choices[0]

    return rule, repair


def _number(
    lowest: int, highest: int, default: int, *, also: int | None = None
) -> tuple[Rule, Repair]:
    def rule(value: str) -> str:
        if also is not None and value == str(also):
            return ""
        number = _count(value)
        if number >= 0 and lowest <= number <= highest:
            return ""
        otherwise = f" or {also}" if also is not None else ""
        return f"not a whole number from {lowest} to {highest}{otherwise}, in plain digits"

    def repair(value: str) -> Iterator[str]:
        if shape := re.fullmatch(r"\s*\+?0*([0-9]{1,9})(\.0*)?\s*", value):
            yield shape[1]
        yield str(default)

    return rule, repair


# PostgreSQL's src/backend/utils/misc/guc: work_mem is 64 kB to MAX_KILOBYTES.
KILOBYTES = {"kB": 1, "MB": 1024, "GB": 1024**2}
MAX_KILOBYTES = 2**31 - 1


def _memory(value: str) -> str:
    shape = re.fullmatch(r"([1-9][0-9]{0,11})(kB|MB|GB)", value)
    if not shape:
        return "not a whole number with the unit kB, MB or GB (in this case), without a space"
    if not 64 <= int(shape[1]) * KILOBYTES[shape[2]] <= MAX_KILOBYTES:
        return f"PostgreSQL takes 64kB to {MAX_KILOBYTES}kB"
    return ""


def _as_memory(value: str) -> Iterator[str]:
    if shape := re.fullmatch(r"\s*0*([1-9][0-9]{0,11})\s*([kKmMgG]?)[bB]?\s*", value):
        yield shape[1] + {"k": "kB", "m": "MB", "g": "GB", "": "MB"}[shape[2].lower()]
    yield "32MB"


# PostgreSQL's max_connections is 100 by default, of which it keeps 3 for superusers.
CONNECTIONS = 97

CHOICES: dict[str, tuple[str, ...]] = {
    "license": ("MIT", "Apache-2.0", "BSD-3-Clause", "Proprietary"),
    "geometry_type": (
        "POINT",
        "LINESTRING",
        "POLYGON",
        "MULTIPOINT",
        "MULTILINESTRING",
        "MULTIPOLYGON",
        "GEOMETRYCOLLECTION",
        "GEOMETRY",
    ),
    "geometry_dimension": ("XY", "XYZ"),
    "primary_key": ("bigint", "uuid"),
    "output_format": ("geojson", "wkt"),
    "ci": ("github", "gitlab", "none"),
    "deployment": ("compose", "none", "kubernetes"),
    "auth": ("api_key", "none", "oidc"),
}

_PARAMETERS: dict[str, tuple[Rule, Repair]] = {
    "project_name": (_text(200, required=True), _visible("Facilities Service", 200)),
    "project_slug": (_slug, _renamed("facilities-service", "service", "-")),
    "package_name": (_package, _renamed("facilities_service", "service")),
    "description": (_text(1000), _visible("", 1000)),
    "author_name": (_text(200), _visible("", 200)),
    "resource_name": (_resource, _renamed("facility", "record")),
    "table_name": (_table, _renamed("facilities", "records")),
    "geometry_column": (_column, _renamed("location", "geom")),
    "srid": (why_refused, srid_candidates),
    "index_name": (_index, _renamed("idx_facilities_location_gist", "gist")),
    "pool_size": _number(1, CONNECTIONS, 10),
    "max_overflow": _number(0, CONNECTIONS - 1, 5),
    "pool_timeout": _number(1, 300, 30),
    # SQLAlchemy's -1 never recycles a connection.
    "pool_recycle": _number(30, 86_400, 1800, also=-1),
    "work_mem": (_memory, _as_memory),
    **{name: _one_of(choices) for name, choices in CHOICES.items()},
}
# A replay file of an earlier version of the template has none of these.
OPTIONAL = frozenset({"deployment", "auth"})
NAMES = (
    "project_name",
    "project_slug",
    "package_name",
    "description",
    "author_name",
    "license",
    "resource_name",
    "table_name",
    "attributes",
    "geometry_column",
    "geometry_type",
    "geometry_dimension",
    "srid",
    "index_name",
    "index_predicate",
    "primary_key",
    "output_format",
    "pool_size",
    "max_overflow",
    "pool_timeout",
    "pool_recycle",
    "work_mem",
    "ci",
    "deployment",
    "auth",
)


# -- Rules for several parameters ----------------------------------------------------------------


def derived_names(
    table_name: str, geometry_column: str, attributes: Iterable[Attribute], *, geographic: bool
) -> dict[str, tuple[tuple[str, str], ...]]:
    """The names that the database gets beside those given, each with the parameters in it."""
    table = ("table_name", table_name)
    both = (table, ("geometry_column", geometry_column))
    names: dict[str, tuple[tuple[str, str], ...]] = {
        f"pk_{table_name}": (table,),
        f"{table_name}_id_seq": (table,),
        f"ck_{table_name}_{geometry_column}_range": both,
        f"ck_{table_name}_{geometry_column}_type": both,
    }
    if geographic:
        names[f"idx_{table_name}_{geometry_column}_geog"] = both
    for attribute in attributes:
        if attribute.unique:
            names[f"uq_{table_name}_{attribute.name}"] = (table, ("attributes", attribute.name))
    return names


def _long_names(
    values: Mapping[str, str], names: Mapping[str, tuple[tuple[str, str], ...]]
) -> Iterator[Problem]:
    """Derived names that would be cut off, told of the part that is too long in them."""
    shortest: dict[tuple[str, str], tuple[int, str]] = {}
    for derived, parts in names.items():
        taken = sum(_size(given) for _, given in parts)
        room = NAME_BYTES - (_size(derived) - taken)
        for part in parts:
            size = _size(part[1])
            # Each part may take its share of the room, and what the others leave of theirs.
            allowed = max(room // len(parts), room - (taken - size))
            if size > allowed and IDENTIFIER.fullmatch(part[1]):
                shortest[part] = min(shortest.get(part, (NAME_BYTES, "")), (allowed, derived))
    for (parameter, given), (allowed, derived) in shortest.items():
        reason = (
            f"the derived name {derived} is {_size(derived)} bytes long, at most {NAME_BYTES} are"
            f" possible: cut {_size(given) - allowed} off {shown(given)}"
        )
        shorter = _shortened(values[parameter], given, given[:allowed].rstrip("_"))
        yield Problem(parameter, values[parameter], reason, shorter)


def _shortened(value: str, name: str, shorter: str) -> str:
    """The parameter's value with the name made shorter, be it the value or one attribute's."""
    if value == name:
        return shorter
    words = [(d.attribute.name, d.word) for d in _declarations(value)]
    return " ".join(shorter + word[len(n) :] if n == name else word for n, word in words)


def _clashes(values: Mapping[str, str], attributes: Sequence[Attribute]) -> Iterator[Problem]:
    """Names that are right by themselves, but not beside the others."""
    table, column, index = (values[n] for n in ("table_name", "geometry_column", "index_name"))
    system = crs(values["srid"])
    names = derived_names(table, column, attributes, geographic=bool(system and system.geographic))
    yield from _long_names(values, names)

    declared = {attribute.name for attribute in attributes}
    if column in declared:
        free = _first_valid(
            _renamed("location", "geom")(f"{column}_geom"),
            lambda name: _column(name) or "taken" * (name in declared),
        )
        yield Problem("geometry_column", column, "is also the name of an attribute", free)

    if index in {table, *names}:
        free = _first_valid(
            _renamed("idx_location_gist", "gist")(f"{index[:30]}_gist"),
            lambda name: _index(name) or "taken" * (name in {table, *names}),
        )
        yield Problem("index_name", index, "is also the name of the table or of its own", free)


def _columns(declaration: _Declaration) -> Iterator[tuple[str, str]]:
    """The column's name and type; of a wrong declaration the type is not known."""
    attribute = declaration.attribute
    if declaration.reasons:
        yield from ((name, "") for name in (attribute.name, declaration.given.partition(":")[0]))
    else:
        yield attribute.name, STORED_TYPES[attribute.type]


def _predicate_problems(
    values: Mapping[str, str], declarations: Sequence[_Declaration]
) -> Iterator[Problem]:
    condition = values["index_predicate"]
    if not condition:
        return
    columns = {
        "id": values["primary_key"],
        "created_at": "timestamptz",
        "updated_at": "timestamptz",
        values["geometry_column"]: "geometry",
        **{name: kind for declaration in declarations for name, kind in _columns(declaration)},
    }
    if condition.isspace() or not printable(condition):
        spaced = "".join(
            " " if c.isspace() else c for c in condition if not _is_hidden(c) or c.isspace()
        )
        fixed = spaced.strip() if not predicate.findings(spaced.strip(), columns) else ""
        reason = "has line breaks or other characters that do not show, or nothing else"
        yield Problem("index_predicate", condition, reason, fixed)
        return
    found = predicate.findings(condition, columns)
    fixed = predicate.repaired(condition, columns) if found else ""
    for finding in found:
        yield Problem("index_predicate", condition, finding.reason, fixed)


def _pool_problems(values: Mapping[str, str]) -> Iterator[Problem]:
    size, overflow = _count(values["pool_size"]), _count(values["max_overflow"])
    if 1 <= size <= CONNECTIONS and 0 <= overflow < CONNECTIONS < size + overflow:
        reason = (
            f"pool_size {size} + max_overflow {overflow} = {size + overflow} connections, more than"
            f" the {CONNECTIONS} that PostgreSQL has (max_connections 100 less 3 reserved)"
        )
        yield Problem("max_overflow", str(overflow), reason, str(CONNECTIONS - size))


def _single_problems(values: Mapping[str, str]) -> Iterator[Problem]:
    for name, (rule, repair) in _PARAMETERS.items():
        if name in OPTIONAL and name not in values:
            continue
        value = values[name]
        if name == "table_name" and not value:
            yield _plural_needed(values["resource_name"])
        elif reason := rule(value):
            yield Problem(name, value, reason, _first_valid(repair(value), rule))


def _plural_needed(noun: str) -> Problem:
    certain = plural(noun)
    reason = "is empty" if certain else f"the plural of {shown(noun)} is not certain: give it"
    candidates = (certain, f"{_cleaned(noun)}_records", "facilities")
    return Problem("table_name", "", reason, _first_valid(candidates, _table))


def _attribute_problems(text: str) -> Iterator[Problem]:
    declarations = _declarations(text)
    repaired = " ".join(d.word for d in declarations[:MAX_ATTRIBUTES])
    for declaration in declarations:
        for reason in declaration.reasons:
            yield Problem("attributes", text, f"{shown(declaration.given)}: {reason}", repaired)
    if len(declarations) > MAX_ATTRIBUTES:
        reason = f"{len(declarations)} attributes, a table has room for {MAX_ATTRIBUTES}"
        yield Problem("attributes", text, reason, repaired)


def _missing(name: str) -> Problem:
    if name not in _PARAMETERS:
        return Problem(name, "", "is missing", "")
    rule, repair = _PARAMETERS[name]
    return Problem(name, "", "is missing", _first_valid(repair(""), rule))


def _unknown(name: str, value: str) -> Problem:
    nearest = difflib.get_close_matches(name[:60], NAMES, 1)
    return Problem(name, value, "no parameter has this name", *(nearest or NAMES[:1]))


def problems(context: Mapping[str, object]) -> list[Problem]:
    """Every problem that the parameters have; none when a project can be rendered from them."""
    given = {name: f"{value}" for name, value in context.items() if not name.startswith("_")}
    missing = [_missing(name) for name in NAMES if name not in given and name not in OPTIONAL]
    values = {problem.parameter: problem.suggestion for problem in missing} | given
    declarations = _declarations(values["attributes"])
    attributes = [declaration.attribute for declaration in declarations[:MAX_ATTRIBUTES]]
    found = [
        *missing,
        *_single_problems(values),
        *_attribute_problems(values["attributes"]),
        *_clashes(values, attributes),
        *_predicate_problems(values, declarations),
        *_pool_problems(values),
    ]
    order = {name: number for number, name in enumerate(NAMES)}
    unknown = [_unknown(name, value) for name, value in given.items() if name not in order]
    return [*sorted(found, key=lambda problem: order[problem.parameter]), *unknown]
