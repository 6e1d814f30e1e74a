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
SPATIAL = frozenset({"geometry", "geography"})

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


def ewkt(text: str) -> tuple[int, str] | None:
    """The SRID, 0 where none is given, and the type of a geometry; None of what is none.

    Taken are plain numbers, two to a point, and a type that is not a collection.
    """
    parts = re.fullmatch(r"\s*(?:(?i:SRID)=(\d{1,6});)?\s*([A-Za-z]+)\s*(\(.*)", text, re.ASCII)
    if not parts:
        return None
    srid, shape, points = int(parts[1] or 0), parts[2].upper(), parts[3]
    if not (pattern := _WKT.get(shape)) or not pattern.fullmatch(points):
        return None
    lines = [re.split(r"\s*,\s*", line.strip()) for line in re.findall(r"\(([^()]+)\)", points)]
    least = {"POINT": 1, "LINESTRING": 2, "POLYGON": 4}[shape.removeprefix("MULTI")]
    if shape == "MULTIPOINT":
        least = 1
    for line in lines:
        ends = [list(map(float, point.split())) for point in (line[0], line[-1])]
        if len(line) < least or (least == 4 and ends[0] != ends[1]):
            return None
    return srid, shape


def _lists(point: str, depth: int) -> str:
    """A list of points in parentheses, of lists of them, or of lists of lists."""
    for _ in range(depth):
        point = rf"\(\s*{point}(?:\s*,\s*{point})*\s*\)"
    return point


_COORDINATE = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,2})?"
_POINT = rf"{_COORDINATE}\s+{_COORDINATE}"
_WKT = {
    shape: re.compile(pattern + r"\s*", re.ASCII)
    for shape, pattern in {
        "POINT": rf"\(\s*{_POINT}\s*\)",
        "LINESTRING": _lists(_POINT, 1),
        "POLYGON": _lists(_POINT, 2),
        "MULTIPOINT": f"{_lists(_POINT, 1)}|{_lists(_POINT, 2)}",
        "MULTILINESTRING": _lists(_POINT, 2),
        "MULTIPOLYGON": _lists(_POINT, 3),
    }.items()
}


def _array(kind: str) -> Callable[[str], bool]:
    """Arrays of plain words, each of which is a value of the type."""

    def reads(text: str) -> bool:
        inner = re.fullmatch(r"\s*\{([^{}\"\\]*)\}\s*", text)
        if not inner or not inner[1].strip():
            return bool(inner)
        words = [word.strip() for word in inner[1].split(",")]
        return all(word and word.upper() != "NULL" and READERS[kind](word) for word in words)

    return reads


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
    "geometry": lambda text: ewkt(text) is not None,
    "geography": lambda text: ewkt(text) is not None,
    # Texts that only some operators and functions take.
    "WKT": lambda text: ewkt(f"SRID=0;{text}") is not None,
    "regular expression": _is_regular_expression,
    "LIKE pattern": lambda text: not re.search(r"(?<!\\)(\\\\)*\\$", text),
    "escape character": lambda text: len(text) == 1,
    "time zone": lambda text: text.casefold() in map(str.casefold, TIME_ZONES),
    "part of a date": _matches(
        "(?i:day|dow|doy|epoch|hour|isodow|isoyear|minute|month|quarter|second|week|year)"
    ),
}
TEXTS = {"text", "text[]", *list(READERS)[-6:]}
READERS |= {
    f"{kind}[]": _array(kind)
    for kind in ("boolean", *NUMBERS, "text", "date", "timestamp", "timestamptz", "uuid")
}
# Operators that read a pattern.
PATTERNS = {"~", "~*", "!~", "!~*", "~~", "~~*", "!~~", "!~~*"}

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
    text, LIKE pattern -> boolean: like ilike similar ~~ ~~* !~~ !~~*
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
    double precision, double precision, double precision, double precision -> geometry: st_makeenvelope
    double precision, double precision, double precision, double precision, integer -> geometry: st_makeenvelope
    WKT -> geometry: st_geomfromtext
    WKT, integer -> geometry: st_geomfromtext
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
CONSTANT |= {"st_geomfromtext", "st_makeenvelope", "st_makepoint", "st_point", "st_setsrid"}

