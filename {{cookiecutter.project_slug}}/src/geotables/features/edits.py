"""OGC API - Features, part 4: features are created, replaced, updated and deleted, and no change undoes another."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request, params
from starlette.responses import Response

from geotables.collection import Collection
from geotables.crs import Reference
from geotables.features.bodies import FEATURES, PATCHES, feature_bodies_of
from geotables.features.json_schemas import feature_example, name_of
from geotables.features.routes import Items, described, missing
from geotables.http import formats, openapi
from geotables.http.bodies import documented_body, refused
from geotables.http.changes import Changes
from geotables.http.formats import GEOJSON
from geotables.http.ids import in_path
from geotables.http.json_schemas import reference
from geotables.http.openapi import answers
from geotables.http.parameters import database_of
from geotables.http.routing import typed
from geotables.sql import writes

CONFORMANCE = tuple(
    f"http://www.opengis.net/spec/ogcapi-features-4/1.0/conf/{name}"
    for name in ("create-replace-delete", "update", "features", "optimistic-locking-etags")
)

#: Why a change may be refused, apart from what every route may answer.
REFUSED = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.CONFLICT,
    HTTPStatus.PRECONDITION_FAILED,
    HTTPStatus.UNPROCESSABLE_ENTITY,
)

#: The answer to a change whose client prefers none.
WITHOUT_BODY: dict[int | str, dict[str, Any]] = {
    int(HTTPStatus.NO_CONTENT): {"description": "Changed, as Prefer: return=minimal has it."}
}


def examples(collection: Collection) -> dict[str, Any]:
    """A feature for the bodies of a collection's routes; none of a read-only collection."""
    if not collection.is_writable:
        return {}
    items, feature = f"/collections/{collection.name}/items", feature_example(collection)
    return {items: feature, f"{items}/{{id}}": feature}


