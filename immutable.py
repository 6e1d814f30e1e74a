"""What a condition may use: types, literals, casts, operators and functions, all of them immutable.

Immutable means that the result depends on nothing but the arguments. Here is what PostgreSQL 13 and
PostGIS 3.1, and all later ones, say of themselves in pg_proc, pg_operator and pg_cast.
"""

import json
import math
import re
from collections.abc import Callable
from datetime import datetime

# -- Types ---------------------------------------------------------------------------------------

# A literal in quotes has no type until its place gives it one. The type of a part that is already
# refused is not known, and the part is not refused again.
LITERAL, NULL, UNKNOWN = "literal", "NULL", ""

# PostgreSQL converts each of these to those after it.
NUMBERS = ("integer", "bigint", "numeric", "double precision")
CHAINS = (NUMBERS, ("date", "timestamp"))
ALIASES = {
    **{"bool": "boolean", "int": "integer", "int4": "integer", "int8": "bigint"},
    **{"decimal": "numeric", "dec": "numeric", "float": "double precision"},
    **{"float8": "double precision", "varchar": "text", "character varying": "text"},
    "timestamp without time zone": "timestamp",
    "timestamp with time zone": "timestamptz",
}
# The casts that do not depend on the session's settings, as those from date to text and from
# timestamptz to date do.
CASTS = {
    "boolean": "integer, text",
    "integer": "boolean, bigint, numeric, double precision, text",
    "bigint": "integer, numeric, double precision, text",
    "numeric": "integer, bigint, double precision, text",
    "double precision": "integer, bigint, numeric, text",
    "text": "boolean, integer, bigint, numeric, double precision, uuid, jsonb",
    "date": "timestamp",
    "timestamp": "date",
    "timestamptz": "",
    "interval": "",
    "uuid": "text",
    "jsonb": "boolean, integer, bigint, numeric, double precision, text",
    "geometry": "text, jsonb, geography",
    "geography": "text, geometry",
}
TYPES = {**ALIASES, **{name: name for name in CASTS}}
TIMES = {"date", "timestamp", "timestamptz", "interval"}


def common_type(types: set[str]) -> str | None:
    """The type that PostgreSQL converts values of these types to, None where there is none."""
    known = types - {LITERAL, NULL} or {"text"}
    if UNKNOWN in known:
        return UNKNOWN
    if len(known) == 1:
        (kind,) = known
        return None if kind.endswith("[]") else kind
    return next((max(known, key=chain.index) for chain in CHAINS if known <= {*chain}), None)


def converts(source: str, target: str) -> bool:
    """Whether PostgreSQL converts an argument on its own."""
    if source in NUMBERS and target in NUMBERS:
        return NUMBERS.index(source) <= NUMBERS.index(target)
    return source == target or (
        source == "text" and target in {"LIKE pattern", "regular expression"}
    )


# -- What the literals of each type look like ----------------------------------------------------


def why_not_json(text: str) -> str:
    """Why jsonb does not take the text; "" if it does."""
    try:
        value = json.loads(text, parse_constant=_finite, parse_float=_finite)
        json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        return "is nested too deeply"
    except UnicodeEncodeError:
        return "has characters that jsonb does not store"
    except ValueError:
        return "is no JSON"
    return "has characters that jsonb does not store" * (r"\u0000" in text.replace(r"\\", ""))


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(text)
    return value


def _matches(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern, re.ASCII)
    return lambda text: compiled.fullmatch(text) is not None


def _integer(bits: int) -> Callable[[str], bool]:
    digits = _matches(r"[+-]?\d{1,19}")
    return lambda text: digits(text) and -(2 ** (bits - 1)) <= int(text) < 2 ** (bits - 1)


def _time(clock: str) -> Callable[[str], bool]:
    shape = _matches(r"\d{4}-\d\d-\d\d" + clock)

    def reads(text: str) -> bool:
        try:
            return shape(text) and bool(datetime.fromisoformat(text))
        except ValueError:
            return False

    return reads


def _is_regular_expression(text: str) -> bool:
    """Whether PostgreSQL can read a pattern: else every INSERT would fail."""
    try:
        re.compile(re.sub(r"\\[mMyYAZ]|\[\[?:\w+:\]?\]", "x", text))
    except re.error:
        return False
    return True


