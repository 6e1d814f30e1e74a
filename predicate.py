"""What a partial index's condition may be, as far as that can be said without a database.

PostgreSQL takes a boolean expression over the table's own columns in which every function and
operator is immutable: its result may depend on nothing but its arguments, not on the clock, the
time zone or a setting. `findings` reads the text with PostgreSQL's precedence of operators and
follows the types through it. It refuses what it does not know, so that CREATE INDEX takes what it
accepts.
"""

import difflib
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


MAX_LENGTH = 4000
MAX_DEPTH = 40

# Types besides those of columns: a literal in quotes has no type until its place gives it one;
# what a refused part would be is not known, and is not refused again.
LITERAL = "literal"
UNKNOWN = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong: the reason, where it stands, and what to write there, if that is known."""

    reason: str
    start: int = 0
    end: int = 0
    repaired: str | None = None


@dataclass(frozen=True, slots=True)
class Operand:
    """A part of the condition: its type, where it stands, and its value if it is one literal."""

    type: str
    start: int
    end: int
    constant: bool = True
    literal: str | None = None


class _SyntaxError(Exception):
    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.reason)
        self.finding = finding


def findings(text: str, columns: Mapping[str, str]) -> list[Finding]:
    """What keeps CREATE INDEX from taking the text as a condition over columns of these types."""
    if len(text) > MAX_LENGTH:
        return [Finding(f"{len(text)} characters long, at most {MAX_LENGTH} are checked")]
    parser = _Parser(columns)
    try:
        parser.read(text)
    except _SyntaxError as error:
        parser.findings.append(error.finding)
    return parser.findings


def repaired(text: str, columns: Mapping[str, str]) -> str:
    """The text with every finding put right, or "" where that is not known."""
    # What is put right in one place may show what is wrong in another.
    for _ in range(4):
        found = findings(text, columns)
        if not found:
            return text.strip()
        for finding in sorted(found, key=lambda finding: finding.start, reverse=True):
            if finding.repaired is None:
                return ""
            text = text[: finding.start] + finding.repaired + text[finding.end :]
    return ""


# -- Words ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Token:
    """A word of SQL: name, quoted name, string, number, operator, punctuation or the end."""

    kind: str
    text: str
    start: int
    end: int


_PATTERNS = re.compile(
    r"""
    (?P<space>\ +)
    |(?P<comment>--.*|/\*.*)
    |(?P<prefixed>(?:[uU]&|[eEbBxXnN])'.*)
    |(?P<string>'(?:[^']|'')*')
    |(?P<open>'.*)
    |(?P<quoted>"(?:[^"]|"")+")
    |(?P<badquoted>".*)
    |(?P<dollar>\$(?:[A-Za-z_]\w*)?\$.*)
    |(?P<parameter>\$\d+|%\(\w+\)s|%s\b|(?<!:):[A-Za-z_]\w*)
    |(?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
    |(?P<name>[^\W\d][\w$]*)
    |(?P<cast>::)
    |(?P<operator>[-+*/<>=~!@#%^&|`?]+)
    |(?P<punctuation>[()\[\],.])
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_REFUSED_WORDS = {
    "prefixed": "strings with a prefix such as E'…' are not checked here: write plain quotes",
    "open": "a single quote is not closed",
    "badquoted": "a double quote is not closed",
    "dollar": "a string in dollar quotes is not checked here: write single quotes",
    "parameter": "is a placeholder for a parameter, and an index has none: write the value",
}


def tokens(text: str) -> Iterator[Token]:
    """The words of the text."""
    position = 0
    while position < len(text):
        match = _PATTERNS.match(text, position)
        if not match:
            _refuse_character(text, position)
        kind, word = (match.lastgroup or "", match[0]) if match else ("", "")
        if kind == "comment":
            end = text.find("*/", position) + 2 if word.startswith("/*") else len(text)
            comment = Finding(
                "a comment is no part of a condition", position, max(end, position + 2), ""
            )
            raise _SyntaxError(comment)
        if kind in _REFUSED_WORDS:
            shown = f"{word} " if kind == "parameter" else ""
            raise _SyntaxError(Finding(shown + _REFUSED_WORDS[kind], position, len(text)))
        if kind == "operator":
            word = _operator(word)
        end = position + len(word)
        if kind == "number" and re.match(r"\w", text[end : end + 1]):
            raise _SyntaxError(Finding(f"a name begins with a digit: {text[position : end + 8]}"))
        if kind != "space":
            yield Token(kind, word, position, end)
        position = end
    yield Token("end", "", len(text), len(text))


def _refuse_character(text: str, position: int) -> None:
    character = text[position]
    if character == ";":
        # What follows would be another statement.
        raise _SyntaxError(Finding("one condition ends without a ;", position, len(text), ""))
    if not character.isascii():
        raise _SyntaxError(Finding("letters and spaces other than ASCII stand in quotes only"))
    raise _SyntaxError(Finding(f"the character {character!r} has no place in a condition"))


def _operator(run: str) -> str:
    """The first operator of a run of operator characters, as PostgreSQL divides it (4.1.3)."""
    for comment in ("--", "/*"):
        run = run.partition(comment)[0] or run
    if not re.search(r"[~!@#%^&|`?]", run):
        while len(run) > 1 and run[-1] in "+-":
            run = run[:-1]
    return run


# -- Types ---------------------------------------------------------------------------------------

# Each is implicitly converted to those after it.
NUMBERS = ("integer", "bigint", "numeric", "double precision")
COMPARABLE = {
    *NUMBERS,
    *("boolean", "text", "date", "timestamp", "timestamptz", "interval", "uuid", "jsonb"),
    *("geometry", "geography"),
}
TYPE_NAMES = {
    "bool": "boolean",
    "boolean": "boolean",
    "int": "integer",
    "int4": "integer",
    "integer": "integer",
    "int8": "bigint",
    "bigint": "bigint",
    "numeric": "numeric",
    "decimal": "numeric",
    "dec": "numeric",
    "float8": "double precision",
    "float": "double precision",
    "double precision": "double precision",
    "text": "text",
    "varchar": "text",
    "character varying": "text",
    "date": "date",
    "timestamp": "timestamp",
    "timestamp without time zone": "timestamp",
    "timestamptz": "timestamptz",
    "timestamp with time zone": "timestamptz",
    "interval": "interval",
    "uuid": "uuid",
    "jsonb": "jsonb",
    "geometry": "geometry",
    "geography": "geography",
}
# The conversions that do not depend on the session's settings (pg_cast and the types' input and
# output functions); date to text and timestamptz to date, for example, do.
CASTS = {
    "boolean": "integer text",
    "integer": "boolean bigint numeric double_precision text",
    "bigint": "integer numeric double_precision text",
    "numeric": "integer bigint double_precision text",
    "double precision": "integer bigint numeric text",
    "text": "boolean integer bigint numeric double_precision uuid jsonb",
    "date": "timestamp",
    "timestamp": "date",
    "uuid": "text",
    "jsonb": "boolean integer bigint numeric double_precision text",
    "geometry": "text jsonb geography",
    "geography": "text geometry",
    "text[]": "integer[] bigint[] uuid[] numeric[]",
    "integer[]": "text[] bigint[] numeric[]",
    "bigint[]": "text[] integer[] numeric[]",
    "numeric[]": "text[] integer[] bigint[]",
    "uuid[]": "text[]",
}
# What a conversion that depends on the session's time zone is written as instead.
_TIME_TYPES = {"date", "timestamp", "timestamptz"}


def _implicit(source: str, target: str) -> bool:
    """Whether PostgreSQL converts on its own, without a setting having a say."""
    if source in NUMBERS and target in NUMBERS:
        return NUMBERS.index(source) <= NUMBERS.index(target)
    return source == target or (source, target) == ("date", "timestamp")


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,2})?", text) else None


def _integer_fits(text: str, bits: int) -> bool:
    plain = re.fullmatch(r"[+-]?[0-9]{1,19}", text) is not None
    return plain and -(2 ** (bits - 1)) <= int(text) < 2 ** (bits - 1)


def _is_time(text: str, *, clock: str) -> bool:
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}" + clock, text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def why_not_json(text: str) -> str:
    """Why jsonb does not take the text; "" if it does."""
    try:
        value = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    except RecursionError:
        return "is nested too deeply"
    except ValueError:
        return "is no JSON"
    return "has characters that jsonb does not store" * any(map(_is_unstorable, _strings(value)))


def _refuse_constant(name: str) -> float:
    raise ValueError(name)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _strings(value: object) -> Iterator[str]:
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, str):
            yield part
        elif isinstance(part, dict):
            waiting += [*part, *part.values()]
        elif isinstance(part, list):
            waiting += part


