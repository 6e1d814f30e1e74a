"""OGC API - Features, parts 3, 5 and 8: the properties of features, and those that conditions and sortby take."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, NamedTuple
from xml.sax.saxutils import quoteattr

import sqlalchemy as sa
from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict
from starlette.responses import Response

from geotables.collection import Collection
from geotables.features import json_schemas, pages
from geotables.features.items_query import queries_of
from geotables.http import formats, json_or_html
from geotables.http.formats import SCHEMA, SCHEMAS, XSD, url
from geotables.http.openapi import answers
from geotables.http.parameters import parsed

CONFORMANCE = tuple(
    f"http://www.opengis.net/spec/{name}"
    for name in (
        "ogcapi-features-3/1.0/conf/queryables",
        "ogcapi-features-3/1.0/conf/queryables-query-parameters",
        "ogcapi-features-5/1.0/conf/schemas",
        "ogcapi-common-3/1.0/conf/schemas",
        "ogcapi-common-3/1.0/conf/returnables-and-receivables",
        "ogcapi-common-3/1.0/conf/queryables",
        "ogcapi-common-3/1.0/conf/sortables",
        # A draft.
        "ogcapi-features-8/1.0/conf/sortables",
        "ogcapi-features-8/1.0/conf/sorting",
        "ogcapi-features-8/1.0/conf/features-sorting",
    )
)


class Description(NamedTuple):
    """A schema of a collection: the rest of its path, its name in operation ids and for people, and what makes it."""

    path: str
    name: str
    title: str
    make: Callable[[Collection], dict[str, Any]]


def _sortables(collection: Collection) -> dict[str, Any]:
    return json_schemas.properties_of(collection, queries_of(collection).columns.values())


DESCRIPTIONS = (
    Description("schema", "schema", "Schema", json_schemas.logical),
    Description("schema/feature", "geojson_schema", "GeoJSON schema", json_schemas.geojson),
    Description("queryables", "queryables", "Queryables", json_schemas.queryables),
    Description("sortables", "sortables", "Sortables", _sortables),
)


class NoQuery(BaseModel):
    """No parameters."""

    model_config = ConfigDict(extra="forbid")


def add_to(router: APIRouter, collection: Collection) -> None:
    """Add the routes of a collection's schemas to a router."""
    for description in DESCRIPTIONS:
        router.get(
            f"/collections/{collection.name}/{description.path}",
            operation_id=f"get_{description.name}_of_{collection.name}",
            summary=description.title,
            **json_or_html.options(SCHEMAS),
        )(_endpoint(collection, description))

    async def read_xml_schema(request: Request) -> Response:
        """The schema of features as an XML Schema, from which GDAL reads types that it cannot read from JSON Schema."""
        parsed(request, NoQuery)
        text = xml_schema(collection, url(request, f"/collections/{collection.name}"))
        return Response(text, media_type=XSD.media_type)

    router.get(
        f"/collections/{collection.name}/schema/xsd",
        operation_id=f"get_xml_schema_of_{collection.name}",
        summary="XML Schema",
        response_class=Response,
        responses=answers(HTTPStatus.BAD_REQUEST, formats=[XSD]),
    )(read_xml_schema)


def _endpoint(collection: Collection, description: Description) -> Callable[..., Any]:
    path = f"/collections/{collection.name}/{description.path}"

    async def read_schema(request: Request) -> Response:
        """Properties of the features, as JSON Schema."""
        schema = {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": url(request, path),
            "title": collection.title,
            "description": collection.description,
            **description.make(collection),
        }
        if json_or_html.wants_html(request, SCHEMAS):
            return pages.schema(request, collection, description.title, schema)
        return formats.json_response(schema, SCHEMA.media_type)

    return read_schema


#: The types of XML Schema; every other column is a string.
XML_TYPES: tuple[tuple[type[Any], str], ...] = (
    (sa.Boolean, "boolean"),
    (sa.SmallInteger, "short"),
    (sa.BigInteger, "long"),
    (sa.Integer, "int"),
    (sa.REAL, "float"),
    (sa.Numeric, "decimal"),
    (sa.Float, "double"),
    (sa.DateTime, "dateTime"),
    (sa.Date, "date"),
)

#: GML's types of geometries, and those whose names follow no rule.
GML_TYPE = "gml:{}PropertyType"
GML_NAMES = {
    "POINT": "Point",
    "LINESTRING": "Curve",
    "POLYGON": "Surface",
    "MULTIPOINT": "MultiPoint",
    "MULTILINESTRING": "MultiCurve",
    "MULTIPOLYGON": "MultiSurface",
    "GEOMETRYCOLLECTION": "MultiGeometry",
}

_XML = """<?xml version="1.0" encoding="UTF-8"?>
<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:gml="http://www.opengis.net/gml/3.2" xmlns:own={namespace} targetNamespace={namespace} elementFormDefault="qualified">
<xs:import namespace="http://www.opengis.net/gml/3.2" schemaLocation="http://schemas.opengis.net/gml/3.2.1/gml.xsd"/>
<xs:element name={name} type={type} substitutionGroup="gml:AbstractFeature"/>
<xs:complexType name={type_name}><xs:complexContent><xs:extension base="gml:AbstractFeatureType"><xs:sequence>
{elements}
</xs:sequence></xs:extension></xs:complexContent></xs:complexType>
</xs:schema>
"""


def xml_schema(collection: Collection, namespace: str) -> str:
    """The XML Schema of a collection's features.

    Of a JSON Schema GDAL has neither the type of the geometry nor integers of 64 bits, which it would cut to 32.
    """
    elements = []
    gml = GML_NAMES.get(collection.geometry_type)
    # GML has no type for heights: without one, GDAL looks at the features.
    if gml is not None and not collection.has_z:
        elements.append(_element(collection.geometry, GML_TYPE.format(gml)))
    for column in collection.properties:
        names = (name for kind, name in XML_TYPES if isinstance(column.type, kind))
        elements.append(_element(column, f"xs:{next(names, 'string')}"))
    return _XML.format(
        namespace=quoteattr(namespace),
        name=quoteattr(collection.name),
        type=quoteattr(f"own:{collection.name}Type"),
        type_name=quoteattr(f"{collection.name}Type"),
        elements="\n".join(elements),
    )


def _element(column: sa.Column[Any], type: str) -> str:
    optional = ' minOccurs="0" nillable="true"' if column.nullable else ""
    start = f"<xs:element name={quoteattr(column.name)}{optional}"
    length = getattr(column.type, "length", None)
    if type != "xs:string" or length is None:
        return f'{start} type="{type}"/>'
    return (
        f'{start}><xs:simpleType><xs:restriction base="xs:string"><xs:maxLength value="{length}"/>'
        "</xs:restriction></xs:simpleType></xs:element>"
    )
