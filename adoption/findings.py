"""What of a relation is misaligned with a service on it, the worst first: why, and the statements that fix it."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from parameters import DERIVED, epsg
from parameters.names import sql_name

from .catalogue import Column, Geometry
from .rows import CURVES, SURFACES, Rows, outside
from .statements import (
    BRIEF,
    DROPPING,
    GRANTING,
    LINEAR,
    MAKING,
    READING,
    REBUILDING,
    REWRITING,
    TYPES,
    UPDATING,
    Statement,
    alter_type,
    create_index,
    geometry_type,
    primary_key,
    repaired,
    view_of,
)
from .survey import WRITABLE, Survey, repeats

#: Longer texts make a page of ten rows slow.
LONG_TEXT = 1024**2


@dataclass(frozen=True, slots=True)
class Finding:
    """Something misaligned: what, why it matters to a service, and how to fix it."""

    kind: str
    what: str
    why: str
    statements: tuple[Statement, ...] = ()
    #: Whether it keeps the relation from being served.
    refused: bool = False
    #: Patterns of the lines in which `check --database` says the same.
    listed: tuple[str, ...] = ()


Finder = Callable[[Survey], Iterator[Finding]]


#: What `check --database` says where a rule of the database refuses a row of tests.
EXAMPLE_REFUSED = r"example\(\d+\) is not as \S+ stores rows"


def in_words(items: Sequence[str], limit: int = 6) -> str:
    """Some names in a sentence."""
    more = f" and {len(items) - limit} more" if len(items) > limit else ""
    return ", ".join(items[:limit]) + more


def word(name: str) -> str:
    """A pattern of a name that is no part of another."""
    return rf"(?<!\w){re.escape(name)}(?!\w)"


def is_are(count: int) -> str:
    return "is" if count == 1 else "are"


# -- What cannot be served -----------------------------------------------------------------------


def _versions(survey: Survey) -> Iterator[Finding]:
    server = survey.relation.server
    oldest, postgis = DERIVED["__oldest_postgresql"], DERIVED["__oldest_postgis"]
    if server.postgresql < int(oldest) * 10000:
        yield Finding(
            "old-postgresql",
            f"the server is PostgreSQL {server.version}",
            f"the service needs {oldest} or later: pg_upgrade, or restore a dump on a newer server",
            refused=True,
        )
    if _numbers(server.postgis) < _numbers(postgis):
        yield Finding(
            "old-postgis",
            f"the database has PostGIS {server.postgis}",
            f"the service needs {postgis} or later",
            (
                Statement(
                    "ALTER EXTENSION postgis UPDATE",
                    "ACCESS EXCLUSIVE on PostGIS's own tables; its functions are replaced at once. A newer PostGIS has to be installed on the server",
                ),
            ),
            refused=True,
        )


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)[:2]]


def _search_path(survey: Survey) -> Iterator[Finding]:
    server = survey.relation.server
    if not server.postgis_visible:
        path = f"{server.search_path}, {server.postgis_schema}"
        yield Finding(
            "postgis-not-on-path",
            f"PostGIS is in the schema {server.postgis_schema}, which is not on the search path ({server.search_path})",
            "the service calls ST_Transform and others without a schema, and would not find them",
            (
                Statement(
                    f"ALTER DATABASE {sql_name(server.database)} SET search_path = {path}",
                    f"{GRANTING}, for sessions that begin afterwards",
                ),
            ),
            refused=True,
        )


def _cannot_read(survey: Survey) -> Iterator[Finding]:
    relation = survey.relation
    role, schema = sql_name(relation.server.role), sql_name(relation.schema)
    statements = []
    if "USAGE" in relation.lacking:
        statements.append(Statement(f"GRANT USAGE ON SCHEMA {schema} TO {role}", GRANTING))
    if "SELECT" in relation.lacking:
        statements.append(Statement(f"GRANT SELECT ON {relation.sql} TO {role}", GRANTING))
    if statements:
        yield Finding(
            "cannot-read",
            f"the role {relation.server.role} may not read it",
            "a service with this role would answer every request with an error, and its rows cannot be looked at",
            tuple(statements),
            refused=True,
        )
    elif survey.rows.unknown:
        yield Finding(
            "unread",
            f"no row could be looked at: {survey.rows.unknown}",
            "what its rows hold is not known, and the service would fail on them in the same way",
            refused=not survey.rows.unknown.startswith("reading"),
        )


def _no_geometry(survey: Survey) -> Iterator[Finding]:
    relation = survey.relation
    if survey.geometry is not None:
        return
    if relation.geometries:
        geography = relation.geometries[0]
        others = ", ".join(each.sql for each in relation.every if each.name != geography.name)
        limits = geography.declared.partition("(")[2] or "Geometry,4326)"
        view = f"{sql_name(relation.schema)}.{sql_name(f'{relation.name[:50]}_geometry')}"
        yield Finding(
            "geography",
            f"its column {geography.name} is geography, and there is no geometry",
            "tiles, boxes and other CRSs are of geometry. A view can be adopted, with KEY= where it is needed; or add a geometry"
            " column",
            (
                Statement(
                    f"CREATE VIEW {view} AS SELECT {others}{', ' if others else ''}{geography.sql}::geometry({limits} AS geom FROM {relation.sql}",
                    MAKING,
                ),
            ),
            refused=True,
        )
        return
    given = f" called {survey.wanted}" if survey.wanted else ""
    listed = ", ".join(each.name for each in relation.columns)
    yield Finding(
        "no-geometry",
        f"it has no geometry column{given}: its columns are {listed}",
        "a collection is served by its geometry: on the map, in boxes and tiles",
        refused=True,
    )


def _key(survey: Survey) -> Iterator[Finding]:
    """No column tells the rows apart, or the one that was named does not."""
    relation, key = survey.relation, survey.key
    if key.column is not None:
        return
    if key.repeated_by_heirs and (column := relation.column(key.composite[0])):
        yield Finding(
            "repeated-key",
            key.refusal,
            "each row has an address of its own (/items/<key>), and pages go on after the last one's key. Give these rows values of"
            " their own, or adopt a view of the table without its heirs, which selects FROM ONLY",
            (
                Statement(
                    f"SELECT {column.sql}, count(*) FROM {relation.sql} GROUP BY 1 HAVING count(*) > 1",
                    READING,
                ),
            ),
            refused=True,
        )
        return
    candidates = [each.column for each in key.candidates]
    if key.composite and relation.kind == "partitioned table":
        kind, what = (
            "composite-key",
            f"its primary key is of several columns: {', '.join(key.composite)}",
        )
        advice = f"On a partitioned table one of them may be named: KEY={candidates[0] if candidates else key.composite[0]}"
    elif len(key.composite) == 1:
        (name,) = key.composite
        found = relation.column(name)
        kind, what = (
            "unordered-key",
            f"its primary key {name} is {found.type if found else 'a geometry'}, which has no order or no text that a URL can hold",
        )
        advice = "A column of its own can be the key, and the column of now stays unique"
    elif key.composite:
        kind, what = (
            "composite-key",
            f"its primary key is of several columns: {', '.join(key.composite)}",
        )
        advice = "A column of its own can be the key, and the columns of now stay unique"
    elif relation.kind == "table":
        kind, what, advice = (
            "no-key",
            "it has no primary key",
            "Add one, or name a column that tells its rows apart",
        )
    elif relation.is_table:
        kind, what, advice = (
            "no-key",
            "it has no primary key",
            "Of a partitioned table it would have to hold the columns that the partitions are made by: name a column that tells its"
            " rows apart",
        )
    else:
        kind, what, advice = (
            "no-key",
            f"no column of the {relation.kind} is known to tell its rows apart",
            "Name one that does",
        )
    if key.refusal:
        what = key.refusal
    listed = f"KEY={candidates[0]}" if candidates else ""
    if candidates:
        first = key.candidates[0]
        whole = "all" if first.complete else "a sample of"
        advice += f". In {whole} {first.read:,} rows these have no NULL and no value twice: {in_words(candidates)} ({listed})"
    for near in key.repeating:
        advice += f". {near.column} does not: {repeats(near)}"
    statements: tuple[Statement, ...] = ()
    if relation.kind == "table":
        best = relation.column(candidates[0]) if candidates else None
        if best is not None and not key.composite:
            statements = primary_key(relation, best)
        else:
            new = "id" if relation.column("id") is None else "row_id"
            suffix = "" if key.composite else " PRIMARY KEY"
            unique = " UNIQUE" if key.composite else ""
            statements = (
                Statement(
                    f"ALTER TABLE {relation.sql} ADD COLUMN {new} bigint GENERATED BY DEFAULT AS IDENTITY{suffix}{unique}",
                    REWRITING,
                ),
            )
            if key.composite:
                advice += f"; then KEY={new}"
    yield Finding(
        kind,
        what,
        f"each row has an address of its own (/items/<key>), and pages go on after the last one's key. {advice}",
        statements,
        refused=True,
    )


def _refused_crs(survey: Survey) -> Iterator[Finding]:
    """Rows without a CRS, of several, or of one that the service does not know."""
    relation, column, rows = survey.relation, survey.column, survey.rows
    srids = rows.numbers("srid")
    given = survey.given_srid if not epsg.why_refused(survey.given_srid) else ""
    if survey.srid and not (reason := epsg.why_refused(f"{survey.srid}")):
        return
    kind = survey.type if survey.type in TYPES else "GEOMETRY"
    if survey.srid:
        target = next(
            code for code in epsg.srid_candidates(f"{survey.srid}") if not epsg.why_refused(code)
        )
        yield Finding(
            "refused-crs",
            f"it stores SRID {survey.srid}: {reason}",
            "where its coordinates are right, and how they become GeoJSON, is not known. A view that transforms them can"
            " be adopted as well",
            (
                repaired(
                    survey, f"ST_Transform({column.sql}, {target})", kind, survey.dimension, target
                ),
            ),
            refused=True,
        )
        return
    known = {srid: count for srid, count in srids.items() if srid}
    usable = [srid for srid in known if not epsg.why_refused(f"{srid}")]
    target = given or (f"{usable[0]}" if usable else _degrees(rows) or "<SRID>")
    if len(known) + (0 in srids) > 1:
        numbers = "; ".join(f"SRID {srid}: {count:,}" for srid, count in srids.items())
        g, steps = column.sql, list[Statement]()
        if not relation.is_table:
            expression = f"CASE ST_SRID({g}) WHEN 0 THEN ST_SetSRID({g}, {target}) ELSE ST_Transform({g}, {target}) END"
            steps.append(view_of(survey, expression, kind, survey.dimension, target))
        else:
            if others := [srid for srid in known if f"{srid}" != target]:
                where = f"ST_SRID({g}) IN ({', '.join(map(str, sorted(others)))})"
                transformed = f"ST_Transform({g}, {target})"
                steps.append(repaired(survey, transformed, kind, survey.dimension, target, where))
            if 0 in srids:
                stated = f"ST_SetSRID({g}, {target})"
                where = f"ST_SRID({g}) = 0"
                steps.append(repaired(survey, stated, kind, survey.dimension, target, where))
            steps.append(alter_type(survey, kind, survey.dimension, target))
        yield Finding(
            "mixed-srid",
            f"its rows are of several CRSs: {numbers}",
            "PostGIS compares none with another: the first search in a box would be an error. ST_SetSRID says what they are, and moves"
            " nothing: look where they are first",
            tuple(steps),
            refused=True,
        )
        return
    if not srids and not given:
        what = "its geometry column states no SRID, and has no row that does"
    else:
        what = f"its geometries have SRID 0: {rows.of(srids.get(0, 0))}"
    advice = ""
    if target == "<SRID>":
        advice = '. ARGS="srid=2193", with the right number, writes it into the statement'
    yield Finding(
        "srid-0",
        what,
        f"nobody can tell where on the Earth they are; only who made them knows their CRS{advice}",
        (repaired(survey, f"ST_SetSRID({column.sql}, {target})", kind, survey.dimension, target),),
        refused=True,
    )


def _degrees(rows: Rows) -> str:
    """4326 where all coordinates may be degrees, which those of a projected CRS hardly ever all are."""
    extents = [group.extent for group in rows.groups if group.extent]
    world = all(
        xmin >= -180 and xmax <= 180 and ymin >= -90 and ymax <= 90
        for xmin, ymin, xmax, ymax in extents
    )
    return "4326" if extents and world else ""


def _target_srid(survey: Survey) -> int | str:
    return survey.srid or survey.given_srid or "<SRID>"


def _measures(survey: Survey) -> Iterator[Finding]:
    column, rows = survey.column, survey.rows
    measured = rows.counted(has_m=True)
    if not (column.has_m or measured):
        return
    has_z = any(group.has_z for group in rows.groups if group.has_m) or column.dimension == 4
    function = "ST_Force3DZ" if has_z else "ST_Force2D"
    dimension = 3 if has_z else 2
    kind = survey.type if survey.type in TYPES else "GEOMETRY"
    where = "" if column.typed and column.has_m else f"ST_Zmflag({column.sql}) IN (1, 3)"
    forced = f"{function}({column.sql})"
    statement = repaired(survey, forced, kind, dimension, _target_srid(survey), where)
    yield Finding(
        "measures",
        f"its coordinates have measures (M): {rows.of(measured)}",
        f"GeoJSON has none, and a row that is read and written back would lose its own. A view that selects {forced} can be"
        " adopted as well",
        (statement,),
        refused=True,
    )


def _mixed_dimensions(survey: Survey) -> Iterator[Finding]:
    column, rows = survey.column, survey.rows
    high, flat = rows.counted(has_z=True), rows.counted(has_z=False)
    if not (high and flat):
        return
    dimension = 3 if high > flat else 2
    function, flag = ("ST_Force3DZ", 0) if high > flat else ("ST_Force2D", 2)
    kind = survey.type if survey.type in TYPES else "GEOMETRY"
    where = f"ST_Zmflag({column.sql}) = {flag}"
    forced = f"{function}({column.sql})"
    yield Finding(
        "mixed-dimensions",
        f"{rows.of(high)} have heights, and {flat:,} {'has' if flat == 1 else 'have'} none",
        "a collection has two coordinates or three. ST_Force2D drops heights; ST_Force3DZ makes missing ones 0",
        (repaired(survey, forced, kind, dimension, _target_srid(survey), where),),
        refused=True,
    )


def _curves(survey: Survey) -> Iterator[Finding]:
    relation, column, rows = survey.relation, survey.column, survey.rows
    numbers = rows.numbers("type")
    arcs = [kind for kind in numbers if kind in CURVES]
    if arcs or column.type in CURVES or column.type in ("CURVE", "SURFACE"):
        count = sum(numbers[kind] for kind in arcs)
        kinds = ", ".join(f"'{kind}'" for kind in arcs)
        where = "" if column.type in LINEAR else f"GeometryType({column.sql}) IN ({kinds})"
        kind = LINEAR.get(column.type, "GEOMETRY")
        straight = f"ST_CurveToLine({column.sql})"
        statement = repaired(survey, straight, kind, survey.dimension, _target_srid(survey), where)
        yield Finding(
            "curves",
            f"{rows.of(count)} {is_are(count)} curved: {in_words(arcs or [column.type])}",
            "GeoJSON has straight lines only: an answer with such a row would be an error. A view that selects"
            f" {straight} can be adopted as well",
            (statement,),
            refused=True,
        )
    surfaces = [kind for kind in numbers if kind in SURFACES]
    if surfaces or column.type in SURFACES:
        count = sum(numbers[kind] for kind in surfaces)
        kinds = ", ".join(f"'{kind}'" for kind in surfaces or [column.type])
        yield Finding(
            "surfaces",
            f"{rows.of(count)} {is_are(count)} {in_words(surfaces or [column.type])}",
            "GeoJSON has no such type: an answer with such a row would be an error",
            (
                Statement(
                    f"SELECT * FROM {relation.sql} WHERE GeometryType({column.sql}) IN ({kinds})",
                    f"{READING}: these have to go into a table of their own",
                ),
            ),
            refused=True,
        )


# -- What is served as it is, but worth knowing --------------------------------------------------


def _outside(survey: Survey) -> Iterator[Finding]:
    count = survey.rows.outside
    if not count:
        return
    crs = epsg.crs(survey.srid)
    assert crs is not None
    where = outside(survey.relation, survey.column.sql, survey.srid)
    x = f"x {crs.extent.xmin:.10g} to {crs.extent.xmax:.10g}, y {crs.extent.ymin:.10g} to {crs.extent.ymax:.10g}"
    listing = _listing(survey)
    yield Finding(
        "outside",
        f"{survey.rows.of(count)} {is_are(count)} outside of the area of EPSG:{survey.srid} ({crs.name}): {x}",
        "where the projection cannot be undone, every answer that holds such a row is an error. Often they are in another CRS, or"
        " latitude stands before longitude; correct these, or move them out",
        (Statement(f"SELECT {listing} FROM {survey.relation.sql} WHERE {where}", READING),),
    )


def _listing(survey: Survey) -> str:
    key = f"{survey.key.column.sql}, " if survey.key.column else ""
    return f"{key}ST_AsText({survey.column.sql})"


def _no_index(survey: Survey) -> Iterator[Finding]:
    relation, column = survey.relation, survey.column
    if relation.kind in ("view", "foreign table") or survey.spatial_indexes:
        return
    if any(not each.valid and each.columns == (column.name,) for each in relation.indexes):
        # It has to be built anew, as another finding says.
        return
    others = [each for each in relation.indexes if column.name in each.columns and each.valid]
    has = ""
    if others:
        methods = in_words([f"{each.name} ({each.method})" for each in others])
        has = f"; {methods} {is_are(len(others))} none that boxes in two dimensions use"
    rows = "row" if relation.estimate == 1 else "rows"
    size = f"{relation.estimate:,} {rows}" if relation.estimate > 0 else "the table"
    yield Finding(
        "no-index",
        f"{column.name} has no GiST index{has}",
        f"each search in a box, each tile and each extent reads {size} from end to end",
        create_index(relation, survey.index_name, column.sql),
        listed=_missing(survey.index_name),
    )


def _missing(index: str) -> tuple[str, ...]:
    """How `check --database` says that an index of the model is missing."""
    return (re.escape(f"add index Index({index!r}, "), f"has no index {word(index)}, which")


def _invalid_indexes(survey: Survey) -> Iterator[Finding]:
    for index in survey.relation.indexes:
        if index.valid:
            continue
        name = index.sql
        if survey.relation.kind == "partitioned table":
            statement = Statement(
                f"DROP INDEX {name}",
                f"{BRIEF}. Make it again after: a partition has no index that belongs to it",
            )
        else:
            statement = Statement(f"REINDEX INDEX CONCURRENTLY {name}", REBUILDING)
        yield Finding(
            "invalid-index",
            f"the index {index.name} is not valid: a CREATE INDEX CONCURRENTLY that failed left it",
            "no search uses it, and every write keeps it up",
            (statement,),
            listed=(word(index.name),),
        )


def _partial_index(survey: Survey) -> Iterator[Finding]:
    relation, column, found = survey.relation, survey.column, survey.spatial_indexes
    if not found or not found[0].predicate:
        return
    condition = found[0].predicate
    name = f"{relation.name[:50]}_{column.name[:8]}_all"
    yield Finding(
        "partial-index",
        f"the only GiST index, {found[0].name}, is partial: WHERE {condition}",
        "what searches find has to be in an index: where the service states this condition, lists, tiles and counts are of its rows"
        " alone, and only a key reaches the others. With an index of all rows, adopt it again",
        create_index(relation, name, column.sql),
        listed=(word(found[0].name),),
    )


def _several_indexes(survey: Survey) -> Iterator[Finding]:
    relation, found = survey.relation, survey.spatial_indexes
    for index in found[1:]:
        if index.constraint:
            continue
        dropped = (
            Statement(f"DROP INDEX {index.sql}", BRIEF)
            if relation.kind == "partitioned table"
            else Statement(f"DROP INDEX CONCURRENTLY {index.sql}", DROPPING)
        )
        partial = f" (WHERE {index.predicate})" if index.predicate else ""
        yield Finding(
            "several-indexes",
            f"{index.name}{partial} is a GiST index on {survey.column.name} beside {found[0].name}",
            "every write keeps up both, and searches use one",
            (dropped,),
            listed=(word(index.name),),
        )


def _no_geography_index(survey: Survey) -> Iterator[Finding]:
    relation, column, crs = survey.relation, survey.column, epsg.crs(survey.srid)
    if relation.kind in ("view", "foreign table") or crs is None or not crs.geographic:
        return
    condition = survey.predicate
    live = survey.spatial_indexes[0].predicate if condition else ""
    if any(each.predicate == live for each in survey.geography_indexes):
        return
    name = survey.geography_index_name
    yield Finding(
        "no-geography-index",
        f"{column.name} has no GiST index as geography",
        "/nearby measures in metres on the spheroid; an index in degrees does not help it",
        create_index(
            relation,
            name,
            f"({column.sql}::geography)",
            condition,
        ),
        listed=_missing(name),
    )


def _has_strange(survey: Survey) -> bool:
    """Whether there are geometries that the service does not know, of which other findings say what to do."""
    return any(
        group.type in CURVES | SURFACES or group.has_m or group.has_z != (survey.dimension == 3)
        for group in survey.rows.groups
    )


def _untyped(survey: Survey) -> Iterator[Finding]:
    """The column does not say what is in it, or less than all of its rows do."""
    relation, column, rows = survey.relation, survey.column, survey.rows
    if epsg.why_refused(f"{survey.srid}") or _has_strange(survey):
        return
    kind, dimension = survey.type, survey.dimension
    narrower = kind != column.type
    types = rows.numbers("type")
    if column.typed and column.srid and not narrower:
        return
    by_check = not column.typed and column.srid
    stated = "a CHECK states it" if by_check else f"its type is {column.declared}"
    found = in_words([f"{count:,} {name}" for name, count in types.items()]) or "no row"
    if relation.is_table:
        statement = alter_type(survey, kind, dimension, survey.srid)
    elif relation.kind == "foreign table":
        stored = geometry_type(kind, dimension, survey.srid)
        sql = f"ALTER FOREIGN TABLE {relation.sql} ALTER COLUMN {column.sql} TYPE {stored}"
        statement = Statement(sql, BRIEF)
    else:
        statement = view_of(survey, column.sql, kind, dimension, survey.srid)
    yield Finding(
        "untyped",
        f"{column.name} is not declared as {geometry_type(kind, dimension, survey.srid)}: {stated}, and it has {found}"
        + ("" if rows.complete else " (in a sample)"),
        "the next program that writes may store another CRS or another type, and every search after that is an error"
        if relation.is_table
        else "QGIS and others look up the type and the CRS, and find none",
        (statement,),
        listed=(
            rf"{re.escape(column.name)}: its (geometry type|SRID|dimension)",
            rf"modify type.*{re.escape(column.name)}",
            rf"column {re.escape(column.name)} is",
            r"the model has no constraint enforce_",
        ),
    )


def _mixed_types(survey: Survey) -> Iterator[Finding]:
    relation, column, rows = survey.relation, survey.column, survey.rows
    types = rows.numbers("type")
    if survey.type != "GEOMETRY" or len(types) < 2 or not survey.srid or _has_strange(survey):
        return
    found = in_words([f"{count:,} {name}" for name, count in types.items()])
    most = max(types, key=lambda name: (types[name], name.startswith("MULTI")))
    family = most.removeprefix("MULTI")
    steps: tuple[Statement, ...] = ()
    if set(types) == {family, f"MULTI{family}"}:
        steps = (
            Statement(
                f"UPDATE {relation.sql} SET {column.sql} = ST_Multi({column.sql}) WHERE GeometryType({column.sql}) = '{family}'",
                UPDATING,
            ),
            alter_type(survey, f"MULTI{family}", survey.dimension, survey.srid),
        )
    elif relation.is_table:
        steps = (
            Statement(
                f"SELECT {_listing(survey)} FROM {relation.sql} WHERE GeometryType({column.sql}) <> '{most}'",
                READING,
            ),
        )
    yield Finding(
        "mixed-types",
        f"its geometries are of several types: {found}{'' if rows.complete else ' (in a sample)'}",
        "it is served as GEOMETRY: QGIS and GDAL open it as a layer for each type, and clients may send any",
        steps if relation.is_table else (),
    )


def _invalid(survey: Survey) -> Iterator[Finding]:
    relation, column, rows = survey.relation, survey.column, survey.rows
    count = sum(group.invalid for group in rows.groups)
    if not count:
        return
    valid = f"ST_MakeValid({column.sql})"
    if survey.type in ("POLYGON", "MULTIPOLYGON"):
        # It may give lines and points beside areas; what a column of polygons takes are areas.
        valid = f"ST_CollectionExtract({valid}, 3)"
    if survey.type == "MULTIPOLYGON":
        valid = f"ST_Multi({valid})"
    condition = f"NOT ST_IsValid({column.sql})"
    statements: tuple[Statement, ...] = (
        Statement(
            f"SELECT {_listing(survey)}, ST_IsValidReason({column.sql}) FROM {relation.sql} WHERE {condition}",
            READING,
        ),
    )
    if relation.is_table:
        if survey.type == "POLYGON":
            # A bow tie becomes two areas, which the column does not take.
            condition += f" AND ST_NumGeometries({valid}) = 1"
            valid = f"ST_GeometryN({valid}, 1)"
        statements += (
            Statement(
                f"UPDATE {relation.sql} SET {column.sql} = {valid} WHERE {condition}", UPDATING
            ),
        )
    more = (
        ". What falls into several parts needs a MULTIPOLYGON column"
        if survey.type == "POLYGON"
        else ""
    )
    yield Finding(
        "invalid-geometry",
        f"{rows.of(count)} {is_are(count)} not valid: rings that cross themselves, and the like",
        f"filters and clips on them may be an error, or wrong; a client cannot write them back{more}",
        statements,
    )


def _empty(survey: Survey) -> Iterator[Finding]:
    relation, column = survey.relation, survey.column
    count = sum(group.empty for group in survey.rows.groups)
    if not count:
        return
    statement = Statement(
        f"SELECT {_listing(survey)} FROM {relation.sql} WHERE ST_IsEmpty({column.sql})", READING
    )
    if relation.is_table and column.nullable:
        statement = Statement(
            f"UPDATE {relation.sql} SET {column.sql} = NULL WHERE ST_IsEmpty({column.sql})",
            UPDATING,
        )
    yield Finding(
        "empty-geometry",
        f"{survey.rows.of(count)} {is_are(count)} empty",
        "an empty geometry is nowhere: no search and no map has it, and a client cannot write it back",
        (statement,),
    )


def _nulls(survey: Survey) -> Iterator[Finding]:
    relation, column, rows = survey.relation, survey.column, survey.rows
    if rows.nulls:
        key = survey.key.column.sql if survey.key.column else "*"
        yield Finding(
            "null-geometry",
            f"{rows.of(rows.nulls)} {'has' if rows.nulls == 1 else 'have'} no geometry",
            "they are in lists, with null, and on no map and in no search",
            (Statement(f"SELECT {key} FROM {relation.sql} WHERE {column.sql} IS NULL", READING),),
        )


def _weak_key(survey: Survey) -> Iterator[Finding]:
    """A key that nothing in the database keeps unique, or no primary key does."""
    relation, key = survey.relation, survey.key
    if key.column is None or key.how in ("", "primary key"):
        return
    name, checked = key.column.name, key.checked
    compared = ""
    if checked is not None:
        whole = "all" if checked.complete else "a sample of"
        compared = f": in {whole} {checked.read:,} rows it has no NULL and no value twice"
    listed = ("constraint pk_|PrimaryKey", f"modify nullable .*{word(name)}")
    if key.how == "view":
        yield Finding(
            "key-of-view",
            f"its rows are told apart by {name}, the primary key of {key.table}{compared}",
            "a join that repeats it later would make pages and edits ambiguous",
        )
    elif not relation.is_table:
        kept = f", which the index {key.index} keeps unique" if key.index else compared
        yield Finding(
            "key-of-view",
            f"its rows are told apart by {name}{kept}",
            "a second row of the same key would never be shown alone",
        )
    elif key.how == "unique index":
        composite = (
            f"its primary key is ({', '.join(key.composite)}), and " if key.composite else ""
        )
        steps: tuple[Statement, ...] = ()
        if not key.composite and relation.kind == "table":
            label = sql_name(key.index)
            steps = (
                Statement(f"ALTER TABLE {relation.sql} ADD PRIMARY KEY USING INDEX {label}", BRIEF),
            )
        yield Finding(
            "no-primary-key",
            f"{composite}its rows are told apart by {name}, which the index {key.index} keeps unique",
            "it is served; a primary key says the same to every other program",
            steps
            if not any(each.name == key.index and each.constraint for each in relation.indexes)
            else (),
            listed=listed,
        )
    elif relation.kind == "partitioned table":
        yield Finding(
            "key-not-kept",
            f"{name} is one column of the primary key ({', '.join(key.composite)}){compared}"
            if key.composite
            else f"nothing keeps {name} unique{compared}",
            f"no index can keep {name} unique across partitions: two rows with the same one would be one address"
            + ("" if is_writable(survey) else "; it is served read-only"),
            listed=listed,
        )
    else:
        yield Finding(
            "key-not-kept",
            f"nothing keeps {name} unique{compared}",
            "two rows with the same one would be one address, and be changed and deleted together: it is served read-only",
            primary_key(relation, key.column),
            listed=listed,
        )


def _read_only(survey: Survey) -> Iterator[Finding]:
    relation = survey.relation
    if not relation.is_table:
        yield Finding(
            "read-only",
            f"it is a {relation.kind}, and served read-only",
            "rows are changed in what it is made of",
        )
        return
    for column in blocking(survey):
        if column == survey.geometry:
            yield Finding(
                "not-writable",
                f"{column.name} is generated from other columns: it is served read-only",
                "clients write a geometry, and PostgreSQL refuses every row that has one. Without the expression, the values stay",
                (
                    Statement(
                        f"ALTER TABLE {relation.sql} ALTER COLUMN {column.sql} DROP EXPRESSION",
                        BRIEF,
                    ),
                ),
            )
            continue
        # Django and Rails fill in theirs themselves.
        change = "SET DEFAULT now()" if column.base == "timestamp" else "DROP NOT NULL"
        yield Finding(
            "not-writable",
            f"{column.name} ({column.type}) is NOT NULL and has no default, and clients cannot write that type: it is served read-only",
            "no row could be created. With a default, or without NOT NULL, rows can",
            (Statement(f"ALTER TABLE {relation.sql} ALTER COLUMN {column.sql} {change}", BRIEF),),
        )


def blocking(survey: Survey) -> list[Column | Geometry]:
    """The columns that have to be given a value, and that clients cannot write; a geometry is always given."""
    # What is to be done about a key that will not do is said of the key.
    key = (survey.key.column.name,) if survey.key.column else survey.key.composite
    return [
        each
        for each in survey.relation.every
        if (
            each.generated
            if each == survey.geometry
            else not each.is_filled and each.base not in WRITABLE and each.name not in key
        )
    ]


def is_writable(survey: Survey) -> bool:
    """Whether clients may write: what they write is stored, and has an address of its own."""
    relation, key = survey.relation, survey.key
    if not relation.is_table or blocking(survey) or key.column is None:
        return False
    # A partitioned table can have no index that keeps one column of its primary key unique.
    return bool(key.index) or (relation.kind == "partitioned table" and key.is_numbered)


def _no_privilege(survey: Survey) -> Iterator[Finding]:
    relation = survey.relation
    lacking = [each for each in ("INSERT", "UPDATE", "DELETE") if each in relation.lacking]
    if not is_writable(survey) or not (lacking or relation.closed_sequences):
        return
    role = sql_name(relation.server.role)
    steps = []
    if lacking:
        steps.append(Statement(f"GRANT {', '.join(lacking)} ON {relation.sql} TO {role}", GRANTING))
    steps += [
        Statement(f"GRANT USAGE ON SEQUENCE {name} TO {role}", GRANTING)
        for name in relation.closed_sequences
    ]
    yield Finding(
        "cannot-write",
        f"the role {relation.server.role} lacks {', '.join([*lacking, *(f'USAGE on {each}' for each in relation.closed_sequences)])}",
        "a service with this role answers writes with an error. Give the service another role, grant these, or adopt it with"
        ' ARGS="read_only=yes"',
        tuple(steps),
    )


def _rules(survey: Survey) -> Iterator[Finding]:
    if not survey.relation.is_table:
        return
    for name, is_instead in survey.relation.rules:
        yield Finding(
            "rule",
            f"the rule {name} does {'something else instead of' if is_instead else 'more than'} what a statement says",
            "a write may be answered as done and change nothing"
            if is_instead
            else "a write changes more than the service sees",
            (Statement(f"DROP RULE {sql_name(name)} ON {survey.relation.sql}", BRIEF),),
            listed=(rf"the rule {re.escape(name)} ",),
        )


def _unlogged(survey: Survey) -> Iterator[Finding]:
    if survey.relation.unlogged:
        yield Finding(
            "unlogged",
            "it is unlogged",
            "it is empty after a crash, and replicas do not have it",
            (Statement(f"ALTER TABLE {survey.relation.sql} SET LOGGED", REWRITING),),
            listed=("UNLOGGED",),
        )


def _watched(survey: Survey) -> Iterator[Finding]:
    relation = survey.relation
    if relation.secured:
        exempt = (
            f"{relation.server.role} is exempt: this report is of all rows"
            if relation.exempt
            else f"this report is of the rows that {relation.server.role} sees"
        )
        yield Finding(
            "row-level-security",
            f"row-level security is on ({exempt})",
            "what is listed, counted and changed depends on the policies of the service's role",
        )
    if relation.triggers:
        names_ = in_words(relation.triggers)
        yield Finding(
            "triggers",
            f"it has {'a trigger' if len(relation.triggers) == 1 else 'triggers'}: {names_}",
            "what a client writes may be changed or refused; the answer has the row as it is stored. Where check --database may"
            " write, it says whether the example rows in the table's module are refused",
            listed=(EXAMPLE_REFUSED,),
        )
    if relation.partition_of:
        yield Finding(
            "partition",
            f"it is a partition of {relation.partition_of}",
            f"the other partitions' rows are not in it: TABLE={relation.partition_of} has all",
        )
    if relation.children:
        yield Finding(
            "inherited",
            f"tables inherit from it: {in_words(relation.children)}",
            "their rows are in its answers, and its primary key is not kept across them",
        )


def _unstated(survey: Survey) -> Iterator[Finding]:
    """Constraints that a model does not state."""
    relation = survey.relation
    for each in relation.constraints:
        if each.kind == "f":
            yield Finding(
                "foreign-key",
                f"{each.name}: {each.definition}",
                "the database keeps it, and a row that breaks it is refused. The model does not state it, since the other table is"
                " not the service's: state it once both are",
                listed=("remove fk", word(each.name)),
            )
        elif each.kind == "x" or (each.kind == "u" and each.special):
            yield Finding(
                "unstated-constraint",
                f"{each.name}: {each.definition}",
                "the database keeps it; the model does not state it",
                listed=(word(each.name),),
            )


def _checks(survey: Survey) -> Iterator[Finding]:
    """Conditions of columns, which the rows of tests may not keep: they are not tried, since nothing is written."""
    checks = [
        each.name
        for each in survey.relation.constraints
        if each.kind == "c" and {*each.columns} - {survey.column.name}
    ]
    if checks and is_writable(survey):
        yield Finding(
            "checks",
            f"it has {'a CHECK' if len(checks) == 1 else 'CHECKs'}: {in_words(checks)}",
            "the model states them, and a row that breaks one is refused. Where check --database may write, it says whether the"
            " example rows in the table's module do: change example() there, and ROW in its test, to rows that the table takes",
            listed=(EXAMPLE_REFUSED,),
        )


def _as_text(survey: Survey) -> Iterator[Finding]:
    relation = survey.relation
    columns = [each for each in relation.columns if each.base not in WRITABLE]
    others = [each for each in relation.geometries if each != survey.geometry]
    shown = [f"{each.name} ({each.type})" for each in columns]
    shown += [f"{each.name} ({each.declared})" for each in others]
    if shown:
        yield Finding(
            "as-text",
            f"shown and filtered as text, and not written: {in_words(shown, 40)}",
            "no type of JSON stands for theirs",
        )
    served = [each.name for each in others if each.base == "geometry"]
    if served:
        yield Finding(
            "several-geometries",
            f"{survey.column.name} is served, of several geometry columns",
            f'a collection has one geometry. ARGS="geometry_column={served[0]}" serves that instead',
        )


def _copied_values(survey: Survey) -> Iterator[Finding]:
    """Values of rows that the project will have in its own files."""
    for name in survey.copied:
        yield Finding(
            "copied-value",
            f"the project's example rows have a value of {name} from this table: {survey.samples[name]!r}",
            "an example row has to have one, and nothing but the rows says which values the column takes. It is in the table's"
            " module, its tests and .template.json: put another in its place where the table's values are not for everyone who has the code",
        )


def _long_texts(survey: Survey) -> Iterator[Finding]:
    for name, length in survey.rows.longest.items():
        if length > LONG_TEXT:
            yield Finding(
                "long-text",
                f"{name} has up to {length:,} bytes in a row",
                "each page of a list carries it: leave it out of the schema of what is returned, or have it in a table of its own",
            )


#: The worst first.
REFUSALS: tuple[Finder, ...] = (_versions, _search_path, _cannot_read, _no_geometry)
GEOMETRY_REFUSALS: tuple[Finder, ...] = (_key, _refused_crs, _measures, _mixed_dimensions, _curves)
WARNINGS: tuple[Finder, ...] = (
    *(_outside, _invalid_indexes, _no_index, _no_geography_index, _partial_index, _weak_key),
    *(
        _untyped,
        _mixed_types,
        _invalid,
        _empty,
        _nulls,
        _unlogged,
        _rules,
        _read_only,
        _no_privilege,
    ),
    *(_watched, _several_indexes, _unstated, _checks, _as_text, _copied_values, _long_texts),
)


def find(survey: Survey) -> list[Finding]:
    """What is misaligned: what keeps it from being served before what does not."""
    found = [each for finder in REFUSALS for each in finder(survey)]
    if any(each.kind in ("cannot-read", "unread", "geography", "no-geometry") for each in found):
        # The rest is about rows that nobody could look at.
        return found
    found += [each for finder in (*GEOMETRY_REFUSALS, *WARNINGS) for each in finder(survey)]
    return sorted(found, key=lambda each: not each.refused)