def _is_unstorable(text: str) -> bool:
    return any(c == "\0" or "\ud800" <= c <= "\udfff" for c in text)


_OFFSET = r"(Z|[+-](0[0-9]|1[0-5])(:[0-5][0-9])?)"
_CLOCK = r"([ T][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?)"
_UNITS = r"(second|minute|hour|day|week|month|year)s?"
_READERS: dict[str, Callable[[str], bool]] = {
    "boolean": lambda text: (
        text.strip().lower() in {"true", "false", "yes", "no", "on", "off", "1", "0"}
    ),
    "integer": lambda text: _integer_fits(text, 32),
    "bigint": lambda text: _integer_fits(text, 64),
    "numeric": lambda text: _number(text) is not None,
    "double precision": lambda text: _number(text) is not None,
    "text": lambda text: True,
    "date": lambda text: _is_time(text, clock=""),
    "timestamp": lambda text: _is_time(text, clock=f"{_CLOCK}?"),
    "timestamptz": lambda text: _is_time(text, clock=f"({_CLOCK}{_OFFSET}?)?"),
    "interval": lambda text: bool(
        re.fullmatch(rf"-?[0-9]{{1,6}} {_UNITS}( [0-9]{{1,6}} {_UNITS})*", text)
    ),
    "uuid": lambda text: bool(
        re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text)
    ),
    "jsonb": lambda text: not why_not_json(text),
    "text[]": lambda text: bool(re.fullmatch(r"\{\w+(,\w+)*\}", text)),
}

# -- Operators and functions ---------------------------------------------------------------------

COMPARISONS = {"=", "<>", "!=", "<", ">", "<=", ">="}
_TIME_ARITHMETIC = {
    ("+", "date", "integer"): "date",
    ("+", "integer", "date"): "date",
    ("-", "date", "integer"): "date",
    ("-", "date", "date"): "integer",
    ("-", "date", "timestamp"): "interval",
    ("-", "timestamp", "date"): "interval",
    ("-", "timestamp", "timestamp"): "interval",
    ("-", "timestamptz", "timestamptz"): "interval",
    ("+", "interval", "interval"): "interval",
    ("-", "interval", "interval"): "interval",
    **{("+", time, "interval"): "timestamp" for time in ("date", "timestamp")},
    **{("-", time, "interval"): "timestamp" for time in ("date", "timestamp")},
    **{("+", "interval", time): "timestamp" for time in ("date", "timestamp")},
    **{("*", "interval", number): "interval" for number in NUMBERS},
    **{("*", number, "interval"): "interval" for number in NUMBERS},
    **{("/", "interval", number): "interval" for number in NUMBERS},
}
_OTHER_OPERATORS = {
    **{(operator, "text", "text"): "boolean" for operator in ("~", "~*", "!~", "!~*", "^@")},
    ("||", "text", "text"): "text",
    ("||", "jsonb", "jsonb"): "jsonb",
    ("->", "jsonb", "text"): "jsonb",
    ("->", "jsonb", "integer"): "jsonb",
    ("->>", "jsonb", "text"): "text",
    ("->>", "jsonb", "integer"): "text",
    ("#>", "jsonb", "text[]"): "jsonb",
    ("#>>", "jsonb", "text[]"): "text",
    ("?", "jsonb", "text"): "boolean",
    ("?|", "jsonb", "text[]"): "boolean",
    ("?&", "jsonb", "text[]"): "boolean",
    ("@>", "jsonb", "jsonb"): "boolean",
    ("<@", "jsonb", "jsonb"): "boolean",
    ("-", "jsonb", "integer"): "jsonb",
    ("-", "jsonb", "text[]"): "jsonb",
    ("<->", "geometry", "geometry"): "double precision",
    ("<->", "geography", "geography"): "double precision",
    ("&&", "geography", "geography"): "boolean",
    **{
        (operator, "geometry", "geometry"): "boolean"
        for operator in _words("&& ~ @ << >> &< &> |>> <<| &<| |&> ~=")
    },
}
# The operand that a literal in quotes is read as, where it is not that of the other side.
_LITERAL_OPERANDS = {
    **{(operator, "jsonb"): "text" for operator in ("->", "->>", "?")},
    **{(operator, "jsonb"): "text[]" for operator in ("#>", "#>>", "?|", "?&")},
}
OPERATORS = COMPARISONS | {operator for operator, _, _ in (*_TIME_ARITHMETIC, *_OTHER_OPERATORS)}
OPERATORS |= {"+", "-", "*", "/", "%", "^", "&", "|", "#", "<<", ">>"}


