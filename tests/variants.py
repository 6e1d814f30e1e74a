"""The variants of the template that are proved to work: some by name, and every pair of values.

The pairs are those of a covering array, which `allpairspy` makes; it is the same in every run.

Of those with a name, the first runs its whole suite. The others run a share of tests/geotables, whose tests are about a collection
or about none: the next two run all that is about none, unless it starts processes, and the files in DOCUMENTS and SPELLED; the two
after them all files but those in DOCUMENTS; those of a CRS the files in PLACES; those of a table that was found the files in FOUND.
A row of the array runs its table's own tests and some files, so that each file meets every value, here or in a variant with a name.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from allpairspy import AllPairs
from rendering import DEFAULTS, TEMPLATE

from parameters import CLASS_LETTERS
from parameters.columns import Column, Constraint, Index, Requirement, Table, dump

TESTS = TEMPLATE / "{{cookiecutter.project_slug}}" / "tests"

#: The files of tests/geotables in a rendered project, by what follows test_ in their names.
FILES = {
    path.stem.removeprefix("test_"): path.relative_to(TESTS.parent).as_posix()
    for path in sorted(TESTS.glob("geotables/*/test_*.py"))
}

Parameters = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Variant:
    """A set of parameters with a name; what it does not give is as it is by default."""

    name: str
    parameters: Parameters
    #: Those of `FILES` of which it does not run what is about a collection.
    left_out: tuple[str, ...] = ()
    #: Whether it runs what is about no collection, of every file.
    once: bool = True
    #: Whether it runs the tests that start processes.
    processes: bool = True


#: Files that two of the variants with odd names or texts run, and the other two do not: of documents, and those that name all columns.
DOCUMENTS = ("openapi", "problems", "round_trip")
#: Those that all four run: what writes SQL, and what shows names and texts.
SPELLED = ("features", "load", "migrations", "partial", "resources", "rest", "tables", "tile_rows")

#: Files about places, which a CRS may change, and those that every kind of row is read and written in.
PLACES = (
    *("bbox", "checks", "export", "features", "geography", "limits", "load", "nearby", "partial"),
    *("rest", "tile_rows", "tiles"),
)
#: Files about what a table is that was found.
FOUND = (
    *("checks", "cql", "downloads", "export", "features", "features_edits", "file_hooks", "hooks"),
    "migrations",
    *("null_geometry", "read_only", "rest", "text_columns", "tiles"),
)


def all_but(*files: str) -> tuple[str, ...]:
    """The files that are not among these."""
    return tuple(file for file in FILES if file not in files)


ELSEWHERE = all_but(*PLACES)
OF_NEW_TABLES = all_but(*FOUND)

#: Every type of column: with NULL, with a value of its own by default, and with one that the database works out.
COLUMNS = {
    "text": "name:str(100) status:str(20)=active rank:int=0",
    "none": "",
    "nullable": "a:str(10)? b:text? c:int? d:bigint? e:float? f2:numeric(12,3)? g:bool? h:date? i:datetime? j:uuid? k:json?",
    "defaults": "status:str(20)=active rank:int=7 a:text='it''s' b:bigint=-1 c:float=0.5 d:numeric(6,2)=1.50 e:bool=true "
    "g:date=2020-01-31 h:datetime=2020-01-31T12:00:00Z i:uuid=12345678-1234-5678-1234-567812345678 "
    "j:json='{\"a\": [1, null]}'",
    "required": "code:str(20)! status:str(20) rank:int number:bigint! weight:float price:numeric(10,2) open:bool built:date "
    "seen:datetime key:uuid!=random extra:json day:date=today moment:datetime=now",
}

POOLS: dict[str, Parameters] = {
    "usual": {},
    "least": {
        "pool_size": "1",
        "max_overflow": "0",
        "pool_timeout": "1",
        "pool_recycle": "-1",
        "work_mem": "64kB",
    },
    "most": {
        "pool_size": "97",
        "max_overflow": "0",
        "pool_timeout": "300",
        "pool_recycle": "86400",
        "work_mem": "2047GB",
    },
}

#: The values of each factor, which may be of several parameters. In this order the rows are few.
FACTORS: dict[str, dict[str, Parameters]] = {
    "type": {
        kind: {"geometry_type": kind}
        for kind in (
            *("POINT", "LINESTRING", "POLYGON", "MULTIPOINT", "MULTILINESTRING", "MULTIPOLYGON"),
            *("GEOMETRYCOLLECTION", "GEOMETRY"),
        )
    },
    # WGS 84, another geographic system, Web Mercator, metres, US feet, geographic with heights
    "srid": {srid: {"srid": srid} for srid in ("4326", "4258", "3857", "27700", "2263", "4979")},
    "columns": {name: {"attributes": attributes} for name, attributes in COLUMNS.items()},
    "dimension": {name: {"geometry_dimension": name} for name in ("XY", "XYZ")},
    "index": {
        "full": {},
        "partial": {"index_predicate": "status = 'active'"},
        "compound": {
            "index_predicate": "(status <> 'it''s 100%' OR status LIKE 'a%') AND rank >= 0 AND created_at IS NOT NULL"
        },
    },
    "key": {
        name: {"primary_key": name} for name in ("bigint", "uuid", "integer", "smallint", "text")
    },
    "format": {name: {"output_format": name} for name in ("geojson", "wkt")},
    "timestamps": {name: {"timestamps": name} for name in ("yes", "no")},
    # Names that the statements have to spell out.
    "names": {"usual": {}, "others": {"key_column": "gid", "table_schema": "cadastre"}},
    "pool": POOLS,
    "ci": {name: {"ci": name} for name in ("github", "gitlab", "none")},
    "license": {
        name: {"license": name} for name in ("MIT", "Apache-2.0", "BSD-3-Clause", "Proprietary")
    },
    "auth": {name: {"auth": name} for name in ("api_key", "none", "oidc")},
    "deployment": {name: {"deployment": name} for name in ("compose", "none", "kubernetes")},
    "read only": {name: {"read_only": name} for name in ("no", "yes")},
}

#: The pairs that cannot be, and what the template says of each.
IMPOSSIBLE = {
    (("columns", columns), ("index", index)): "no column"
    for columns in ("none", "nullable")
    for index in ("partial", "compound")
} | {(("index", "compound"), ("timestamps", "no")): "no column"}

#: What `attributes` cannot say: names with spaces, keywords, and types of which some are shown as text.
PARCEL_COLUMNS = (
    Column("Land Use", "text", nullable=True),
    Column("class", "character varying(20)", nullable=True),
    Column("order", "smallint", default="1"),
    Column("mood", "public.mood", nullable=True),
    Column("tags", "text[]", default="'{}'::text[]"),
    Column("seen", "timestamp without time zone", nullable=True),
    Column("height", "real", nullable=True),
    Column("price", "numeric", nullable=True),
    Column("doc", "json", nullable=True),
    Column("code", "character(4)", nullable=True),
    Column("doubled", "integer", nullable=True, generated='("order" * 2)'),
    Column("number", "bigint", identity="always"),
    Column("slug", "text", default="upper('x:y'::text)"),
    Column("model_year", "integer", nullable=True),
    Column("metadata", "text", nullable=True, collation="C"),
    Column("Größe", "integer", nullable=True),
)
_MOOD = Requirement("type", "public.mood", "CREATE TYPE public.mood AS ENUM ('ok', 'sad')")
_NUMBERS = '"Land Parcels_GID_seq"'
PARCELS = Table(
    name="Land Parcels",
    adopted=True,
    key=Column("GID", "integer", default=f"nextval('{_NUMBERS}'::regclass)"),
    geometry_column="Shape",
    geometry_nullable=True,
    constraints=(
        Constraint("Land Parcels_pkey", "primary key", ("GID",)),
        Constraint("in_order", "check", condition='("order" > 0)'),
        Constraint("one_of_each", "unique", ("Land Use", "class")),
    ),
    indexes=(
        Index("Land Parcels_Shape_idx", ('"Shape"',), "gist"),
        Index("by slug", ("lower((slug)::text)",), predicate="(slug IS NOT NULL)"),
        Index("by_use", ('"Land Use"', "price DESC")),
    ),
    requires=(_MOOD, Requirement("sequence", _NUMBERS, f"CREATE SEQUENCE {_NUMBERS}")),
)
ROADS = Table(
    kind="view",
    adopted=True,
    key=Column("gid", "integer"),
    geometry_nullable=True,
    requires=(_MOOD,),
)

NAMED = (
    Variant("default", {}),
    Variant(
        "one letter",
        {
            "project_name": "P",
            "resource_name": "r",
            "table_name": "t",
            "geometry_column": "g",
            "index_name": "i",
            "attributes": "a:int=1 b:text?! j:json?",
            "key_column": "k",
            "index_predicate": "a > 0",
            "auth": "oidc",
            # The tests that are about no collection meet each value of these.
            **POOLS["least"],
        },
        left_out=all_but(*DOCUMENTS, *SPELLED),
        processes=False,
    ),
    Variant(
        "quotes",
        {
            "project_name": """Ada's "maps" \\ 🗺️ {x} 100%""",
            "project_slug": "maps",
            "description": """It's "quoted" \\n 🏔️ {} %s ${HOME}""",
            "author_name": "O'Hara",
            "attributes": "note:text='it''s \"q\" \\ 🏔️ {x} %s :y'",
            "index_predicate": "note <> 'it''s \"q\" \\ 🏔️ {x} %s :y'",
            "auth": "none",
            **POOLS["most"],
        },
        left_out=all_but(*DOCUMENTS, *SPELLED),
        processes=False,
    ),
    Variant(
        "63 bytes",
        {
            "project_name": "P" * 50,
            "package_name": "p" * 63,
            "resource_name": "r" * CLASS_LETTERS,
            "table_name": "t" * 39,
            "geometry_column": "g" * 13,
            "index_name": "i" * 63,
            "attributes": f"{'a' * 63}:numeric(10,2)?=-1.50 {'b' * 19}:str(50)!",
        },
        left_out=DOCUMENTS,
        once=False,
    ),
    # PostgreSQL folds what is not quoted to lower case.
    Variant(
        "quoted names",
        {
            "index_name": "Facilities$Größe",
            "table_name": "values",
            "attributes": "keys:str(20)=usual rows:int? value:text? time:date?",
        },
        left_out=DOCUMENTS,
        once=False,
    ),
    Variant("south pole", {"srid": "3031"}, left_out=ELSEWHERE, once=False),
    Variant(
        "antimeridian",
        {"srid": "2193", "geometry_type": "POLYGON"},
        left_out=ELSEWHERE,
        once=False,
    ),
    Variant(
        "world in metres",
        {"srid": "3395", "geometry_type": "MULTIPOINT", "index_predicate": "id > 0"},
        left_out=ELSEWHERE,
        once=False,
    ),
    # As tables are found: the baseline makes what was there.
    Variant(
        "parcels as found",
        {
            "resource_name": "land_parcel",
            "attributes": "",
            "key_column": "gid",
            "timestamps": "no",
            "geometry_column": "shape",
            "geometry_type": "MULTIPOLYGON",
            "srid": "2193",
            "_columns": dump(PARCEL_COLUMNS),
            "_table": dump(PARCELS),
        },
        left_out=OF_NEW_TABLES,
        once=False,
    ),
    Variant(
        "view as found",
        {
            "resource_name": "road",
            "attributes": "length:float?",
            "key_column": "gid",
            "timestamps": "no",
            "table_schema": "cadastre",
            "geometry_column": "geom",
            "geometry_type": "LINESTRING",
            "read_only": "yes",
            "_columns": dump([Column("mood", "public.mood", nullable=True)]),
            "_table": dump(ROADS),
        },
        left_out=OF_NEW_TABLES,
        once=False,
    ),
    Variant(
        "geographic NAD27",
        {"srid": "4267", "geometry_type": "LINESTRING", "primary_key": "uuid"},
        left_out=ELSEWHERE,
        once=False,
    ),
)


