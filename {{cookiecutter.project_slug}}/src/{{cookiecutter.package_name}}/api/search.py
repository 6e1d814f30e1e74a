"""Which features a client asks for: the query parameters of the items, and the SQL conditions that they become."""

import datetime
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import lru_cache, partial
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
from sqlalchemy.dialects.postgresql import JSONB

from .. import cql, json_numbers
from ..crs import WGS84, Reference
from ..keyset import Key, Order, TokenError
from ..paging import BY_ID
from ..queries import DEFAULT, GEOMETRY, INDEXED_ROWS, REFERENCES, STORED, TABLE
from ..schemas import READ_ONLY, Date, Timestamp
from ..statements import Condition
from . import boxes, times
from .formats import FORMAT
from .parameters import BOX, Limit


def _time_column() -> sa.Column[datetime.datetime]:
    """The column that ``datetime`` asks about: the one attribute that is a time or a date, else ``created_at``."""
    found = [
        column
        for column in TABLE.columns
        if isinstance(column.type, sa.DateTime | sa.Date) and column.name not in READ_ONLY
    ]
    return found[0] if len(found) == 1 else TABLE.c.created_at


TIME = _time_column()

#: The columns that have a parameter of their own, and that features can be sorted by.
COLUMNS = {
    column.name: column
    for column in TABLE.columns
    if column is not GEOMETRY and not isinstance(column.type, JSONB)
}

#: The rows that have a value in each of them.
EQUAL = {
    name: column == sa.bindparam(f"the_{name}", type_=column.type)
    for name, column in COLUMNS.items()
}

#: The schema of a parameter that is text to the client, whatever it becomes here.
TEXT = WithJsonSchema({"type": "string"})


def _reference(uri: Any, known: Mapping[str, Reference] = REFERENCES) -> Reference:
    if uri not in known:
        reason = f"not one of {', '.join(known)}"
        raise PydanticCustomError("crs", "{reason}", {"reason": reason})
    return known[uri]


def _during(text: Any) -> Condition:
    try:
        return times.during(TIME, times.interval(str(text)))
    except ValueError as error:
        raise PydanticCustomError("datetime", "{reason}", {"reason": str(error)}) from error


@lru_cache(maxsize=64)
def _order(text: str) -> Order:
    keys: list[Key] = []
    for part in text.split(","):
        sign, name = (part[0], part[1:]) if part[:1] in ("+", "-", " ") else ("+", part)
        if name not in COLUMNS or name in [key.column.name for key in keys]:
            reason = f"{name!r:.100} is not one of {', '.join(COLUMNS)}, or is given twice"
            raise PydanticCustomError("sortby", "{reason}", {"reason": reason})
        keys.append(Key(COLUMNS[name], descending=sign == "-"))
    return Order(keys)


def _inside(value: Any, others: ValidationInfo) -> list[Condition] | None:
    # It is missing where bbox-crs is wrong, which has an error of its own.
    reference = others.data.get("bbox_crs")
    return None if reference is None else boxes.inside(value, reference)


def _after(token: str | None, others: ValidationInfo) -> Condition | None:
    if token is None or "sortby" not in others.data:
        return None
    if others.data.get("offset"):
        raise PydanticCustomError("token", "either a token or an offset, not both")
    ordered: Order = others.data["sortby"]
    try:
        return ordered.after(ordered.read(token))
    except TokenError as error:
        raise PydanticCustomError("token", "{reason}", {"reason": str(error)}) from error


def _filtered(text: Any, others: ValidationInfo) -> Condition | None:
    reference: Reference | None = others.data.get("filter_crs")
    lang: str | None = others.data.get("filter_lang")
    if reference is None or lang is None:
        return None
    try:
        return Condition(_compiled(str(text), lang, reference), indexed=True)
    except cql.FilterError as error:
        raise PydanticCustomError("filter", "{reason}", {"reason": str(error)}) from error


@lru_cache(maxsize=64)
def _compiled(text: str, lang: str, reference: Reference) -> sa.ColumnElement[bool]:
    """The condition of a filter. Clients ask for the same again, for another page or another part of the map."""
    return cql.compile(text, lang, reference.srid, swapped=reference.swapped)