# -- Geometries ----------------------------------------------------------------------------------

# What PostGIS refuses for every geometry of another type.
NEEDED_SHAPES = {
    **dict.fromkeys(("st_x", "st_y", "st_z", "st_m"), "POINT"),
    "st_isring": "LINESTRING",
}
# The type that a function gives; those that are not here give that of their argument.
SHAPES = {
    **dict.fromkeys(("st_centroid", "st_pointonsurface", "st_startpoint", "st_endpoint"), "POINT"),
    **dict.fromkeys(("st_makepoint", "st_point"), "POINT"),
    **dict.fromkeys(("st_boundary", "st_buffer", "st_convexhull", "st_envelope"), "GEOMETRY"),
    **dict.fromkeys((*UNITING, "ARRAY", "CASE"), "GEOMETRY"),
    "st_makeenvelope": "POLYGON",
}
# Functions whose last argument, if it is an integer, is the SRID of what they give.
GIVE_SRID = {"st_geomfromtext", "st_makeenvelope", "st_setsrid"}

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
    "position": "not supported: write strpos(text, part)",
    "overlay": "not supported: write replace(text, part, other)",
}
# For some types of their arguments, if they are also among the SIGNATURES.
CHANGING = frozenset(_CHANGING.split())

# -- Time zones ----------------------------------------------------------------------------------

