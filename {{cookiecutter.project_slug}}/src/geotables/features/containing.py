"""The form of the items page that asks for text in a column: it leads to the items with the filter that finds it."""

import re
from http import HTTPStatus
from typing import Any

import orjson
import sqlalchemy as sa
from fastapi import APIRouter, Request
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from geotables.collection import Collection
from geotables.features import cql
from geotables.features.items_query import Queries, queries_of
from geotables.http.formats import url


def is_text(column: sa.Column[Any], queries: Queries) -> bool:
    """Whether conditions can ask for text that a column contains."""
    return column.name in queries.columns and isinstance(column.type, sa.String)


def add_to(router: APIRouter, collection: Collection) -> None:
    """Add the route that forms are sent to; it reads no rows, and needs no key."""
    queries = queries_of(collection)
    names = {column.name for column in collection.columns if is_text(column, queries)}

    async def find_containing(request: Request) -> Response:
        """Lead to the features whose text contains the last parameter; the others stay."""
        column, parameters = request.path_params["column"], request.query_params.multi_items()
        if column not in names or not parameters:
            raise HTTPException(HTTPStatus.NOT_FOUND, f"no column with text is called {column}")
        *kept, (_, text) = parameters
        asked = dict(kept)
        asked["filter"] = _with_text(
            asked.get("filter", ""), asked.get("filter-lang", ""), column, text
        )
        items = url(request, f"/collections/{collection.name}/items")
        return RedirectResponse(f"{items}?{QueryParams(asked)}", HTTPStatus.SEE_OTHER)

    path = f"/collections/{collection.name}/containing/{{column:path}}"
    router.get(path, include_in_schema=False)(find_containing)


def _with_text(condition: str, lang: str, column: str, text: str) -> str:
    """A filter in CQL2 for what also has a text in a column, in upper or lower case."""
    escaped = re.sub(r"([%_\\])", r"\\\1", text)
    pattern = f"%{escaped}%"
    if lang == "cql2-json":
        cased = [{"op": "casei", "args": [each]} for each in ({"property": column}, pattern)]
        tree: dict[str, Any] = {"op": "like", "args": cased}
        try:
            tree = {"op": "and", "args": [orjson.loads(condition), tree]} if condition else tree
        except ValueError:
            # The page says what is wrong with it.
            return condition
        return orjson.dumps(tree).decode()
    quoted = pattern.replace("'", "''")
    like = f"CASEI({cql.property_name(column)}) LIKE CASEI('{quoted}')"
    return f"({condition}) AND {like}" if condition else like