_NUMBER = _matches(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,2})?")
_CLOCK = r"[ T]\d\d:\d\d(:\d\d(\.\d{1,6})?)?"
_OFFSET = r"(Z|[+-](0\d|1[0-5])(:[0-5]\d)?)"
_SPAN = r"\d{1,6} (second|minute|hour|day|week|month|year)s?"
READERS: dict[str, Callable[[str], bool]] = {
    "boolean": lambda text: (
        text.strip().lower() in {*"10tfyn", "true", "false", "yes", "no", "on", "off"}
    ),
    "integer": _integer(32),
    "bigint": _integer(64),
    "numeric": _NUMBER,
    "double precision": _NUMBER,
    "text": lambda text: True,
    "date": _time(""),
    "timestamp": _time(f"({_CLOCK})?"),
    "timestamptz": _time(f"({_CLOCK}{_OFFSET}?)?"),
    "interval": _matches(f"-?{_SPAN}( {_SPAN})*"),
    "uuid": _matches(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"),
    "jsonb": lambda text: not why_not_json(text),
    "text[]": _matches(r"\{(\w+(,\w+)*)?\}"),
    # Texts that only some operators and functions take.
    "regular expression": _is_regular_expression,
    "LIKE pattern": lambda text: not re.search(r"(?<!\\)(\\\\)*\\$", text),
    "escape character": lambda text: len(text) == 1,
    "time zone": _matches(r"[A-Z][A-Za-z_]+(/[A-Z][A-Za-z_-]+)*"),
    "part of a date": _matches(
        "(?i:day|dow|doy|epoch|hour|isodow|isoyear|minute|month|quarter|second|week|year)"
    ),
}
TEXTS = {"text", "text[]", *list(READERS)[-5:]}

# -- Operators and functions ---------------------------------------------------------------------

# In a signature, each of these stands for its types one after the other. Of the signatures of a
# name, the first one wins that takes the most arguments as they are: thus double precision comes
# before numeric, as PostgreSQL prefers it.
_FAMILIES = {
    "COMPARABLE": tuple(kind for kind in CASTS if kind not in {"geometry", "geography"}),
    "NUMBER": NUMBERS,
    "EXACT": NUMBERS[:3],
    "WHOLE": NUMBERS[:2],
    "REAL": ("double precision", "numeric"),
    "LOCAL": ("date", "timestamp"),
    "STAMP": ("timestamp", "timestamptz"),
    "TIME": ("date", "timestamp", "timestamptz"),
    "SPAN": ("date", "timestamp", "interval"),
    "KEY": ("text", "integer"),
    "SPATIAL": ("geometry", "geography"),
}
_SIGNATURES = """
    boolean, boolean -> boolean: and or
    boolean -> boolean: not
    COMPARABLE, COMPARABLE -> boolean: = < > <= >= <> !=
    date, timestamp -> boolean: = < > <= >= <> !=
    timestamp, date -> boolean: = < > <= >= <> !=

    NUMBER, NUMBER -> NUMBER: + - * /
    NUMBER -> NUMBER: + - abs
    EXACT, EXACT -> EXACT: % mod
    WHOLE, WHOLE -> WHOLE: & | #
    WHOLE, integer -> WHOLE: << >>
    REAL, REAL -> REAL: ^ power
    REAL -> REAL: ceil ceiling floor round trunc sign sqrt ln exp
    numeric, integer -> numeric: round trunc
    double precision -> double precision: degrees radians

    text, text -> text: || btrim ltrim rtrim trim
    text, text -> boolean: ^@ starts_with
    text, text -> integer: strpos
    text, regular expression -> boolean: ~ ~* !~ !~*
    text, LIKE pattern -> boolean: like ilike similar
    text, text, escape character -> boolean: like ilike similar
    text -> text: lower upper initcap btrim ltrim rtrim trim reverse md5
    text -> integer: length char_length character_length octet_length ascii
    text, integer -> text: left right substr substring repeat
    text, integer, integer -> text: substr substring
    text, text, text -> text: replace translate
    text, regular expression, text -> text: regexp_replace
    text, text, integer -> text: split_part
    text, integer, text -> text: lpad rpad

    date, integer -> date: + -
    integer, date -> date: +
    date, date -> integer: -
    date, timestamp -> interval: -
    timestamp, date -> interval: -
    STAMP, STAMP -> interval: - age
    LOCAL, interval -> timestamp: + -
    interval, LOCAL -> timestamp: +
    interval, interval -> interval: + -
    interval -> interval: -
    interval, double precision -> interval: * /
    double precision, interval -> interval: *
    timestamptz, time zone -> timestamp: at
    timestamp, time zone -> timestamptz: at
    part of a date, SPAN -> double precision: extract date_part
    part of a date, timestamp -> timestamp: date_trunc
    TIME -> boolean: isfinite

    jsonb, jsonb -> jsonb: ||
    jsonb, jsonb -> boolean: @> <@
    jsonb, KEY -> jsonb: -> -
    jsonb, KEY -> text: ->>
    jsonb, text[] -> jsonb: #> -
    jsonb, text[] -> text: #>>
    jsonb, text -> boolean: ? jsonb_exists
    jsonb, text[] -> boolean: ?| ?&
    jsonb, text -> jsonb: jsonb_extract_path
    jsonb, text, text -> jsonb: jsonb_extract_path
    jsonb, text -> text: jsonb_extract_path_text
    jsonb, text, text -> text: jsonb_extract_path_text
    jsonb -> text: jsonb_typeof
    jsonb -> integer: jsonb_array_length
    jsonb -> jsonb: jsonb_strip_nulls

    geometry, geometry -> boolean: ~ @ << >> &< &> |>> <<| &<| |&> ~= st_contains st_coveredby
    geometry, geometry -> boolean: st_covers st_crosses st_disjoint st_equals st_intersects
    geometry, geometry -> boolean: st_overlaps st_touches st_within
    geometry -> boolean: st_hasarc st_isclosed st_iscollection st_isempty st_isring st_issimple
    geometry -> boolean: st_isvalid
    geometry -> integer: st_dimension st_npoints st_nrings st_numgeometries st_numpoints st_srid
    geometry -> double precision: st_m st_x st_y st_z st_xmax st_xmin st_ymax st_ymin st_zmax st_zmin
    geometry -> text: geometrytype st_geometrytype
    geometry -> geometry: st_boundary st_centroid st_convexhull st_endpoint st_envelope st_force2d
    geometry -> geometry: st_pointonsurface st_startpoint
    geometry, double precision -> geometry: st_buffer
    geometry, integer -> geometry: st_setsrid
    double precision, double precision -> geometry: st_makepoint st_point
    double precision, double precision, double precision -> geometry: st_makepoint
    double precision, double precision, double precision, double precision, integer -> geometry: st_makeenvelope
    SPATIAL, SPATIAL -> boolean: && = < > <= >=
    SPATIAL, SPATIAL -> double precision: <-> st_distance
    SPATIAL, SPATIAL, double precision -> boolean: st_dwithin
    SPATIAL -> double precision: st_area st_length st_perimeter
"""


def _signatures() -> dict[str, list[tuple[tuple[str, ...], str]]]:
    """For each operator and function the types that it takes, with the type that it gives."""
    known: dict[str, list[tuple[tuple[str, ...], str]]] = {}
    for line in filter(None, map(str.strip, _SIGNATURES.splitlines())):
        types, _, names = line.partition(": ")
        family = next((word for word in re.findall("[A-Z]+", types) if word in _FAMILIES), "")
        for kind in _FAMILIES.get(family, ("",)):
            arguments, _, result = re.sub(rf"\b{family}\b", kind, types).partition(" -> ")
            for name in names.split():
                known.setdefault(name, []).append((tuple(arguments.split(", ")), result))
    return known


SIGNATURES = _signatures()
COMPARISONS = {"=", "<>", "!=", "<", ">", "<=", ">="}
# Functions that convert all their arguments to one type, which is also that of the result.
UNITING = {"coalesce", "greatest", "least", "nullif"}
# What may stand without a column: it cannot fail, or it makes what cannot be written as a literal.
CONSTANT = COMPARISONS | {"and", "or", "not"}
CONSTANT |= {"st_makeenvelope", "st_makepoint", "st_point", "st_setsrid"}

# -- What is refused by name ---------------------------------------------------------------------

_AGGREGATES = """
    count sum avg min max array_agg string_agg bool_and bool_or every json_agg jsonb_agg
    json_object_agg jsonb_object_agg stddev variance corr percentile_cont percentile_disc mode
    st_extent st_3dextent st_collect st_memunion st_memcollect st_union st_asmvt st_asgeobuf
    st_asflatgeobuf st_clusterintersecting st_clusterwithin st_polygonize
"""
_WINDOWS = """
    row_number rank dense_rank percent_rank cume_dist ntile lag lead first_value last_value
    nth_value st_clusterdbscan st_clusterkmeans
"""
_SETS = """
    generate_series unnest regexp_matches regexp_split_to_table string_to_table
    jsonb_array_elements jsonb_array_elements_text jsonb_each jsonb_each_text jsonb_object_keys
    jsonb_path_query json_array_elements generate_subscripts st_dump st_dumppoints st_dumprings
    st_dumpsegments st_subdivide st_squaregrid st_hexagongrid
"""
_CHANGING = """
    current_date current_time current_timestamp localtime localtimestamp current_user session_user
    user current_role current_catalog current_schema now clock_timestamp statement_timestamp
    transaction_timestamp timeofday random setseed gen_random_uuid uuid_generate_v4 to_char to_date
    to_timestamp to_number concat concat_ws format date_trunc date_part extract age current_setting
    set_config nextval currval lastval pg_sleep version txid_current to_tsvector to_json to_jsonb
    row_to_json json_build_object jsonb_build_object make_timestamptz timezone quote_literal
    inet_client_addr
"""
NO_VALUES = {
    **dict.fromkeys(_AGGREGATES.split(), "an aggregate function, which looks at several rows"),
    **dict.fromkeys(_WINDOWS.split(), "a window function, which looks at several rows"),
    **dict.fromkeys(_SETS.split(), "a function that returns a set of rows"),
}
# For some types of their arguments, if they are also among the SIGNATURES.
CHANGING = frozenset(_CHANGING.split())