# The places of the IANA's database (zone.tab), by continent or ocean. What a server knows besides
# depends on how it was built: abbreviations, and the names of former editions.
_PLACES = {
    "Africa": """
        Abidjan Accra Addis_Ababa Algiers Asmara Bamako Bangui Banjul Bissau Blantyre Brazzaville
        Bujumbura Cairo Casablanca Ceuta Conakry Dakar Dar_es_Salaam Djibouti Douala El_Aaiun
        Freetown Gaborone Harare Johannesburg Juba Kampala Khartoum Kigali Kinshasa Lagos
        Libreville Lome Luanda Lubumbashi Lusaka Malabo Maputo Maseru Mbabane Mogadishu Monrovia
        Nairobi Ndjamena Niamey Nouakchott Ouagadougou Porto-Novo Sao_Tome Tripoli Tunis Windhoek
    """,
    "America": """
        Adak Anchorage Anguilla Antigua Araguaina Argentina/Buenos_Aires Argentina/Catamarca
        Argentina/Cordoba Argentina/Jujuy Argentina/La_Rioja Argentina/Mendoza
        Argentina/Rio_Gallegos Argentina/Salta Argentina/San_Juan Argentina/San_Luis
        Argentina/Tucuman Argentina/Ushuaia Aruba Asuncion Atikokan Bahia Bahia_Banderas Barbados
        Belem Belize Blanc-Sablon Boa_Vista Bogota Boise Cambridge_Bay Campo_Grande Cancun Caracas
        Cayenne Cayman Chicago Chihuahua Ciudad_Juarez Costa_Rica Creston Cuiaba Curacao
        Danmarkshavn Dawson Dawson_Creek Denver Detroit Dominica Edmonton Eirunepe El_Salvador
        Fort_Nelson Fortaleza Glace_Bay Goose_Bay Grand_Turk Grenada Guadeloupe Guatemala
        Guayaquil Guyana Halifax Havana Hermosillo Indiana/Indianapolis Indiana/Knox
        Indiana/Marengo Indiana/Petersburg Indiana/Tell_City Indiana/Vevay Indiana/Vincennes
        Indiana/Winamac Inuvik Iqaluit Jamaica Juneau Kentucky/Louisville Kentucky/Monticello
        Kralendijk La_Paz Lima Los_Angeles Lower_Princes Maceio Managua Manaus Marigot Martinique
        Matamoros Mazatlan Menominee Merida Metlakatla Mexico_City Miquelon Moncton Monterrey
        Montevideo Montserrat Nassau New_York Nome Noronha North_Dakota/Beulah North_Dakota/Center
        North_Dakota/New_Salem Nuuk Ojinaga Panama Paramaribo Phoenix Port-au-Prince Port_of_Spain
        Porto_Velho Puerto_Rico Punta_Arenas Rankin_Inlet Recife Regina Resolute Rio_Branco
        Santarem Santiago Santo_Domingo Sao_Paulo Scoresbysund Sitka St_Barthelemy St_Johns
        St_Kitts St_Lucia St_Thomas St_Vincent Swift_Current Tegucigalpa Thule Tijuana Toronto
        Tortola Vancouver Whitehorse Winnipeg Yakutat
    """,
    "Antarctica": """
        Casey Davis DumontDUrville Macquarie Mawson McMurdo Palmer Rothera Syowa Troll Vostok
    """,
    "Arctic": """
        Longyearbyen
    """,
    "Asia": """
        Aden Almaty Amman Anadyr Aqtau Aqtobe Ashgabat Atyrau Baghdad Bahrain Baku Bangkok Barnaul
        Beirut Bishkek Brunei Chita Colombo Damascus Dhaka Dili Dubai Dushanbe Famagusta Gaza
        Hebron Ho_Chi_Minh Hong_Kong Hovd Irkutsk Jakarta Jayapura Jerusalem Kabul Kamchatka
        Karachi Kathmandu Khandyga Kolkata Krasnoyarsk Kuala_Lumpur Kuching Kuwait Macau Magadan
        Makassar Manila Muscat Nicosia Novokuznetsk Novosibirsk Omsk Oral Phnom_Penh Pontianak
        Pyongyang Qatar Qostanay Qyzylorda Riyadh Sakhalin Samarkand Seoul Shanghai Singapore
        Srednekolymsk Taipei Tashkent Tbilisi Tehran Thimphu Tokyo Tomsk Ulaanbaatar Urumqi
        Ust-Nera Vientiane Vladivostok Yakutsk Yangon Yekaterinburg Yerevan
    """,
    "Atlantic": """
        Azores Bermuda Canary Cape_Verde Faroe Madeira Reykjavik South_Georgia St_Helena Stanley
    """,
    "Australia": """
        Adelaide Brisbane Broken_Hill Darwin Eucla Hobart Lindeman Lord_Howe Melbourne Perth
        Sydney
    """,
    "Europe": """
        Amsterdam Andorra Astrakhan Athens Belgrade Berlin Bratislava Brussels Bucharest Budapest
        Busingen Chisinau Copenhagen Dublin Gibraltar Guernsey Helsinki Isle_of_Man Istanbul
        Jersey Kaliningrad Kirov Kyiv Lisbon Ljubljana London Luxembourg Madrid Malta Mariehamn
        Minsk Monaco Moscow Oslo Paris Podgorica Prague Riga Rome Samara San_Marino Sarajevo
        Saratov Simferopol Skopje Sofia Stockholm Tallinn Tirane Ulyanovsk Vaduz Vatican Vienna
        Vilnius Volgograd Warsaw Zagreb Zurich
    """,
    "Indian": """
        Antananarivo Chagos Christmas Cocos Comoro Kerguelen Mahe Maldives Mauritius Mayotte
        Reunion
    """,
    "Pacific": """
        Apia Auckland Bougainville Chatham Chuuk Easter Efate Fakaofo Fiji Funafuti Galapagos
        Gambier Guadalcanal Guam Honolulu Kanton Kiritimati Kosrae Kwajalein Majuro Marquesas
        Midway Nauru Niue Norfolk Noumea Pago_Pago Palau Pitcairn Pohnpei Port_Moresby Rarotonga
        Saipan Tahiti Tarawa Tongatapu Wake Wallis
    """,
}
TIME_ZONES: frozenset[str] = frozenset({"UTC", "GMT", "Etc/UTC"}) | {
    f"{area}/{place}" for area, places in _PLACES.items() for place in places.split()
}