def operator_result(operator: str, left: str, right: str) -> str | None:
    """The type that an immutable operator gives for these types; None where there is none."""
    if left in NUMBERS and right in NUMBERS:
        return _numeric_result(operator, left, right)
    if left.endswith("[]") and left == right and operator in COMPARISONS | {"@>", "<@", "&&", "||"}:
        # An array of varchar columns is no text[], and PostgreSQL does not compare the two.
        if left == "text[]":
            return None
        return left if operator == "||" else "boolean"
    if operator in COMPARISONS:
        # PostGIS has no <> for its types.
        unequal = operator in {"<>", "!="} and left in {"geometry", "geography"}
        same = left == right and left in COMPARABLE and not unequal
        return "boolean" if same or {left, right} == {"date", "timestamp"} else None
    key = (operator, left, right)
    return _TIME_ARITHMETIC.get(key) or _OTHER_OPERATORS.get(key)


def _numeric_result(operator: str, left: str, right: str) -> str | None:
    wider = max(left, right, key=NUMBERS.index)
    whole = wider in {"integer", "bigint"}
    if operator in COMPARISONS:
        return "boolean"
    if operator in {"+", "-", "*", "/"} or (operator == "%" and wider != "double precision"):
        return wider
    if operator == "^":
        return wider if wider == "numeric" else "double precision"
    if operator in {"&", "|", "#"} and whole:
        return wider
    return left if operator in {"<<", ">>"} and whole and right == "integer" else None


def _signatures(text: str) -> dict[str, list[tuple[tuple[str, ...], str]]]:
    """Functions by name, from lines `name(type, …) result`."""
    known: dict[str, list[tuple[tuple[str, ...], str]]] = {}
    for name, arguments, result in re.findall(
        r"(\w+)\((.*?)\) (\S+)", text.replace("float8", "double_precision")
    ):
        types = tuple(part.strip().replace("_", " ") for part in arguments.split(",") if part)
        known.setdefault(name, []).append((types, result.replace("_", " ")))
    return known


# Functions that pg_proc of PostgreSQL 13 and later, and of PostGIS 3.1 and later, calls immutable.
FUNCTIONS = _signatures("""
    abs(integer) integer  abs(bigint) bigint  abs(numeric) numeric  abs(float8) float8
    ceil(numeric) numeric  ceil(float8) float8  ceiling(numeric) numeric  ceiling(float8) float8
    floor(numeric) numeric  floor(float8) float8  round(numeric) numeric  round(float8) float8
    round(numeric, integer) numeric  trunc(numeric) numeric  trunc(float8) float8
    trunc(numeric, integer) numeric  sign(numeric) numeric  sign(float8) float8
    mod(integer, integer) integer  mod(bigint, bigint) bigint  mod(numeric, numeric) numeric
    sqrt(numeric) numeric  sqrt(float8) float8  power(numeric, numeric) numeric
    power(float8, float8) float8  ln(numeric) numeric  ln(float8) float8  exp(numeric) numeric
    exp(float8) float8  degrees(float8) float8  radians(float8) float8

    lower(text) text  upper(text) text  initcap(text) text  length(text) integer
    char_length(text) integer  character_length(text) integer  octet_length(text) integer
    btrim(text) text  btrim(text, text) text  ltrim(text) text  ltrim(text, text) text
    rtrim(text) text  rtrim(text, text) text  trim(text) text  trim(text, text) text
    left(text, integer) text  right(text, integer) text  substr(text, integer) text
    substr(text, integer, integer) text  substring(text, integer) text
    substring(text, integer, integer) text  strpos(text, text) integer
    starts_with(text, text) boolean  replace(text, text, text) text
    translate(text, text, text) text  reverse(text) text  md5(text) text  ascii(text) integer
    split_part(text, text, integer) text  lpad(text, integer, text) text
    rpad(text, integer, text) text  repeat(text, integer) text
    regexp_replace(text, text, text) text

    date_part(text, date) float8  date_part(text, timestamp) float8
    date_part(text, interval) float8  date_trunc(text, timestamp) timestamp
    isfinite(date) boolean  isfinite(timestamp) boolean  isfinite(timestamptz) boolean
    age(timestamptz, timestamptz) interval  age(timestamp, timestamp) interval

    jsonb_typeof(jsonb) text  jsonb_array_length(jsonb) integer  jsonb_strip_nulls(jsonb) jsonb
    jsonb_exists(jsonb, text) boolean  jsonb_extract_path(jsonb, text) jsonb
    jsonb_extract_path_text(jsonb, text) text  jsonb_extract_path(jsonb, text, text) jsonb
    jsonb_extract_path_text(jsonb, text, text) text

    geometrytype(geometry) text  st_area(geometry) float8  st_boundary(geometry) geometry
    st_buffer(geometry, float8) geometry  st_centroid(geometry) geometry
    st_contains(geometry, geometry) boolean
    st_coveredby(geometry, geometry) boolean  st_covers(geometry, geometry) boolean
    st_convexhull(geometry) geometry  st_crosses(geometry, geometry) boolean
    st_dimension(geometry) integer  st_disjoint(geometry, geometry) boolean
    st_distance(geometry, geometry) float8  st_dwithin(geometry, geometry, float8) boolean
    st_endpoint(geometry) geometry  st_envelope(geometry) geometry
    st_equals(geometry, geometry) boolean  st_force2d(geometry) geometry
    st_geometrytype(geometry) text  st_hasarc(geometry) boolean
    st_intersects(geometry, geometry) boolean  st_isclosed(geometry) boolean
    st_iscollection(geometry) boolean  st_isempty(geometry) boolean  st_isring(geometry) boolean
    st_issimple(geometry) boolean  st_isvalid(geometry) boolean  st_length(geometry) float8
    st_m(geometry) float8  st_makeenvelope(float8, float8, float8, float8, integer) geometry
    st_makepoint(float8, float8) geometry  st_makepoint(float8, float8, float8) geometry
    st_npoints(geometry) integer  st_nrings(geometry) integer
    st_numgeometries(geometry) integer  st_numpoints(geometry) integer
    st_overlaps(geometry, geometry) boolean  st_perimeter(geometry) float8
    st_point(float8, float8) geometry  st_pointonsurface(geometry) geometry
    st_setsrid(geometry, integer) geometry  st_srid(geometry) integer
    st_startpoint(geometry) geometry  st_touches(geometry, geometry) boolean
    st_within(geometry, geometry) boolean  st_x(geometry) float8  st_xmax(geometry) float8
    st_xmin(geometry) float8  st_y(geometry) float8  st_ymax(geometry) float8
    st_ymin(geometry) float8  st_z(geometry) float8  st_zmax(geometry) float8
    st_zmin(geometry) float8
    st_distance(geography, geography) float8  st_dwithin(geography, geography, float8) boolean
""")
# Functions whose arguments are to be of one type, which is their result.
UNITING = {"coalesce", "greatest", "least", "nullif"}
# The only ones that may stand without a column: they make what cannot be written as a literal.
CONSTRUCTORS = {"st_makeenvelope", "st_makepoint", "st_point", "st_setsrid"}

