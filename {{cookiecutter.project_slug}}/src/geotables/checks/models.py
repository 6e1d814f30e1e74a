"""Whether the models are what geotables can serve."""

import importlib.util
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from geotables.collection import Collection, UnsupportedKey
from geotables.db.statements import OWN
from geotables.geometry import GEOJSON_TYPES, metadata
from geotables.geometry.metadata import GeometryColumn
from geotables.service import Service


def file_of(service: Service, collection: Collection) -> str:
    """The file that states a collection's model, such as ``tables/facilities.py`` in the project's package."""
    module = sys.modules[collection.model.__module__]
    file, spec = Path(str(module.__file__)), importlib.util.find_spec(service.package)
    if spec is not None and spec.origin is not None:
        package = Path(spec.origin).parent
        if file.is_relative_to(package):
            file = file.relative_to(package)
    return file.as_posix()


def check_collections(service: Service) -> Iterator[str]:
    """See that each collection has what it is served by."""
    names = Counter(collection.name for collection in service.collections)
    for name, number in names.items():
        if number > 1:
            yield f"COLLECTIONS: {number} collections have the name {name}: each needs one of its own (Collection(…, name=…))"
        if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
            yield f"COLLECTIONS: {name!r} is no name for URLs: Collection(…, name={_snake_case(name)!r})"
    classes = Counter(
        schema.__name__
        for each in service.collections
        for schema in (each.create, each.read)
        if schema is not None
    ) + Counter(each.model.__name__ for each in service.collections)
    for name, number in classes.items():
        if number > 1:
            yield f"COLLECTIONS: {number} classes have the name {name}, and the API's documentation one schema of this name"
    for collection in service.collections:
        if collection.table.metadata is not service.migrations.metadata:
            yield f"COLLECTIONS: {collection.name} is not in the metadata of MIGRATIONS: no revision would make it"
        for problem in _lacking(collection):
            yield f"{file_of(service, collection)}: {problem}"


def _snake_case(name: str) -> str:
    """A name for URLs that is like another."""
    words = re.findall("[a-z0-9]+", name.lower())
    if not words or not words[0][0].isalpha():
        words.insert(0, "table")
    return "_".join(words)


def _lacking(collection: Collection) -> Iterator[str]:
    returned, name = collection.shown, collection.read.__name__
    annotated = collection.annotated()
    try:
        key = collection.key.name
    except UnsupportedKey as error:
        yield str(error)
    else:
        if key not in returned:
            yield f"{name} has no {key}, the primary key of {collection.name}"
    for column in collection.table.columns:
        if column.name.startswith(OWN):
            yield f"{column} has a name that geotables uses itself: no column's begins with {OWN}"
    geometry = collection.geometry.name
    if geometry not in returned:
        yield f"{name} has no {geometry}, the geometry of {collection.name}"
    elif geometry not in annotated:
        yield f"{name}.{geometry} does not say how it is written: Annotated[BaseGeometry, GeoJSON(…)], or WKT(…)"
    if collection.is_view and collection.is_writable:
        yield (
            f"{collection.name} is a view (is_view), whose rows have no versions that a write could be checked against:"
            " leave out create=…"
        )
    for column in metadata.geometry_columns(collection.table):
        if column is not collection.geometry and column.name in returned:
            yield (
                f"{name} has {column.name}, a geometry of {collection.name} that is not served: leave it out,"
                ' or map it as AsText("geometry(…)"), which shows it as text'
            )


def check_columns(service: Service) -> Iterator[str]:
    """See that every geometry column has a type and a CRS, and indexes unless another one of its table is served."""
    served = {collection.geometry: collection for collection in service.collections}
    tables = {collection.table for collection in service.collections}
    for table in service.migrations.metadata.sorted_tables:
        for column in metadata.geometry_columns(table):
            yield from _check_type(column)
            if column in served or table not in tables:
                yield from _check_indexes(column, served.get(column))


def _check_type(column: GeometryColumn) -> Iterator[str]:
    if metadata.geometry_type(column) not in (*GEOJSON_TYPES, "GEOMETRY"):
        yield f"{column}: its geometry type is {metadata.geometry_type(column)}, which GeoJSON does not have"
    if metadata.srid(column) <= 0:
        yield f"{column}: its SRID is {metadata.srid(column)}: PostGIS would store 0, an unknown CRS"


def _check_indexes(column: GeometryColumn, collection: Collection | None) -> Iterator[str]:
    names = [str(index.name) for index in metadata.gist_indexes(column)]
    if metadata.has_automatic_index(column):
        names.append("the one that spatial_index=True has GeoAlchemy2 make")
    if metadata.is_view(column.table) and not names:
        # The indexes of a view are those of its tables.
        return
    if len(names) != 1:
        listed = " and ".join(names) or "none"
        yield f"{column}: it has {len(names)} GiST indexes in the model, not one: {listed}"
    geography = list(metadata.geography_indexes(column))
    if collection is not None and len(geography) != collection.crs.geographic:
        wanted = int(collection.crs.geographic)
        yield f"{column}: it has {len(geography)} geography indexes in the model, not {wanted}"
    predicates = {
        str(metadata.predicate(index)) for index in (*metadata.gist_indexes(column), *geography)
    }
    if len(predicates) > 1:
        yield f"{column}: its spatial indexes are of different rows: {' and '.join(sorted(predicates))}"