class Edits:
    """Changes of the features of a collection."""

    def __init__(self, items: Items) -> None:
        self._collection, self._items = items.collection, items
        self._bodies = feature_bodies_of(items.collection)
        #: What answers are made of, whatever CRS the request is in.
        self._record = items.geojson[items.collection.default_crs.uri]
        self._changes = Changes(self._record, missing)

    def add_to(self, router: APIRouter, dependencies: Sequence[params.Depends]) -> None:
        """Add the routes that change features to a router.

        Args:
            router: The router.
            dependencies: Those of routes that write.
        """
        collection, bodies, item = self._collection, self._bodies, self._items.item
        typed_body = {"body": bodies.feature_body, "crs": bodies.content_crs}
        feature, new = name_of(collection, "Feature"), name_of(collection, "NewFeature")
        news = name_of(collection, "NewFeatureOrCollection")
        router.post(
            self._items.items,
            operation_id=f"create_features_of_{collection.name}",
            response_class=Response,
            status_code=HTTPStatus.CREATED,
            responses=answers(
                *REFUSED,
                success=HTTPStatus.CREATED,
                formats=[GEOJSON],
                schema=name_of(collection, "FeatureOrCollection"),
            ),
            openapi_extra=documented_body(reference(news), FEATURES, "Content-Crs", "Prefer"),
            dependencies=dependencies,
        )(typed(self.create_features, **typed_body))
        router.put(
            item,
            operation_id=f"replace_feature_of_{collection.name}",
            response_class=Response,
            responses=answers(*REFUSED, formats=[GEOJSON], schema=feature) | WITHOUT_BODY,
            openapi_extra=documented_body(
                reference(new), FEATURES, "Content-Crs", "If-Match", "Prefer"
            ),
            dependencies=dependencies,
        )(typed(self.replace_feature, **typed_body))
        router.patch(
            item,
            operation_id=f"update_feature_of_{collection.name}",
            response_class=Response,
            responses=answers(*REFUSED, formats=[GEOJSON], schema=feature) | WITHOUT_BODY,
            openapi_extra=documented_body(
                reference("FeaturePatch"), PATCHES, "Content-Crs", "If-Match", "Prefer"
            ),
            dependencies=dependencies,
        )(typed(self.change_feature, body=bodies.patch_body, crs=bodies.content_crs))
        router.delete(
            item,
            operation_id=f"delete_feature_of_{collection.name}",
            response_class=Response,
            status_code=HTTPStatus.NO_CONTENT,
            openapi_extra={"parameters": openapi.headers("If-Match")},
            responses=answers(
                HTTPStatus.NOT_FOUND,
                HTTPStatus.CONFLICT,
                HTTPStatus.PRECONDITION_FAILED,
                success=HTTPStatus.NO_CONTENT,
            ),
            dependencies=dependencies,
        )(self.delete_feature)

    def create_features(self, request: Request, body: Any, crs: Reference) -> Response:
        """Add a feature, or all the features of a collection: every one, or none if one is refused."""
        record, default = self._record, self._collection.default_crs
        if not (isinstance(body, dict) and body.get("type") == "FeatureCollection"):
            new = self._bodies.row_of(body, crs)
            row = writes.insert(database_of(request), record, new)
            created = record.encode_one(row)
            headers = described(row, GEOJSON, default)
            own = f"{self._items.items}/{in_path(record.id_of(row))}"
            headers["Location"] = formats.url(request, own)
            return _preferred(request, created, HTTPStatus.CREATED, headers)
        features = body.get("features")
        if not isinstance(features, list):
            raise refused("the features of a FeatureCollection are an array", "features")
        news = self._bodies.rows_of(features, crs, "features")
        with writes.transaction(database_of(request), self._collection) as writing:
            rows = writing.insert(record, news)
        collection = {"type": "FeatureCollection", "features": record.encode(rows)}
        headers = {"Content-Crs": f"<{default.uri}>"}
        return _preferred(request, collection, HTTPStatus.CREATED, headers)

    def replace_feature(self, request: Request, id: str, body: Any, crs: Reference) -> Response:
        """Put another feature in the place of one; its id stays, and what is left out goes back to its default."""
        before = self._items.geojson[crs.uri]
        key = self._items.known(id)
        new = self._bodies.row_of(body, crs, replaces=key)
        shape = body.get("geometry")

        def change(stored: Any) -> Any:
            return new, self._bodies.rows.replaced(new, shape, stored, "geometry")

        row = self._changes.update(request, key, change, shape=shape, before=before)
        return self._changed(request, row)

    def change_feature(self, request: Request, id: str, body: Any, crs: Reference) -> Response:
        """Change the members that a JSON merge patch (RFC 7396) names; null takes one back to its default."""
        if not isinstance(body, dict):
            raise refused("a patch of a feature is an object")
        key = self._items.known(id)
        row = self._changes.update(
            request,
            key,
            lambda stored: self._bodies.change_of(body, stored, crs, key),
            shape=body.get("geometry"),
            # A patch of the geometry applies to it in the CRS of the request.
            before=self._items.geojson[crs.uri] if "geometry" in body else None,
            merges=self._bodies.merges(body),
        )
        return self._changed(request, row)

    def delete_feature(self, request: Request, id: str) -> Response:
        """Remove a feature."""
        self._changes.delete(request, self._items.known(id))
        return Response(status_code=HTTPStatus.NO_CONTENT)

    def _changed(self, request: Request, row: Sequence[Any]) -> Response:
        headers = described(row, GEOJSON, self._collection.default_crs)
        return _preferred(request, self._record.encode_one(row), HTTPStatus.OK, headers)


def _preferred(
    request: Request, content: Any, status: HTTPStatus, headers: dict[str, str]
) -> Response:
    """The answer to a change as the client prefers it (RFC 7240): with what is stored now, or without a body.

    Bodies are always read strictly: a client that prefers ``handling=lenient`` is not told that it was applied.
    """
    preferences = _preferences(request)
    returned = preferences.get("return")
    applied = [f"return={returned}"] if returned in ("minimal", "representation") else []
    if preferences.get("handling") == "strict":
        applied.append("handling=strict")
    if applied:
        headers["Preference-Applied"] = ", ".join(applied)
    if returned != "minimal":
        return formats.json_response(content, GEOJSON.media_type, status, headers)
    if status is HTTPStatus.OK:
        status = HTTPStatus.NO_CONTENT
    return Response(status_code=status, headers={"Vary": "Prefer", **headers})


def _preferences(request: Request) -> dict[str, str]:
    """What a client prefers, by its names; of one that is given twice the first."""
    preferences: dict[str, str] = {}
    for header in request.headers.getlist("prefer"):
        for preference in header.split(","):
            name, _, value = preference.partition(";")[0].partition("=")
            preferences.setdefault(name.strip().lower(), value.strip(' \t"').lower())
    return preferences
