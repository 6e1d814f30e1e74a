"""The template's answers for a file of features: what it stores, and how it is loaded without loss."""

import argparse
import re
import shlex
import sys
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import shapely

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "{{cookiecutter.project_slug}}" / "src")]

from geotables.files.fields import Field, Fields
from geotables.files.sources import OpenOptions, Source, SourceError, source, srid_of
from geotables.files.sources.gdal import Layer
from geotables.geometry import GEOJSON_TYPES

from adoption import naming
from parameters import epsg, geometry_column, names, parse_attributes
from parameters.columns import Table, dump
from parameters.relation import own_columns

TYPES = {int(shapely.GeometryType[name]): name for name in GEOJSON_TYPES}


@dataclass
class Contents:
    """What all the features of a file are like."""

    source: Source
    fields: Fields
    ids: Fields
    features: int = 0
    #: What cannot be read, by reason.
    broken: list[str] = field(default_factory=list)
    missing: int = 0
    kinds: set[str] = field(default_factory=set)
    #: Geometries with a third coordinate, with one that is not 0, and with a measure.
    with_z: int = 0
    with_height: int = 0
    with_m: int = 0
    beyond_degrees: int = 0

    @property
    def placed(self) -> int:
        """Features that have a geometry."""
        return self.features - self.missing - len(self.broken)


@dataclass
class FileAnswers:
    """How a file is served.

    Attributes:
        answers: The template's.
        load: Options of the command ``load``.
        lines: What a person should know of them.
        features: How many there are.
    """

    answers: dict[str, str]
    load: list[str]
    lines: list[str]
    features: int


def options_of_load(text: str) -> tuple[argparse.Namespace, list[str]]:
    """Those that say how to read the file, and all of them."""
    parser = argparse.ArgumentParser(prog="LOAD_ARGS", add_help=False, allow_abbrev=False)
    parser.add_argument("--source-crs", type=srid_of)
    for name in ("--layer", "--encoding", "--x", "--y", "--z"):
        parser.add_argument(name)
    parser.add_argument("--linearize", action="store_true")
    parser.add_argument("--force-2d", action="store_true")
    words = shlex.split(text)
    return parser.parse_known_args(words)[0], words


def read(path: Path, options: argparse.Namespace, *, linearize: bool = False) -> Contents:
    """Read a file from end to end.

    Raises:
        SourceError: It cannot be read, or its layer or CRS has to be said.
    """
    features = source(
        path,
        options=OpenOptions(
            srid=options.source_crs,
            layer=options.layer,
            encoding=options.encoding,
            linearize=linearize or options.linearize,
            x=options.x,
            y=options.y,
            z=options.z,
        ),
    )
    found = Contents(features, features.fields(), Fields({}))
    for batch in features.batches():
        found.features += len(batch.positions)
        found.broken += batch.problems.values()
        found.fields.add(batch.properties)
        found.ids.add({"id": each} for each in batch.ids if each is not None)
        shapes = batch.geometries
        there = ~shapely.is_missing(shapes)
        found.missing += (
            len(shapes) - int(there.sum()) - sum(not there[at] for at in batch.problems)
        )
        shapes = shapes[there]
        kinds = np.unique(shapely.get_type_id(shapes)).tolist()
        found.kinds |= {TYPES.get(kind, "LINESTRING") for kind in kinds}
        has_z = shapely.has_z(shapes)
        found.with_z += int(has_z.sum())
        heights = shapely.get_coordinates(shapes[has_z], include_z=True)[:, 2]
        found.with_height += bool(np.any(np.nan_to_num(heights)))
        found.with_m += int(shapely.has_m(shapes).sum()) if hasattr(shapely, "has_m") else 0
        bounds = np.abs(shapely.bounds(shapes))
        found.beyond_degrees += int(((bounds[:, 2] > 360) | (bounds[:, 3] > 90.1)).sum())
    return found