Value = tuple[str, str]
Row = tuple[str, ...]


#: The default of each parameter.
USUAL = {n: value[0] if isinstance(value, list) else value for n, value in DEFAULTS.items()}


def values_of(variant: Variant) -> set[Value]:
    """The values of factors that a variant has, by what it is rendered with."""
    given = USUAL | dict(variant.parameters)
    return {
        (factor, value)
        for factor, choices in FACTORS.items()
        for value, choice in choices.items()
        if all(
            given[name] == choice.get(name, USUAL[name])
            for name in itertools.chain(*choices.values())
        )
    }


def pairs(row: Sequence[str]) -> set[tuple[Value, Value]]:
    """The pairs of values in a row of the array, or in the beginning of one, each with its factor."""
    return set(itertools.combinations(zip(FACTORS, row, strict=False), 2))


def possible(row: Sequence[str]) -> bool:
    return IMPOSSIBLE.keys().isdisjoint(pairs(row))


def all_pairs() -> set[tuple[Value, Value]]:
    """Every pair that can be."""
    values = [[(factor, value) for value in values] for factor, values in FACTORS.items()]
    both = (itertools.product(*two) for two in itertools.combinations(values, 2))
    return set(itertools.chain.from_iterable(both)) - IMPOSSIBLE.keys()


