"""Which features a client asks for: the query parameters of the items, and the SQL conditions that they become."""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cache, lru_cache, partial
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
    create_model,
)
from pydantic_core import PydanticCustomError

from geotables import json_numbers
from geotables.collection import Collection
from geotables.column_types import Date, Timestamp
from geotables.crs import WGS84, Reference
from geotables.db.statements import Condition
from geotables.features import boxes, cql, times
from geotables.http.formats import FORMAT
from geotables.http.parameters import BOX, Limit
from geotables.sql.keyset import Key, Order, TokenError, by_id

#: The schema of a parameter that is text to the client, whatever it becomes here.
TEXT = WithJsonSchema({"type": "string"})


class FeatureQuery(BaseModel):
    """How to write a feature; ``Queries`` completes it for a collection."""

    model_config = ConfigDict(extra="forbid")

    f: Annotated[Literal["geojson", "json", "html"] | None, FORMAT] = Field(
        default=None, description="The format; without it the header Accept is asked."
    )
    crs: Any


def _after(token: str | None, others: ValidationInfo) -> Condition | None:
    if token is None or "sortby" not in others.data:
        return None
    if others.data.get("offset"):
        raise PydanticCustomError("token", "either a token or an offset, not both")
    order: Order = others.data["sortby"]
    try:
        return order.after(order.read(token))
    except TokenError as error:
        raise PydanticCustomError("token", "{reason}", {"reason": str(error)}) from error


class ItemsQuery(FeatureQuery):
    """Which features to list, and how; ``Queries`` completes it for a collection.

    A validator sees the values of the fields before its own: they keep their order.
    """

    f: Annotated[Literal["geojson", "json", "html", "csv", "jsonseq"] | None, FORMAT] = Field(  # type: ignore[assignment]
        default=None, description="The format; without it the header Accept is asked."
    )
    limit: Limit = None
    offset: int = Field(default=0, ge=0, le=2**63 - 1, description="Features to pass over.")
    sortby: Any
    token: Annotated[Any, PlainValidator(_after), TEXT] = Field(
        default=None, description="Where the page begins; links to the next page have it."
    )
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


class Queries:
    """The query parameters of a collection's features.

    Attributes:
        columns: The columns that features can be sorted by.
        parameters: Those of them that have a parameter of their own, by its field: all whose name is not that of another.
        time: The column that ``datetime`` asks about.
        filter_references: The CRSs that the geometries of a filter may be in, by their URIs.
        feature: The parameters of one feature.
        items: Those of a page of them: with ``datetime`` where the collection has a time, and with one for each of
            ``parameters``, whose value the features must have.
    """

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self.columns = {
            column.name: column
            for column in collection.columns
            if column is not collection.geometry and not isinstance(column.type, sa.JSON)
        }
        taken = {
            "datetime",
            *(field.alias or name for name, field in ItemsQuery.model_fields.items()),
        }
        taken |= {name.replace("_", "-") for name in taken}
        self.parameters = {
            f"column_{number}": column
            for number, column in enumerate(self.columns.values())
            if column.name not in taken
        }
        self.time = collection.time
        # The rows that have a value in each of them.
        self._equal = {
            field: column == _given(field, column) for field, column in self.parameters.items()
        }
        # Filters are in the CRS of the table or in WGS 84.
        self.filter_references = {
            uri: reference
            for uri, reference in collection.references.items()
            if reference.srid in (WGS84, collection.crs.srid)
        }
        # Clients ask for the same again, for another page or another part of the map.
        self._order = lru_cache(maxsize=64)(self._read_order)
        self._compiled = lru_cache(maxsize=64)(self._compile)
        self.feature = self._feature_query()
        self.items = self._items_query()

    def conditions(self, query: ItemsQuery) -> list[Condition]:
        """Which rows a client asks for, of those that answers over many rows are about."""
        wanted = [self._collection.rows(), *(query.bbox or ())]
        for condition in (getattr(query, "when", None), query.filter):
            if condition is not None:
                wanted.append(condition)
        wanted += [
            Condition(self._equal[field], {field: getattr(query, field)})
            for field in self.parameters
            if field in query.model_fields_set
        ]
        return wanted

    def _feature_query(self) -> type[FeatureQuery]:
        fields: dict[str, Any] = {"crs": self._crs()}
        return create_model("FeatureQuery", __base__=FeatureQuery, **fields)

    def _items_query(self) -> type[ItemsQuery]:
        time, columns = self._collection.time, ", ".join(self.columns)
        fields: dict[str, Any] = {
            "crs": self._crs(),
            "sortby": (
                Annotated[Any, PlainValidator(self._order), TEXT],
                Field(
                    default_factory=partial(by_id, self._collection),
                    description=f"Names to sort by, with - before those that descend: {columns}.",
                ),
            ),
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
        for name, column in self.parameters.items():
            described = f"The value of {column.name}."
            field = Field(default=None, alias=column.name, description=described)
            fields[name] = (_type(column), field)
        return create_model("ItemsQuery", __base__=ItemsQuery, **fields)

    def _crs(self) -> tuple[Any, Any]:
        description = "The CRS of the coordinates, with its order of the axes."
        return _reference_type(self._collection.references), self._default_crs(description)

    def _default_crs(self, description: str, alias: str | None = None) -> Any:
        default = self._collection.default_crs.uri
        return Field(default=default, validate_default=True, alias=alias, description=description)

    def _read_order(self, text: str) -> Order:
        keys: list[Key] = []
        for part in text.split(","):
            sign, name = (part[0], part[1:]) if part[:1] in ("+", "-", " ") else ("+", part)
            if name not in self.columns or name in [key.column.name for key in keys]:
                reason = f"{name!r:.100} is not one of {', '.join(self.columns)}, or is given twice"
                raise PydanticCustomError("sortby", "{reason}", {"reason": reason})
            keys.append(Key(self.columns[name], descending=sign == "-"))
        return Order(self._collection, keys)

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


def _type(column: sa.Column[Any]) -> Any:
    """The Pydantic type of a parameter that a column is compared with."""
    match column.type:
        case sa.DateTime():
            return Annotated[Timestamp, BeforeValidator(_like(r"\d{4}-\d\d-\d\dT.*"))]
        case sa.Date():
            return Annotated[Date, BeforeValidator(_like(r"\d{4}-\d\d-\d\d"))]
        case sa.String():
            return Annotated[str, Field(pattern=r"^[^\x00]*$")]
        case sa.Float():
            return Annotated[float, Field(allow_inf_nan=False)]
        case sa.Numeric():
            return Annotated[Decimal, AfterValidator(_short)]
    return column.type.python_type


def _given(name: str, column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    """The value that a client gives for a column."""
    value: sa.BindParameter[Any] = sa.bindparam(name, type_=column.type)
    # As a double, 0.1 is no number of single precision.
    return sa.cast(value, column.type) if isinstance(column.type, sa.REAL) else value


def _short(number: Decimal) -> Decimal:
    """Refuse a number that PostgreSQL would write with more digits than its numeric has."""
    if abs(number.adjusted()) > json_numbers.LONGEST:
        raise PydanticCustomError("number", "a number of too many digits")
    return number


def _like(pattern: str) -> Callable[[Any], Any]:
    """Refuse the other spellings that Pydantic takes: a number would be the seconds since 1970."""

    def check(value: Any) -> Any:
        if not re.fullmatch(pattern, str(value), re.IGNORECASE | re.ASCII):
            raise PydanticCustomError("time", "not a date or time as RFC 3339 has it")
        return value

    return check