_CLOCK_WORDS = {
    *("current_date", "current_time", "current_timestamp", "localtime", "localtimestamp"),
    *("current_user", "session_user", "user", "current_role", "current_catalog", "current_schema"),
}
NOT_IMMUTABLE = _CLOCK_WORDS | _words("""
    now clock_timestamp statement_timestamp transaction_timestamp timeofday random setseed
    gen_random_uuid uuid_generate_v4 to_char to_date to_timestamp to_number concat concat_ws format
    date_trunc date_part extract age current_setting set_config nextval currval lastval pg_sleep
    version txid_current to_tsvector to_json to_jsonb row_to_json json_build_object
    jsonb_build_object make_timestamptz timezone quote_literal inet_client_addr
    """)
AGGREGATES = _words("""
    count sum avg min max array_agg string_agg bool_and bool_or every json_agg jsonb_agg
    json_object_agg jsonb_object_agg stddev variance corr percentile_cont percentile_disc mode
    st_extent st_3dextent st_collect st_memunion st_memcollect st_asmvt st_asgeobuf
    st_asflatgeobuf st_clusterintersecting st_clusterwithin st_polygonize
    """)
WINDOWS = _words("""
    row_number rank dense_rank percent_rank cume_dist ntile lag lead first_value last_value
    nth_value st_clusterdbscan st_clusterkmeans
    """)
SETS = _words("""
    generate_series unnest regexp_matches regexp_split_to_table string_to_table
    jsonb_array_elements jsonb_array_elements_text jsonb_each jsonb_each_text jsonb_object_keys
    jsonb_path_query json_array_elements generate_subscripts st_dump st_dumppoints st_dumprings
    st_dumpsegments st_subdivide st_squaregrid st_hexagongrid
    """)
_SYSTEM_COLUMNS = {"ctid", "oid", "tableoid", "xmin", "xmax", "cmin", "cmax"}
_RESERVED = _words("""
    all and any array as asc between both case cast check collate column constraint create default
    desc distinct do else end except exists from grant group having ilike in intersect into is
    isnull join leading like limit not notnull null offset on only or order placing primary
    references returning select similar some symmetric table then to trailing true false union
    unique using when where window with
    """) - {"between", "exists"}


# -- The condition -------------------------------------------------------------------------------

NULL = "NULL"
# How tightly operators bind, the loosest first (PostgreSQL's documentation, 4.1.6).
OR, AND, NOT, IS, COMPARISON, MEMBERSHIP, OTHER, SUM, PRODUCT, POWER, AT, SIGN, CAST = range(1, 14)
_NOT_ASSOCIATIVE = {IS, COMPARISON, MEMBERSHIP}
_MEMBERSHIP = {"in", "between", "like", "ilike", "similar"}
_OPERATOR_POWERS = {
    **dict.fromkeys(COMPARISONS, COMPARISON),
    **dict.fromkeys("+-", SUM),
    **dict.fromkeys("*/%", PRODUCT),
    "^": POWER,
}


