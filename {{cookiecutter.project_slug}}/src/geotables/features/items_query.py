"""Which features a client asks for: the query parameters of the items, and the SQL conditions that they become."""

from collections.abc import Mapping
from functools import cache, lru_cache, partial
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
    create_model,
)
from pydantic_core import PydanticCustomError

from geotables.collection import Collection
from geotables.crs import WGS84, Reference
from geotables.db.statements import Condition
from geotables.features import boxes, cql, times
from geotables.http.column_queries import TEXT, ColumnQueries
from geotables.http.formats import FormatName
from geotables.http.parameters import BOX, Limit
from geotables.sql.row_formats import Selection


class FeatureQuery(BaseModel):
    """How to write a feature; ``Queries`` completes it for a collection."""

    model_config = ConfigDict(extra="forbid")

    f: FormatName[Literal["geojson", "json", "html"]] = None
    crs: Any
    properties: Any


class ItemsQuery(FeatureQuery):
    """Which features to list, and how; ``Queries`` completes it for a collection.

    A validator sees the values of the fields before its own: they keep their order.
    """

    f: FormatName[Literal["geojson", "json", "html", "csv", "jsonseq", "parquet", "fgb"]] = None  # type: ignore[assignment]
    limit: Limit = None
    offset: int = Field(default=0, ge=0, le=2**63 - 1, description="Features to pass over.")
    sortby: Any
    token: Any
    bbox_crs: Any
    bbox: Any
    filter_lang: Literal["cql2-text", "cql2-json"] = Field(
        default="cql2-text", alias="filter-lang", description="The language of filter."
    )
    filter_crs: Any
    filter: Any
    count: Literal["exact", "estimated", "none"] | None = Field(
        default=None,
        description="Whether to tell how many features there are: numberMatched, numberEstimated.",
    )
    result_type: Literal["hits", "results"] = Field(
        default="results",
        alias="resultType",
        description="hits: how many features there are, without the features.",
    )


