{% set columns = cookiecutter.attributes | columns %}
{% set types = columns | map(attribute='type') | list %}
"""What goes into the service and what comes out of it."""

import datetime
{% if 'json' in types %}
import json
import re
{% endif %}
{% if 'numeric' in types %}
from decimal import Decimal
{% endif %}
from typing import Annotated, Any
{% if 'uuid4' in columns | map(attribute='given') | join %}
from uuid import UUID, uuid4
{% elif 'uuid' in types or cookiecutter.primary_key == 'uuid' %}
from uuid import UUID
{% endif %}

{% set names = ['BaseModel', 'ConfigDict', 'Field', 'model_validator'] %}
{% set names = names + ['AwareDatetime'] if 'datetime' in types else names %}
{% set names = names + ['AfterValidator'] if 'json' in types else names %}
{% if 'json' in types %}
import orjson
{% endif %}
from pydantic import {{ names | sort(case_sensitive=true) | join(', ') }}
from shapely.geometry.base import BaseGeometry

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
    """Refuse what JSON cannot express, such as NaN and infinity, and NUL characters, which PostgreSQL cannot store."""
    try:
        text = orjson.dumps(value)
        # It writes NaN as null. To read it back is quicker than to have all values written twice.
        if orjson.loads(text) != value:
            json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(str(error)) from error
    if re.search(rb"(?<!\\)(\\\\)*\\u0000", text):
        raise ValueError("a NUL character")
    return value


Json = Annotated[Any, AfterValidator(_storable)]
{% endif %}
{% if 'datetime' in types %}

#: A time with its offset from UTC, far enough from the ends of the calendar to have any other offset.
Timestamp = Annotated[
    AwareDatetime,
    Field(
        ge=datetime.datetime(1, 1, 3, tzinfo=datetime.UTC),
        le=datetime.datetime(9999, 12, 29, tzinfo=datetime.UTC),
    ),
]
{% endif %}


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