def answers(path: Path, load_arguments: str, asked: Mapping[str, str]) -> FileAnswers:
    """What the template is to be asked for a file.

    Args:
        path: The file.
        load_arguments: Options of the command ``load``.
        asked: Answers that are given, whatever the file says.

    Raises:
        SourceError: The file cannot be served; the message says what to do.
    """
    options, load = options_of_load(load_arguments)
    found, lines = read(path, options), []
    if found.broken and isinstance(found.source, Layer) and not options.linearize:
        without_curves = read(path, options, linearize=True)
        if len(without_curves.broken) < len(found.broken):
            lines.append(
                "curves become lines (--linearize): PostGIS can store them, GeoJSON cannot"
            )
            load.append("--linearize")
            found = without_curves
    undecoded = [each for each in found.broken if "--encoding" in each]
    if undecoded and options.encoding is None:
        raise SourceError(f"{path}: {undecoded[0]}")
    if found.broken and len(found.broken) == found.features:
        raise SourceError(f"{path}: no feature can be read: {found.broken[0]}")
    srid = _srid(path, found, options)
    given = _names(path, options.layer)
    given["srid"] = str(srid)
    given["geometry_type"] = _geometry_type(found)
    given |= _dimension(found, options, lines)
    given |= {name: value for name, value in asked.items() if name in given}
    taken = {**given, **asked}
    columns = _columns(found, taken, lines)
    given["attributes"] = " ".join(field.declaration(name) for name, field in columns.items())
    taken = {**given, **asked}
    given["geometry_column"] = geometry_column(taken["attributes"])
    if found.missing:
        lines.append(f"{_count(found.missing)} no geometry: the column may be NULL")
        given["_table"] = dump(Table(geometry_nullable=True))
    declared = {each.name for each in parse_attributes(taken["attributes"])}
    for number, (name, each) in enumerate(columns.items()):
        if name in declared and not number and _has_own_ids(found):
            load += ["--id-to", name]
        elif name in declared and each.name.casefold() != name:
            load += ["--map", f"{each.name}={name}"]
    if taken.get("geometry_dimension") == "XY" and found.with_z + found.with_m:
        load += ["--force-2d"] * ("--force-2d" not in load)
    if options.source_crs is None and taken["srid"] != str(srid):
        load += ["--source-crs", f"EPSG:{srid}"]
    if found.broken:
        lines.append(
            f"what cannot be read is left out ({len(found.broken):,} of {found.features:,}): {found.broken[0]}"
        )
    system = epsg.crs(taken["srid"])
    kind = taken["geometry_type"] + "Z" * (taken.get("geometry_dimension") == "XYZ")
    heading = (
        f"{path}: {found.features:,} features; the table stores {kind} in EPSG:{taken['srid']}"
    )
    if system is not None:
        heading += f" ({system.name})"
    return FileAnswers(given, load, [heading, *lines], found.features)


def _count(number: int) -> str:
    return "1 feature has" if number == 1 else f"{number:,} features have"


def _srid(path: Path, found: Contents, options: argparse.Namespace) -> int:
    srid = found.source.srid
    if reason := epsg.why_refused(str(srid)):
        candidates = (
            each for each in epsg.srid_candidates(str(srid)) if not epsg.why_refused(each)
        )
        instead = next(candidates)
        advice = f"EPSG:{instead}" if instead != epsg.USUAL else "EPSG:n"
        raise SourceError(
            f"{path}: EPSG:{srid} {reason}; say which one it is in x and y: --source-crs {advice}"
        )
    system = epsg.crs(srid)
    if system and system.geographic and found.beyond_degrees * 2 > found.placed:
        raise SourceError(
            f"{path}: its coordinates are not degrees, as EPSG:{srid} has them; say its CRS with --source-crs EPSG:n"
        )
    return srid