class _Parser:
    """Reads a condition once, from left to right, and follows the types of its parts."""

    def __init__(self, columns: Mapping[str, str]) -> None:
        self.columns = columns
        self.findings: list[Finding] = []
        self.depth = 0

    def read(self, text: str) -> None:
        self.text = text
        self.tokens = list(tokens(text))
        self.position = 0
        condition = self.expression()
        if self.next.kind != "end":
            self.fail(f"'{self.next.text}' is not expected there")
        if condition.constant and condition.type != UNKNOWN:
            self.find("says the same of every row: leave it empty for an index of all rows")
        elif condition.type not in {"boolean", UNKNOWN}:
            whole = Operand(condition.type, 0, len(text))
            self.note(f"is of type {condition.type}, not a condition", whole, f"{text} IS NOT NULL")

    # Words

    @property
    def next(self) -> Token:
        return self.tokens[self.position]

    def peek(self, ahead: int = 1) -> Token:
        return self.tokens[min(self.position + ahead, len(self.tokens) - 1)]

    def advance(self) -> Token:
        token = self.next
        self.position += token.kind != "end"
        return token

    def word(self, ahead: int = 0) -> str:
        """The next name in lower case, as keywords are compared; "" if it is none."""
        token = self.peek(ahead)
        return token.text.lower() if token.kind == "name" else ""

    def accept(self, *words: str) -> bool:
        """Takes the words if they come next: keywords in lower case, or punctuation."""
        for ahead, word in enumerate(words):
            token = self.peek(ahead)
            if (token.text.lower() if token.kind == "name" else token.text) != word:
                return False
            if token.kind not in {"name", "punctuation", "operator", "cast"}:
                return False
        self.position += len(words)
        return True

    def expect(self, *words: str) -> None:
        if not self.accept(*words):
            found = f"'{self.next.text}'" if self.next.text else "the end"
            self.fail(f"{' '.join(words).upper()} is expected instead of {found}")

    # Findings

    def fail(self, reason: str) -> None:
        raise _SyntaxError(Finding(reason, self.next.start, self.next.end))

    def find(self, reason: str) -> None:
        self.findings.append(Finding(reason))

    def note(self, reason: str, place: Operand, repaired: str | None = None) -> Operand:
        """Notes what is wrong with a part, which is of no known type from then on."""
        self.findings.append(Finding(reason, place.start, place.end, repaired))
        return Operand(UNKNOWN, place.start, place.end, constant=False)

    def written(self, operand: Operand) -> str:
        text = self.text[operand.start : operand.end]
        return text if len(text) <= 40 else text[:39] + "…"

    # Expressions

    def expression(self, power: int = 0) -> Operand:
        """Reads what binds more tightly than the power."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.fail(f"nested more than {MAX_DEPTH} levels deep")
        left, before = self.operand(), 0
        while (binding := self.binding()) > power:
            if binding == before and binding in _NOT_ASSOCIATIVE:
                self.fail(f"'{self.next.text}' after another comparison needs parentheses")
            left, before = self.combine(left, binding), binding
        self.depth -= 1
        return left

    def binding(self) -> int:
        """How tightly the next word binds what stands before it; 0 if it does not."""
        token, word = self.next, self.word()
        if token.kind == "operator":
            return _OPERATOR_POWERS.get(token.text, OTHER)
        if token.kind == "cast":
            return CAST
        if word == "not":
            return MEMBERSHIP if self.word(1) in _MEMBERSHIP else 0
        if word in _MEMBERSHIP:
            return MEMBERSHIP
        return {"or": OR, "and": AND, "is": IS, "isnull": IS, "notnull": IS, "at": AT}.get(word, 0)

    def combine(self, left: Operand, binding: int) -> Operand:
        """Reads an operator and what follows it."""
        if binding in {OR, AND}:
            name = self.advance().text.upper()
            return self.logical(name, left, self.expression(binding))
        if binding == IS:
            return self.test(left)
        if binding == MEMBERSHIP:
            return self.membership(left)
        if binding == CAST:
            self.advance()
            return self.cast(left, self.type_name())
        if binding == AT:
            return self.at_time_zone(left)
        operator = self.advance().text
        if self.word() in {"any", "some", "all"} and self.peek().text == "(":
            return self.array_comparison(operator, left)
        return self.operation(operator, left, self.expression(binding))

    def operand(self) -> Operand:
        """Reads what can stand before or after an operator."""
        token, word = self.next, self.word()
        if token.kind == "operator":
            return self.signed()
        if token.text == "(" and token.kind == "punctuation":
            return self.parenthesised()
        if token.kind == "number":
            return self.number()
        if token.kind == "string":
            self.advance()
            return Operand(LITERAL, token.start, token.end, literal=_content(token.text))
        if token.kind == "quoted":
            return self.column()
        if token.kind != "name":
            self.fail(
                "something is missing"
                if token.kind == "end"
                else f"'{token.text}' is not expected there"
            )
        special = {
            "not": self.negation,
            "case": self.case,
            "true": self.constant,
            "false": self.constant,
            "null": self.constant,
            "array": self.array,
        }.get(word)
        if special:
            return special()
        query = word in {"select", "with", "values", "exists"}
        if query and (word not in self.columns or self.peek().text == "("):
            self.fail("a subquery cannot stand in an index's condition")
        if word == "cast" and self.peek().text == "(":
            return self.written_cast()
        if (typed := self.typed_literal()) is not None:
            return typed
        if self.peek().text == "(":
            return self.call()
        return self.column()

    def parenthesised(self) -> Operand:
        start = self.advance().start
        inner = self.expression()
        if self.next.text == ",":
            self.fail("comparisons of rows are not checked here: compare column by column")
        if self.next.kind == "end":
            self.fail("a parenthesis is not closed")
        self.expect(")")
        if self.next.text in {"[", "."}:
            self.fail("parts of an array or a row are not checked here")
        return self.at(inner, start)

    def at(self, operand: Operand, start: int) -> Operand:
        """The operand, from the start to the last word read."""
        end = self.tokens[self.position - 1].end
        return Operand(operand.type, start, end, operand.constant, operand.literal)

    def result(self, kind: str, parts: Iterable[Operand], start: int) -> Operand:
        constant = all(part.constant for part in parts)
        return self.at(Operand(kind, 0, 0, constant), start)

    def number(self) -> Operand:
        token = self.advance()
        exponent = re.search(r"[eE][+-]?(\d+)$", token.text)
        if len(token.text) > 60 or (exponent and int(exponent[1]) > 99):
            self.fail("a number of at most 60 characters, below 1e100, is expected")
        kind = "numeric"
        if token.text.isdigit():
            value = int(token.text)
            kind = "integer" if value < 2**31 else "bigint" if value < 2**63 else "numeric"
        return Operand(kind, token.start, token.end, literal=token.text)

    def constant(self) -> Operand:
        token = self.advance()
        kind = NULL if token.text.lower() == "null" else "boolean"
        return Operand(kind, token.start, token.end)

    def signed(self) -> Operand:
        token = self.advance()
        if token.text not in {"-", "+"}:
            self.position -= 1
            placeholder = _REFUSED_WORDS["parameter"] if token.text == "?" else ""
            self.fail(f"'{token.text}' {placeholder or 'is not expected there'}")
        operand = self.expression(SIGN)
        if operand.type in {*NUMBERS, UNKNOWN} or (
            operand.type == "interval" and token.text == "-"
        ):
            return self.at(operand, token.start)
        return self.note(f"there is no sign for {operand.type}", self.at(operand, token.start))

    def negation(self) -> Operand:
        start = self.advance().start
        operand = self.expression(NOT)
        self.require(operand, "boolean", "after NOT")
        return self.result("boolean", [operand], start)

    def column(self) -> Operand:
        token = self.advance()
        quoted = token.kind == "quoted"
        name = token.text[1:-1].replace('""', '"') if quoted else token.text.lower()
        place = Operand(UNKNOWN, token.start, token.end)
        if self.next.text == "." and self.peek().kind in {"name", "quoted"}:
            self.advance()
            last = self.column()
            table = Operand(UNKNOWN, token.start, last.start)
            return self.note(
                "columns stand without the table's name: an index has one table", table, ""
            )
        if name in self.columns and (quoted or name not in _RESERVED):
            if self.next.text == "[":
                self.fail("parts of an array are not checked here")
            return Operand(self.columns[name], token.start, token.end, constant=False)
        return self.unknown_name(name, place)

    def unknown_name(self, name: str, place: Operand) -> Operand:
        if name in _CLOCK_WORDS:
            return self.note(f"{name} is not immutable: it changes, and the index does not", place)
        if name in _SYSTEM_COLUMNS:
            return self.note(f"{name} is a system column of PostgreSQL", place)
        if name in _RESERVED:
            self.position -= 1
            self.fail(f"'{name}' is not expected there")
        nearest = difflib.get_close_matches(name[:63], self.columns, 1)
        return self.note(f"the table has no column '{name}'", place, *nearest)

    # Types

    def type_name(self) -> str:
        """Reads the name of a type, with what it is limited to."""
        start = self.next.start
        words = self.word()
        if self.next.kind != "name":
            self.fail("the name of a type is expected")
        self.advance()
        if words == "double" and self.accept("precision"):
            words = "double precision"
        if words == "character" and self.accept("varying"):
            words = "character varying"
        limits = self.limits(words)
        if words == "timestamp":
            for zone in ("with", "without"):
                if self.accept(zone, "time", "zone"):
                    words = f"timestamp {zone} time zone"
        kind = TYPE_NAMES.get(words)
        if kind is None:
            place = self.at(Operand(UNKNOWN, 0, 0), start)
            self.note(f"the type '{words}' is not known to the check", place)
            kind = UNKNOWN
        if self.accept("[", "]"):
            if limits:
                self.fail("limits of an array's elements are not checked here")
            return f"{kind}[]" if kind else UNKNOWN
        return kind

    def limits(self, type_name: str) -> list[int]:
        if self.next.text != "(" or type_name not in {
            "numeric",
            "decimal",
            "varchar",
            "character varying",
        }:
            return []
        self.advance()
        numbers = [self.limit()]
        while self.accept(","):
            numbers.append(self.limit())
        self.expect(")")
        text = type_name in {"varchar", "character varying"}
        fits = (
            len(numbers) == 1 and 1 <= numbers[0] <= 10_485_760
            if text
            else (len(numbers) <= 2 and 1 <= numbers[0] <= 1000 and 0 <= numbers[-1] <= 1000)
        )
        if not fits:
            self.fail(f"the limits of {type_name} are out of range")
        return numbers

    def limit(self) -> int:
        token = self.advance()
        return (
            int(token.text)
            if token.kind == "number" and re.fullmatch("[0-9]{1,9}", token.text)
            else -1
        )

    def typed_literal(self) -> Operand | None:
        """A literal that begins with its type: DATE '2020-01-31'."""
        words = self.word()
        ahead = 1
        if words == "double" and self.word(1) == "precision":
            ahead = 2
        if words == "timestamp" and self.word(1) in {"with", "without"}:
            ahead = 4
        if self.peek(ahead).kind != "string":
            return None
        start = self.next.start
        kind = self.type_name()
        token = self.advance()
        value = Operand(LITERAL, token.start, token.end, literal=_content(token.text))
        if self.require(value, kind, "as the type says"):
            return self.at(Operand(kind, 0, 0), start)
        return self.at(Operand(UNKNOWN, 0, 0), start)

    def written_cast(self) -> Operand:
        start = self.advance().start
        self.expect("(")
        operand = self.expression()
        self.expect("as")
        kind = self.type_name()
        self.expect(")")
        return self.at(self.cast(operand, kind), start)

    def cast(self, operand: Operand, kind: str) -> Operand:
        place = self.at(operand, operand.start)
        if UNKNOWN in {operand.type, kind}:
            return Operand(UNKNOWN, place.start, place.end, operand.constant)
        if operand.type in {LITERAL, NULL}:
            self.require(operand, kind, "as the type says")
        elif operand.constant and operand.type != kind and not operand.type.endswith("[]"):
            return self.note("a conversion of a constant: write the value in the other type", place)
        elif (
            operand.type != kind
            and kind.replace(" ", "_") not in CASTS.get(operand.type, "").split()
        ):
            return self.note(self.cast_reason(operand.type, kind), place)
        return Operand(kind, place.start, place.end, operand.constant)

    def cast_reason(self, source: str, target: str) -> str:
        if not {source, target} <= {*_TIME_TYPES, "interval", "text"}:
            return f"no conversion from {source} to {target} is known to the check"
        advice = ": AT TIME ZONE 'UTC' before it says which" * (source == "timestamptz")
        return (
            f"{source} to {target} is not immutable, it depends on the session's time zone or"
            f" style{advice}"
        )

    def require(self, operand: Operand, kind: str, where: str) -> bool:
        """Whether the operand can stand for the type; notes it if it cannot."""
        if UNKNOWN in {operand.type, kind} or operand.type == NULL or _implicit(operand.type, kind):
            return True
        written = self.written(operand)
        if operand.type != LITERAL or operand.literal is None:
            self.note(f"{written} is of type {operand.type}, {where} stands {kind}", operand)
            return False
        reader = _READERS.get(kind)
        if reader and reader(operand.literal):
            return True
        reason = (
            f"{written} cannot be read as {kind}"
            if reader
            else f"{written} as {kind} is not checked here"
        )
        if operand.literal.strip().lower() in {"now", "today", "tomorrow", "yesterday"}:
            reason = f"{written} would stay at the moment in which the index is made"
        self.note(reason, operand)
        return False

    def unite(self, operands: list[Operand], where: str) -> str:
        """The type that all the operands are converted to."""
        kinds = {operand.type for operand in operands} - {LITERAL, NULL}
        if UNKNOWN in kinds:
            return UNKNOWN
        if not kinds:
            return "text"
        if kinds <= set(NUMBERS):
            kind = max(kinds, key=NUMBERS.index)
        elif kinds == {"date", "timestamp"}:
            kind = "timestamp"
        elif len(kinds) == 1:
            (kind,) = kinds
        else:
            self.note(f"{' and '.join(sorted(kinds))} do not go together {where}", operands[0])
            return UNKNOWN
        fits = [self.require(operand, kind, where) for operand in operands]
        return kind if all(fits) else UNKNOWN

    # Operators

    def logical(self, name: str, left: Operand, right: Operand) -> Operand:
        for side in (left, right):
            self.require(side, "boolean", f"beside {name}")
        return self.result("boolean", [left, right], left.start)

    def operation(self, operator: str, left: Operand, right: Operand) -> Operand:
        place = self.result(UNKNOWN, [left, right], left.start)
        if operator not in OPERATORS:
            return self.note(f"the operator {operator} is not known to the check", place)
        comparison = operator in COMPARISONS
        if UNKNOWN in {left.type, right.type}:
            return self.result("boolean" if comparison else UNKNOWN, [left, right], left.start)
        if NULL in {left.type, right.type}:
            return self.null_comparison(operator, left, right)
        if left.constant and right.constant and not comparison:
            return self.note(f"{self.written(place)} is constant: write its value", place)
        kinds = self.operand_types(operator, left, right)
        if kinds is None:
            return place
        result = operator_result(operator, *kinds)
        if result is None:
            return self.mismatch(operator, left, right)
        if operator in {"/", "%"} and right.literal and not float(right.literal):
            return self.note("divides by zero", place)
        if operator in {"~", "~*", "!~", "!~*"}:
            self.check_pattern(right)
        return self.result(result, [left, right], left.start)

    def operand_types(self, operator: str, left: Operand, right: Operand) -> tuple[str, str] | None:
        """The types with literals read as what the other side makes of them; None if they can't."""
        if left.type == right.type == LITERAL:
            return "text", "text"
        if left.type == LITERAL:
            return (right.type, right.type) if self.require(left, right.type, "beside it") else None
        if right.type == LITERAL:
            kind = _LITERAL_OPERANDS.get((operator, left.type), left.type)
            return (left.type, kind) if self.require(right, kind, "beside it") else None
        return left.type, right.type

    def null_comparison(self, operator: str, left: Operand, right: Operand) -> Operand:
        place = self.result(UNKNOWN, [left, right], left.start)
        test = {"=": "IS NULL", "<>": "IS NOT NULL", "!=": "IS NOT NULL"}.get(operator)
        fixed = (
            f"{self.text[left.start : left.end]} {test}" if test and right.type == NULL else None
        )
        return self.note(
            "nothing is ever equal to NULL: write IS NULL or IS NOT NULL", place, fixed
        )

    def mismatch(self, operator: str, left: Operand, right: Operand) -> Operand:
        place = self.result(UNKNOWN, [left, right], left.start)
        kinds = {left.type, right.type}
        if kinds & _TIME_TYPES and kinds <= {*_TIME_TYPES, "interval"}:
            return self.note(
                f"{left.type} {operator} {right.type} is not immutable: it depends on the session's"
                " time zone",
                place,
            )
        for one, other in ((left, right), (right, left)):
            if one.literal is None:
                continue
            if other.type == "text":
                reason = (
                    f"{self.written(other)} is text, {one.literal} a number: quotes are missing"
                )
                return self.note(reason, one, f"'{one.literal}'")
            if other.type == "boolean" and one.literal in {"0", "1"}:
                truth = "true" if one.literal == "1" else "false"
                return self.note(
                    f"{self.written(other)} is true or false, not a number", one, truth
                )
        reason = f"there is no immutable operator {left.type} {operator} {right.type}"
        return self.note(reason, place)

    def check_pattern(self, operand: Operand) -> None:
        """A pattern that PostgreSQL cannot read would let every INSERT fail."""
        pattern = re.sub(r"\\[mMyYAZ]|\[\[?:\w+:\]?\]", "x", operand.literal or "")
        try:
            re.compile(pattern)
        except re.error:
            self.note(f"{self.written(operand)} is no regular expression", operand)

    def array_comparison(self, operator: str, left: Operand) -> Operand:
        self.advance()
        self.expect("(")
        if self.word() in {"select", "with", "values"}:
            self.fail("a subquery cannot stand in an index's condition")
        right = self.expression()
        self.expect(")")
        place = self.result("boolean", [left, right], left.start)
        if UNKNOWN in {left.type, right.type}:
            return place
        element = right.type.removesuffix("[]")
        if element == right.type:
            return self.note("an array is expected: ARRAY['a', 'b']", place)
        if left.type == LITERAL and not self.require(left, element, "beside it"):
            return place
        kind = element if left.type == LITERAL else left.type
        if (
            operator not in COMPARISONS
            or kind == NULL
            or not operator_result(operator, kind, element)
        ):
            return self.note(f"there is no operator {kind} {operator} {element}", place)
        return place

    def test(self, left: Operand) -> Operand:
        """IS [NOT] NULL, TRUE, FALSE, UNKNOWN, DISTINCT FROM; ISNULL, NOTNULL."""
        word = self.word()
        self.advance()
        if word == "is":
            self.accept("not")
            if self.accept("distinct", "from"):
                right = self.expression(IS)
                if NULL not in {left.type, right.type}:
                    self.operation("=", left, right)
                return self.result("boolean", [left, right], left.start)
            if self.word() in {"true", "false", "unknown"}:
                self.require(left, "boolean", "before IS " + self.word().upper())
            elif self.word() != "null":
                self.fail("NULL, TRUE, FALSE, UNKNOWN or DISTINCT FROM is expected after IS")
            self.advance()
        return self.result("boolean", [left], left.start)

    def membership(self, left: Operand) -> Operand:
        """[NOT] IN, BETWEEN, LIKE, ILIKE and SIMILAR TO."""
        negated = self.accept("not")
        word = self.word()
        self.advance()
        if word == "in":
            return self.member(left, "<>" if negated else "=")
        if word == "between":
            return self.between(left)
        if word == "similar":
            self.expect("to")
        return self.like(left)

    def member(self, left: Operand, operator: str) -> Operand:
        self.expect("(")
        if self.word() in {"select", "with", "values"}:
            self.fail("a subquery cannot stand in an index's condition")
        members = [self.expression()]
        while self.accept(","):
            members.append(self.expression())
        self.expect(")")
        if left.type == LITERAL:
            return self.note("a column stands before IN, and values in it", left)
        for member in members:
            if NULL in {left.type, member.type}:
                self.note("NULL is in no list: write IS NULL beside it", member)
            else:
                self.operation(operator, left, member)
        return self.result("boolean", [left, *members], left.start)

    def between(self, left: Operand) -> Operand:
        self.accept("symmetric") or self.accept("asymmetric")
        if self.word() == "not":
            self.fail("NOT after BETWEEN needs parentheses")
        low = self.expression(MEMBERSHIP)
        self.expect("and")
        high = self.expression(MEMBERSHIP)
        for limit in (low, high):
            self.operation(">=", left, limit)
        return self.result("boolean", [left, low, high], left.start)

    def like(self, left: Operand) -> Operand:
        pattern = self.expression(MEMBERSHIP)
        parts = [left, pattern]
        if self.accept("escape"):
            parts.append(self.expression(MEMBERSHIP))
            if parts[-1].literal is None or len(parts[-1].literal) != 1:
                self.note("ESCAPE takes one character in quotes", parts[-1])
        elif re.search(r"(?<!\\)(\\\\)*\\$", pattern.literal or ""):
            self.note("the pattern ends in an escape character", pattern)
        for part in parts:
            if part.type != NULL:
                self.require(part, "text", "beside LIKE")
        return self.result("boolean", parts, left.start)

    def at_time_zone(self, left: Operand) -> Operand:
        self.expect("at", "time", "zone")
        zone = self.expression(AT)
        place = self.result(UNKNOWN, [left, zone], left.start)
        if (
            not re.fullmatch(r"[A-Z][A-Za-z_]+(/[A-Z][A-Za-z_-]+)*", zone.literal or "")
            or zone.type != LITERAL
        ):
            return self.note(
                "AT TIME ZONE takes the name of a zone in quotes, such as 'UTC'", place
            )
        result = {"timestamptz": "timestamp", "timestamp": "timestamptz", UNKNOWN: UNKNOWN}.get(
            left.type
        )
        if result is None or left.constant:
            return self.note("AT TIME ZONE stands behind a column with a time", place)
        return self.result(result, [left], left.start)

    # What looks like a function

    def call(self) -> Operand:
        token = self.advance()
        name = token.text.lower()
        self.expect("(")
        if name == "extract":
            return self.extract(token)
        if self.word() in {"distinct", "all", "variadic"} or self.next.text == "*":
            self.advance()
            return self.refused_call(name, token)
        arguments: list[Operand] = []
        if not self.accept(")"):
            arguments.append(self.expression())
            while self.accept(","):
                arguments.append(self.expression())
            if self.word() in {"from", "for", "in", "placing", "order"}:
                self.fail(f"{name} is checked with commas between its arguments only")
            self.expect(")")
        if self.word() in {"over", "filter", "within"} and self.peek().text in {"(", "group"}:
            self.fail("aggregate and window functions cannot stand in an index's condition")
        if self.next.text in {"[", "."}:
            self.fail("parts of an array or a row are not checked here")
        place = self.result(UNKNOWN, arguments, token.start)
        if name in UNITING:
            return self.united_call(name, arguments, place)
        return self.known_call(name, arguments, place)

    def refused_call(self, name: str, token: Token) -> Operand:
        self.position -= 1
        if name in AGGREGATES:
            self.fail(f"{name} is an aggregate function, which looks at more than one row")
        self.fail(f"'{self.next.text}' is not expected there")
        raise AssertionError

    def united_call(self, name: str, arguments: list[Operand], place: Operand) -> Operand:
        if len(arguments) < 2 or (name == "nullif" and len(arguments) != 2):
            return self.note(f"{name} takes two arguments{' or more' * (name != 'nullif')}", place)
        kind = self.unite(arguments, f"in {name}")
        if place.constant:
            return self.note(f"{self.written(place)} is constant: write its value", place)
        if name == "coalesce" and arguments[0].constant:
            return self.note("coalesce never looks beyond a constant", place)
        if kind.endswith("[]"):
            return self.note(f"{name} of arrays is not checked here", place)
        if name != "coalesce" and kind.removesuffix("[]") not in {*COMPARABLE, UNKNOWN}:
            return self.note(f"{kind} has no order", place)
        return self.result(kind, arguments, place.start)

    def known_call(self, name: str, arguments: list[Operand], place: Operand) -> Operand:
        if any(argument.type == UNKNOWN for argument in arguments) and name in FUNCTIONS:
            return place
        result = self.call_result(name, arguments)
        if result is None:
            return self.note(self.call_reason(name, arguments), place)
        if place.constant and name not in CONSTRUCTORS:
            return self.note(f"{self.written(place)} is constant: write its value", place)
        return self.result(result, arguments, place.start)

    def call_result(self, name: str, arguments: list[Operand]) -> str | None:
        """The result of the function that PostgreSQL would choose for these arguments."""
        given = [argument.type for argument in arguments]
        fitting = [
            (types, result)
            for types, result in FUNCTIONS.get(name, [])
            if len(types) == len(given) and all(map(_takes, types, arguments))
        ]
        for place, kind in enumerate(given):
            # PostgreSQL's choice between readings of a literal is not followed here.
            if kind == LITERAL and len({types[place] for types, _ in fitting}) > 1:
                return None

        # The most types as given, then the preferred one among numbers.
        def rank(signature: tuple[tuple[str, ...], str]) -> tuple[int, int]:
            types = signature[0]
            return sum(map(str.__eq__, types, given)), types.count("double precision")

        return max(fitting, key=rank)[1] if fitting else None

    def call_reason(self, name: str, arguments: list[Operand]) -> str:
        kinds = f"{name}({', '.join(argument.type for argument in arguments)})"
        if name in AGGREGATES:
            return f"{name} is an aggregate function, which looks at more than one row"
        if name in WINDOWS:
            return f"{name} is a window function, which looks at more than one row"
        if name in SETS:
            return f"{name} returns a set of rows, not a value"
        if name in NOT_IMMUTABLE:
            return f"{kinds} is not immutable: its result depends on more than its arguments"
        if name in FUNCTIONS:
            return f"there is no immutable function {kinds} that the check knows"
        return f"the function {name} is none of the immutable ones that can be checked here"

    def extract(self, token: Token) -> Operand:
        field = self.word() if self.next.kind == "name" else _content(self.next.text).lower()
        self.advance()
        self.expect("from")
        source = self.expression()
        self.expect(")")
        place = self.result(UNKNOWN, [source], token.start)
        if source.type not in {"date", "timestamp", "interval", UNKNOWN}:
            return self.note(
                f"extract from {source.type} is not immutable or does not exist", place
            )
        if field not in EXTRACTED:
            return self.note(f"extract knows no field '{field}'", place)
        if source.constant:
            return self.note(f"{self.written(place)} is constant: write its value", place)
        # Numeric since PostgreSQL 14: what takes a double precision takes that too.
        return self.result("double precision", [source], token.start)

    def array(self) -> Operand:
        start = self.advance().start
        if self.next.text == "(":
            self.fail("a subquery cannot stand in an index's condition")
        self.expect("[")
        members = [self.expression()]
        while self.accept(","):
            members.append(self.expression())
        self.expect("]")
        kind = self.unite(members, "in an array")
        if kind.endswith("[]"):
            self.fail("arrays of arrays are not checked here")
        return self.result(f"{kind}[]" if kind else UNKNOWN, members, start)

    def case(self) -> Operand:
        start = self.advance().start
        subject = None if self.word() == "when" else self.expression()
        if subject and subject.constant:
            subject = self.note("a constant decides nothing", subject)
        parts, results = [], []
        while self.accept("when"):
            condition = self.expression()
            if condition.constant and subject is None:
                self.note("a constant decides nothing", condition)
            if subject:
                self.operation("=", subject, condition)
            else:
                self.require(condition, "boolean", "after WHEN")
            self.expect("then")
            parts.append(condition)
            results.append(self.expression())
        if not results:
            self.fail("WHEN is expected after CASE")
        if self.accept("else"):
            results.append(self.expression())
        self.expect("end")
        kind = self.unite(results, "in CASE")
        operands = [*([subject] if subject else []), *parts, *results]
        return self.result(kind, operands, start)


EXTRACTED = {
    "day",
    "dow",
    "doy",
    "epoch",
    "hour",
    "isodow",
    "isoyear",
    "minute",
    "month",
    "quarter",
}
EXTRACTED |= {"second", "week", "year"}


def _content(string: str) -> str:
    return string[1:-1].replace("''", "'")


def _takes(kind: str, argument: Operand) -> bool:
    if argument.type == LITERAL:
        # Of other types there are more readings than the functions listed here.
        return kind in {"text", "integer"} and _READERS[kind](argument.literal or "")
    if argument.type == "date":
        # Where there is a choice, a date is taken for a timestamptz, which is not immutable.
        return kind == "date"
    return argument.type == NULL or _implicit(argument.type, kind)
