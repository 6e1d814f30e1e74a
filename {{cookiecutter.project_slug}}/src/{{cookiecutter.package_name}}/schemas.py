{% set columns = cookiecutter.attributes | columns %}
{% set types = columns | map(attribute='type') | list %}
"""What goes into the service and what comes out of it."""

import datetime
{% if 'json' in types %}
import json
{% endif %}
import re
{% if 'numeric' in types %}
from decimal import Decimal
{% endif %}
from numbers import Number
from typing import Annotated, Any
{% if 'uuid4' in columns | map(attribute='given') | join %}
from uuid import UUID, uuid4
{% elif 'uuid' in types or cookiecutter.primary_key == 'uuid' %}
from uuid import UUID
{% endif %}

{% if 'json' in types %}
import orjson
{% endif %}
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)
from pydantic_core import PydanticCustomError
from shapely.geometry.base import BaseGeometry

{% if 'json' in types %}
from . import json_numbers
{% endif %}
from .geometry import {{ cookiecutter.__format }}
from .models import {{ cookiecutter.__class_name }}

#: How the resource writes its geometry.
GEOMETRY = {{ cookiecutter.__format }}({{ cookiecutter.__class_name }}.{{ cookiecutter.geometry_column }})

#: The columns that the database sets; what a client sends for them is ignored.
READ_ONLY = frozenset({"id", "created_at", "updated_at"})

{% if cookiecutter.primary_key == 'uuid' %}
Id = UUID
{% else %}
Id = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
{% endif %}
{% if 'str' in types or 'text' in types %}

#: PostgreSQL stores every character but NUL.
Text = Annotated[str, Field(pattern=r"^[^\x00]*$")]
{% endif %}
{% if 'numeric' in types %}

#: A number with all its decimals, as PostgreSQL writes it; Pydantic would write a string.
ExactNumber = Annotated[Decimal, Field(json_schema_extra={"type": "number"})]
{% endif %}
{% if 'json' in types %}


def _storable(value: Any) -> Any:
    """Refuse numbers that no double is near to, NaN among them, and NUL characters, which PostgreSQL cannot store."""
    try:
        text = orjson.dumps(value, default=json_numbers.write)
        # It writes NaN as null, and a Decimal however large.
        json.dumps(value, allow_nan=False, default=float)
    except (TypeError, ValueError) as error:
        raise ValueError(str(error)) from error
    if re.search(rb"(?<!\\)(\\\\)*\\u0000", text):
        raise ValueError("a NUL character")
    return value


Json = Annotated[Any, AfterValidator(_storable)]
{% endif %}


def _not_a_number(value: Any) -> Any:
    """Refuse a number, which Pydantic would take for the seconds or the milliseconds since 1970, as it sees fit."""
    if isinstance(value, Number) or re.fullmatch(r"\s*[-+]?[\d.]+\s*", str(value)):
        reason = "a number is neither a date nor a time: write it like 2020-01-31T12:00:00Z"
        raise PydanticCustomError("time", "{reason}", {"reason": reason})
    return value


def _in_utc(moment: datetime.datetime) -> datetime.datetime:
    """Refuse a time that Python's calendar does not have in UTC. PostgreSQL takes offsets below 16 hours only."""
    try:
        return moment.astimezone(datetime.UTC)
    except OverflowError:
        reason = "in UTC it is before the year 1 or after the year 9999"
        raise PydanticCustomError("time", "{reason}", {"reason": reason}) from None


Date = Annotated[datetime.date, BeforeValidator(_not_a_number)]

#: A time with its offset from UTC.
Timestamp = Annotated[AwareDatetime, BeforeValidator(_not_a_number), AfterValidator(_in_utc)]


class {{ cookiecutter.__class_name }}In(BaseModel):
    """A row as a client sends it: what has a default, or may be null, may be left out."""

    model_config = ConfigDict(extra="forbid")

{% for column in columns %}
{{ column.given }}
{% endfor %}
    {{ cookiecutter.geometry_column }}: Annotated[BaseGeometry, GEOMETRY]

    @model_validator(mode="before")
    @classmethod
    def _without_read_only(cls, members: Any) -> Any:
        """Leave out what the database sets, so that clients can send back what they have got."""
        if not isinstance(members, dict):
            return members
        return {name: members[name] for name in members if name not in READ_ONLY}


class {{ cookiecutter.__class_name }}Out(BaseModel):
    """A row as the service returns it."""

    model_config = ConfigDict(from_attributes=True)

    id: {{ 'UUID' if cookiecutter.primary_key == 'uuid' else 'int' }}
{% for column in columns %}
{{ column.returned }}
{% endfor %}
    {{ cookiecutter.geometry_column }}: Annotated[BaseGeometry, GEOMETRY]
    created_at: datetime.datetime
    updated_at: datetime.datetime


class {{ cookiecutter.__class_name }}Page(BaseModel):
    """Rows in the order of their ids."""

    items: list[{{ cookiecutter.__class_name }}Out]
    next: str | None = Field(description="The URL of the next page; null on the last.")


class {{ cookiecutter.__class_name }}Neighbour({{ cookiecutter.__class_name }}Out):
    """A row with its distance from the place that was asked for."""

    distance: float = Field(description="Metres on the spheroid.")


class {{ cookiecutter.__class_name }}Neighbours(BaseModel):
    """Rows, nearest first."""

    items: list[{{ cookiecutter.__class_name }}Neighbour]