ReferenceParameter = Annotated[
    Any,
    PlainValidator(_reference),
    WithJsonSchema({"type": "string", "format": "uri", "enum": list(REFERENCES)}),
]

#: Filters are in the CRS of the table or in WGS 84.
FILTER_REFERENCES = {
    uri: each for uri, each in REFERENCES.items() if each.srid in (WGS84, STORED.srid)
}
FilterReference = Annotated[
    Any,
    PlainValidator(partial(_reference, known=FILTER_REFERENCES)),
    WithJsonSchema({"type": "string", "format": "uri", "enum": list(FILTER_REFERENCES)}),
]


class FeatureQuery(BaseModel):
    """How to write a feature."""

    model_config = ConfigDict(extra="forbid")

    f: Annotated[Literal["geojson", "json", "html"] | None, FORMAT] = Field(
        default=None, description="The format; without it the header Accept is asked."
    )
    crs: ReferenceParameter = Field(
        default=DEFAULT.uri,
        validate_default=True,
        description="The CRS of the coordinates, with its order of the axes.",
    )


class ItemsQuery(FeatureQuery):
    """Which features to list, and how."""

    f: Annotated[Literal["geojson", "json", "html", "csv", "jsonseq"] | None, FORMAT] = Field(  # type: ignore[assignment]
        default=None, description="The format; without it the header Accept is asked."
    )
    limit: Limit = None
    offset: int = Field(default=0, ge=0, le=2**63 - 1, description="Features to pass over.")
    sortby: Annotated[Any, PlainValidator(_order), TEXT] = Field(
        default_factory=lambda: BY_ID,
        description=f"Names to sort by, with - before those that descend: {', '.join(COLUMNS)}.",
    )
    token: Annotated[Any, PlainValidator(_after), TEXT] = Field(
        default=None, description="Where the page begins; links to the next page have it."
    )
    bbox_crs: ReferenceParameter = Field(
        default=DEFAULT.uri,
        validate_default=True,
        alias="bbox-crs",
        description="The CRS of bbox.",
    )
    bbox: Annotated[Any, PlainValidator(_inside), BOX] = Field(
        default=None,
        description="West, south, east, north; with heights in between: six numbers.",
    )
    when: Annotated[Any, PlainValidator(_during), TEXT] = Field(
        default=None,
        alias="datetime",
        description=f"An instant or an interval, of {TIME.name}; an end may be open (..).",
    )
    filter_lang: Literal["cql2-text", "cql2-json"] = Field(
        default="cql2-text", alias="filter-lang", description="The language of filter."
    )
    filter_crs: FilterReference = Field(
        default=DEFAULT.uri,
        validate_default=True,
        alias="filter-crs",
        description="The CRS of the geometries in filter.",
    )
    filter: Annotated[Any, PlainValidator(_filtered), TEXT] = Field(
        default=None, description="A condition in CQL2, over the queryables."
    )
    count: Literal["exact", "estimated", "none"] | None = Field(
        default=None,
        description="Whether to tell how many features there are: numberMatched, numberEstimated.",
    )


def conditions(query: ItemsQuery) -> list[Condition]:
    """Which rows a client asks for, of those that answers over many rows are about."""
    found = [Condition(INDEXED_ROWS), *(query.bbox or ())]
    found += [each for each in (query.when, query.filter) if each is not None]
    found += [
        Condition(EQUAL[name], {f"the_{name}": getattr(query, name)})
        for name in COLUMNS
        if name in query.model_fields_set
    ]
    return found


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


def _with_columns() -> type[ItemsQuery]:
    """The query with a parameter for each column, whose value the features must have."""
    fields: dict[str, Any] = {
        name: (_type(column), Field(default=None, description=f"The value of {name}."))
        for name, column in COLUMNS.items()
    }
    return create_model("ItemsAndColumnsQuery", __base__=ItemsQuery, **fields)


ITEMS_QUERY = _with_columns()
