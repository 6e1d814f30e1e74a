"""What each face of an application offers to the rest of it: conformance classes, searches, schemas, examples, assets."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import sqlalchemy as sa
from fastapi import FastAPI

from geotables.collection import Collection
from geotables.db.statements import Condition, Statement
from geotables.geometry import metadata
from geotables.sql import keyset, paging
from geotables.sql.row_formats import RowFormat


class Search(NamedTuple):
    """A spatial query that a face sends: its name, the statement with its values, and the indexes meant for it."""

    name: str
    statement: Statement
    values: Mapping[str, Any]
    indexes: list[sa.Index]


def _no_searches(_collection: Collection) -> Iterable[Search]:
    return ()


def _nothing(_collection: Collection) -> Mapping[str, Any]:
    return {}


def page_searches(name: str, record: RowFormat, condition: Condition) -> Iterator[Search]:
    """The searches by which ``paging`` finds a page of rows in the geometry's index."""
    collection = record.collection
    rows = collection.rows()
    both = (rows, condition)
    pages = paging.Pages(
        record,
        keyset.by_id(collection),
        [each.expression for each in both],
        sa.true(),
        [each.candidates for each in both],
    )
    values = {**rows.values, **condition.values, "limit": 10, "offset": 0, "size": 1000}
    # A model without the index is a finding of its own.
    indexes = list(metadata.gist_indexes(collection.geometry))[:1]
    for statement in (pages.sorted_few, pages.sorted_all):
        yield Search(name, statement, values, indexes)


class Face(NamedTuple):
    """A way to use the collections.

    Attributes:
        name: ``rest``, ``features``, …
        conformance: The conformance classes of the OGC's standards that it meets.
        searches: The spatial queries that it sends of a collection, for the checks.
        schemas: The JSON Schemas of a collection that its routes refer to in the OpenAPI document, by their names.
        examples: Examples for the bodies of a collection's routes, by their paths in the OpenAPI document.
        assets: The path of the scripts and styles that draw maps; empty: none.
    """

    name: str
    conformance: tuple[str, ...] = ()
    searches: Callable[[Collection], Iterable[Search]] = _no_searches
    schemas: Callable[[Collection], Mapping[str, Any]] = _nothing
    examples: Callable[[Collection], Mapping[str, Any]] = _nothing
    assets: str = ""


def register(app: FastAPI, face: Face) -> None:
    """Add a face to an application."""
    faces_of(app).append(face)


def faces_of(app: FastAPI) -> list[Face]:
    """The faces of an application, in the order of main.py."""
    if not hasattr(app.state, "faces"):
        app.state.faces = []
    faces: list[Face] = app.state.faces
    return faces


def has_face(app: FastAPI, name: str) -> bool:
    """Whether an application has a face."""
    return any(face.name == name for face in faces_of(app))


def has_map(app: FastAPI) -> bool:
    """Whether pages have maps, which take two faces: tiles, and webmap to draw them."""
    return has_face(app, "tiles") and has_face(app, "webmap")