class Queries(ColumnQueries):
    """The query parameters of a collection's features.

    Attributes:
        time: The column that ``datetime`` asks about.
        filter_references: The CRSs that the geometries of a filter may be in, by their URIs.
        feature: The parameters of one feature.
        items: Those of a page of them: with ``datetime`` where the collection has a time, and with one for each of
            ``parameters``, whose value the features must have.
    """

    def __init__(self, collection: Collection) -> None:
        taken = {
            "datetime",
            *(field.alias or name for name, field in ItemsQuery.model_fields.items()),
        }
        super().__init__(collection, taken | {name.replace("_", "-") for name in taken})
        self.time = collection.time
        # Filters are in the CRS of the table or in WGS 84.
        self.filter_references = {
            uri: reference
            for uri, reference in collection.references.items()
            if reference.srid in (WGS84, collection.crs.srid)
        }
        # Clients ask for the same again, for another page or another part of the map.
        self._compiled = lru_cache(maxsize=64)(self._compile)
        self.feature = self._feature_query()
        self.items = self._items_query()

    def conditions(self, query: ItemsQuery) -> list[Condition]:
        """Which rows a client asks for, of those that answers over many rows are about."""
        asked = (getattr(query, "when", None), query.filter)
        return [
            self._collection.rows(),
            *(query.bbox or ()),
            *(condition for condition in asked if condition is not None),
            *self.column_conditions(query),
        ]

    def _feature_query(self) -> type[FeatureQuery]:
        fields: dict[str, Any] = {"crs": self._crs(), "properties": self._properties()}
        return create_model("FeatureQuery", __base__=FeatureQuery, **fields)

    def _items_query(self) -> type[ItemsQuery]:
        time = self._collection.time
        fields: dict[str, Any] = {
            "crs": self._crs(),
            "properties": self._properties(),
            **self.order_fields(),
            "bbox_crs": (
                _reference_type(self._collection.references),
                self._default_crs("The CRS of bbox.", alias="bbox-crs"),
            ),
            "bbox": (
                Annotated[Any, PlainValidator(self._inside), BOX],
                Field(
                    default=None,
                    description="West, south, east, north; with heights in between: six numbers.",
                ),
            ),
            "filter_crs": (
                _reference_type(self.filter_references),
                self._default_crs("The CRS of the geometries in filter.", alias="filter-crs"),
            ),
            "filter": (
                Annotated[Any, PlainValidator(self._filtered), TEXT],
                Field(default=None, description="A condition in CQL2, over the queryables."),
            ),
        }
        if time is not None:
            fields["when"] = (
                Annotated[Any, PlainValidator(partial(_during, time)), TEXT],
                Field(
                    default=None,
                    alias="datetime",
                    description=f"An instant or an interval, of {time.name}; an end may be open (..).",
                ),
            )
        fields |= self.fields()
        return create_model("ItemsQuery", __base__=ItemsQuery, **fields)

    def _crs(self) -> tuple[Any, Any]:
        description = "The CRS of the coordinates, with its order of the axes."
        return _reference_type(self._collection.references), self._default_crs(description)

    def _default_crs(self, description: str, alias: str | None = None) -> Any:
        default = self._collection.default_crs.uri
        return Field(default=default, validate_default=True, alias=alias, description=description)

    def _properties(self) -> tuple[Any, Any]:
        collection = self._collection
        names = [*(column.name for column in collection.properties), collection.geometry.name]

        def read(text: Any) -> Selection:
            chosen = frozenset(str(text).split(",")) - {""}
            # A feature has its id in any case.
            unknown = chosen - {*names, collection.key.name}
            if unknown:
                reason = f"{min(unknown)!r:.100} is not one of {', '.join(names)}"
                raise PydanticCustomError("properties", "{reason}", {"reason": reason})
            return chosen & {*names}

        schema = {"type": "array", "items": {"type": "string", "enum": names}}
        described = "The properties to return, all unless given; the geometry is one of them."
        return (
            Annotated[Any, PlainValidator(read), WithJsonSchema(schema)],
            Field(default=None, description=described),
        )

    def _inside(self, value: Any, others: ValidationInfo) -> list[Condition] | None:
        # It is missing where bbox-crs is wrong, which has an error of its own.
        reference = others.data.get("bbox_crs")
        return None if reference is None else boxes.inside(self._collection, value, reference)

    def _filtered(self, text: Any, others: ValidationInfo) -> Condition | None:
        reference: Reference | None = others.data.get("filter_crs")
        lang: str | None = others.data.get("filter_lang")
        if reference is None or lang is None:
            return None
        try:
            return Condition(self._compiled(str(text), lang, reference), indexed=True)
        except cql.FilterError as error:
            raise PydanticCustomError("filter", "{reason}", {"reason": str(error)}) from error

    def _compile(self, text: str, lang: str, reference: Reference) -> sa.ColumnElement[bool]:
        srid, swapped = reference.srid, reference.swapped
        return cql.compile_filter(self._collection, text, lang, srid, swapped=swapped)


@cache
def queries_of(collection: Collection) -> Queries:
    """The query parameters of a collection's features; made once."""
    return Queries(collection)


def _reference_type(references: Mapping[str, Reference]) -> Any:
    """The Pydantic type of a parameter that names a CRS by its URI."""

    def read(uri: Any) -> Reference:
        if uri not in references:
            reason = f"not one of {', '.join(references)}"
            raise PydanticCustomError("crs", "{reason}", {"reason": reason})
        return references[uri]

    schema = {"type": "string", "format": "uri", "enum": list(references)}
    return Annotated[Any, PlainValidator(read), WithJsonSchema(schema)]


def _during(column: sa.Column[Any], text: Any) -> Condition:
    try:
        return times.during(column, times.interval(str(text)))
    except ValueError as error:
        raise PydanticCustomError("datetime", "{reason}", {"reason": str(error)}) from error
