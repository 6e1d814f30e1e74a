"""OGC API - Features, part 3: the properties that conditions may ask about."""

from http import HTTPStatus

from fastapi import APIRouter, Request
from starlette.responses import Response

from geotables.collection import Collection
from geotables.features import pages
from geotables.http import formats, json_schemas
from geotables.http.formats import HTML, SCHEMA, SCHEMAS, url
from geotables.http.html_pages import FormatQuery
from geotables.http.openapi import answers
from geotables.http.parameters import documented, parsed

CONFORMANCE = (
    "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/queryables",
    "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/queryables-query-parameters",
)


def add_to(router: APIRouter, collection: Collection) -> None:
    """Add the route of a collection's queryables to a router."""
    path = f"/collections/{collection.name}/queryables"

    async def read_queryables(request: Request) -> Response:
        """The properties that conditions may ask about, as JSON Schema."""
        schema = {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": url(request, path),
            "title": collection.title,
            **json_schemas.queryables(collection),
        }
        if formats.negotiated(request, parsed(request, FormatQuery).f, SCHEMAS) is HTML:
            return pages.queryables(request, collection)
        return formats.json_response(schema, SCHEMA.media_type)

    router.get(
        path,
        operation_id=f"get_queryables_of_{collection.name}",
        response_class=Response,
        responses=answers(HTTPStatus.BAD_REQUEST, formats=SCHEMAS),
        openapi_extra={"parameters": documented(FormatQuery)},
    )(read_queryables)