def covering_rows() -> list[Row]:
    """Rows in which every pair occurs that can be."""
    rows = [
        tuple(row)
        for row in AllPairs([list(each) for each in FACTORS.values()], filter_func=possible)
    ]
    # With a filter the library leaves some pairs out: they get rows of their own.
    while left := all_pairs().difference(*map(pairs, rows)):
        fixed = dict(min(left))
        values = [[fixed[name]] if name in fixed else list(FACTORS[name]) for name in FACTORS]
        rows.append(tuple(next(iter(AllPairs(values, filter_func=possible)))))
    return rows


ROWS = covering_rows()

#: Factors that change no Python file but for a header: `test_variants` sees to that.
WITHOUT_EFFECT = {"deployment", "ci", "license"}


def rotation(rows: Sequence[Row]) -> dict[Row, set[str]]:
    """The files of tests/geotables that each row runs: each file meets every value that occurs, in few rows."""
    running: dict[Row, set[str]] = {row: set() for row in rows}
    values = {
        row: {value for value in zip(FACTORS, row, strict=True) if value[0] not in WITHOUT_EFFECT}
        for row in rows
    }
    for file in FILES:
        missing = set().union(*values.values())
        while missing:
            row = max(rows, key=lambda row: (len(missing & values[row]), -len(running[row])))
            running[row].add(file)
            missing -= values[row]
    # What the variants with a name meet, too, need not be met again.
    named = [(variant, values_of(variant)) for variant in NAMED]
    for file in FILES:
        met = [each for variant, each in named if file not in variant.left_out]
        for row in rows:
            others = (values[other] for other in rows if other != row and file in running[other])
            if file in running[row] and values[row] <= set().union(*met, *others):
                running[row].remove(file)
    # A key that clients give, under another name than id, is also a member of their features.
    given = {("key", "text"), ("names", "others"), ("read only", "no")}
    running[next(row for row in rows if given <= values[row])].add("features_edits")
    return running


RUNNING = rotation(ROWS)


def of(row: Row) -> Variant:
    """The variant of a row: of a value of each factor."""
    given = [FACTORS[factor][value] for factor, value in zip(FACTORS, row, strict=True)]
    # Named by the factors that meet the database; the rest comes along.
    parameters = {name: value for each in given for name, value in each.items()}
    left_out = tuple(file for file in FILES if file not in RUNNING[row])
    return Variant(" ".join(row[:7]), parameters, left_out, once=False)


VARIANTS = (*NAMED, *map(of, ROWS))