def _names(path: Path, layer: str | None) -> dict[str, str]:
    """The names of table, resource and project, after the file or its layer."""
    name = layer or re.sub(ENDINGS, "", path.name)
    words = " ".join(re.findall(r"[^\W_]+", name))[:100]
    table = naming.collection(name)
    return {
        "project_name": f"{words[:1].upper()}{words[1:]} Service".strip(),
        "resource_name": naming.resource(table),
        "table_name": table,
    }


#: What follows a file's own name: .csv.gz, .shp.zip.
ENDINGS = (
    r"(?i)(\.(\w*json\w*|csv|tsv|xlsx|ods|shp|gpkg|fgb|gml|kml|parquet|gz|zip))+$|(?<=.)\.\w+$"
)


def _geometry_type(found: Contents) -> str:
    kinds = set(found.kinds)
    declared = getattr(found.source, "geometry_type", "")
    declared = re.sub(r"^(2\.5D|3D Measured|3D|Measured) | (Z|M|ZM)$", "", declared).upper()
    if declared in GEOJSON_TYPES:
        # A Shapefile has one type for a whole and for many parts.
        many = getattr(found.source, "driver", "") == "ESRI Shapefile" and declared != "POINT"
        kinds.add(f"MULTI{declared.removeprefix('MULTI')}" if many else declared)
    parts = {kind.removeprefix("MULTI") for kind in kinds}
    if len(kinds) == 1:
        return next(iter(kinds))
    if len(parts) == 1:
        return f"MULTI{parts.pop()}"
    return "GEOMETRY"


def _dimension(found: Contents, options: argparse.Namespace, lines: list[str]) -> dict[str, str]:
    if options.force_2d:
        return {"geometry_dimension": "XY"}
    if found.with_m:
        lines.append(
            "measures (M) are left out, and heights with them (--force-2d): PostGIS stores neither here"
        )
        return {"geometry_dimension": "XY"}
    declared = getattr(found.source, "geometry_type", "")
    if not found.placed and re.search(r"3D|2\.5D| Z", declared):
        return {"geometry_dimension": "XYZ"}
    if not found.with_z:
        return {"geometry_dimension": "XY"}
    if not found.with_height:
        lines.append("every height is 0: the table stores none (--force-2d)")
        return {"geometry_dimension": "XY"}
    if found.with_z < found.placed:
        lines.append(
            f"{_count(found.placed - found.with_z)} no height, the others lose theirs (--force-2d)"
        )
        return {"geometry_dimension": "XY"}
    return {"geometry_dimension": "XYZ"}


def _columns(found: Contents, answers: Mapping[str, str], lines: list[str]) -> dict[str, Field]:
    """The file's fields by the names of their columns."""
    fields = [*(found.ids.all() if _has_own_ids(found) else ()), *found.fields.all()]
    own = own_columns(answers) | {answers.get("geometry_column", "")}
    kept = {each.name for each in fields if not names.column_rule(each.name)} - own
    columns: dict[str, Field] = {}
    for each in fields:
        if not each.type:
            lines.append(f"{names.shown(each.name)} is left out: no attribute holds its type")
            continue
        name = each.name
        if name not in kept:
            name = _column_name(name, answers["resource_name"], own | kept | {*columns})
            lines.append(f"{names.shown(each.name)} is stored as {name}")
        columns[name] = each
    return columns


def _has_own_ids(found: Contents) -> bool:
    """Whether the features have ids beside their properties."""
    return bool(found.ids.all()) and all(each.name != "id" for each in found.fields.all())


def _column_name(name: str, resource: str, taken: Set[str]) -> str:
    """A name like one that no column can have."""
    letters = names.cleaned(re.sub(r"^(\W*\d)", r"column \1", name)) or "column"
    candidates = (
        f"{resource}_id" if name.lower() == "id" else letters,
        f"{letters}_value",
        *(f"{letters}_{number}" for number in range(2, 2000)),
    )
    return names.first_valid(
        candidates, lambda each: names.column_rule(each) or "taken" * (each in taken)
    )
