"""{{ cookiecutter.table_name | capitalize }}: the table, what clients send and get of a row, and how it is served."""

{% set columns = cookiecutter.attributes | columns %}
{% set crs = cookiecutter.srid | crs %}
{% set types = columns | map(attribute='type') | list %}
{% set given = columns | map(attribute='given') | join %}
import datetime
{% if 'numeric' in types %}
from decimal import Decimal
{% endif %}
from typing import Annotated, Any
{% if 'uuid4' in given %}
from uuid import UUID, uuid4
{% elif 'uuid' in types or cookiecutter.primary_key == 'uuid' %}
from uuid import UUID
{% endif %}

import sqlalchemy as sa
from geoalchemy2 import Geometry, WKBElement
{% if 'Field(' in given %}
from pydantic import Field
{% endif %}
from shapely.geometry.base import BaseGeometry
{% if 'json' in types %}
from sqlalchemy.dialects.postgresql import JSONB
{% endif %}
from sqlalchemy.orm import Mapped, mapped_column

{% set imports = ['Collection', 'RowIn', 'RowOut'] %}
{% set imports = imports + (['GeoJSON'] if cookiecutter.output_format == 'geojson' else []) %}
{% set imports = imports + (['Text'] if 'str' in types or 'text' in types else []) %}
{% set imports = imports + (['ExactNumber'] if 'numeric' in types else []) %}
{% set imports = imports + (['Json'] if 'json' in types else []) %}
{% set imports = imports + (['Date'] if 'date' in types else []) %}
{% set imports = imports + (['Timestamp'] if 'datetime' in types else []) %}
from geotables import {{ 'WKT, ' if cookiecutter.output_format == 'wkt' else '' }}{{ imports | sort | join(', ') }}

from .base import Base

{% if cookiecutter.index_predicate %}
#: The rows that the spatial indexes hold. PostgreSQL uses a partial index only where a query repeats its
#: predicate to the letter: never spell it again, and never bind its values.
INDEXED_ROWS = sa.literal_column(
    {{ ('(' ~ cookiecutter.index_predicate ~ ')') | literal }},
    sa.Boolean(),
)

{% endif %}

class {{ cookiecutter.__class_name }}(Base):
    """A row of ``{{ cookiecutter.table_name }}``."""

    __tablename__ = "{{ cookiecutter.table_name }}"
    __table_args__ = (
        sa.CheckConstraint(
            "{{ cookiecutter.geometry_column }} @ ST_MakeEnvelope({{ crs.extent | join(', ') }}, {{ cookiecutter.srid }})",
            name="{{ cookiecutter.geometry_column }}_range",
        ),
        sa.Index(
            {{ cookiecutter.index_name | literal }},
            "{{ cookiecutter.geometry_column }}",
            postgresql_using="gist",
{% if cookiecutter.index_predicate %}
            postgresql_where=INDEXED_ROWS,
{% endif %}
        ),
{% if crs.geographic %}
        # Searches in metres: on the geometry's own index they would measure degrees.
        sa.Index(
            "idx_{{ cookiecutter.table_name }}_{{ cookiecutter.geometry_column }}_geog",
            sa.text("({{ cookiecutter.geometry_column }}::geography)"),
            postgresql_using="gist",
{% if cookiecutter.index_predicate %}
            postgresql_where=INDEXED_ROWS,
{% endif %}
        ),
{% endif %}
    )

{% if cookiecutter.primary_key == 'uuid' %}
    id: Mapped[UUID] = mapped_column(
        sa.Uuid(), server_default=sa.func.gen_random_uuid(), primary_key=True
    )
{% else %}
    id: Mapped[int] = mapped_column(sa.BigInteger(), sa.Identity(), primary_key=True)
{% endif %}
{% for column in columns %}
{{ column.model }}
{% endfor %}
    {{ cookiecutter.geometry_column }}: Mapped[WKBElement] = mapped_column(
        Geometry(
            "{{ cookiecutter.__geometry }}",
            srid={{ cookiecutter.srid }},
            dimension={{ cookiecutter.geometry_dimension | length }},
            spatial_index=False,
        )
    )
    created_at: Mapped[datetime.datetime] = mapped_column(
        sa.DateTime(timezone=True), server_default=sa.func.now()
    )
    updated_at: Mapped[datetime.datetime] = mapped_column(
        sa.DateTime(timezone=True), server_default=sa.func.now(), onupdate=sa.func.now()
    )


#: How the resource writes the geometry.
GEOMETRY = {{ cookiecutter.__format }}({{ cookiecutter.__class_name }}.{{ cookiecutter.geometry_column }})


class {{ cookiecutter.__class_name }}In(RowIn):
    """A row as a client sends it: what has a default, or may be null, may be left out."""

{% for column in columns %}
{{ column.given }}
{% endfor %}
    {{ cookiecutter.geometry_column }}: Annotated[BaseGeometry, GEOMETRY]


class {{ cookiecutter.__class_name }}Out(RowOut):
    """A row as the service returns it: a column that is not here is hidden."""

    id: {{ 'UUID' if cookiecutter.primary_key == 'uuid' else 'int' }}
{% for column in columns %}
{{ column.returned }}
{% endfor %}
    {{ cookiecutter.geometry_column }}: Annotated[BaseGeometry, GEOMETRY]
    created_at: datetime.datetime
    updated_at: datetime.datetime


def example(number: int) -> dict[str, Any]:
    """A row that the table takes, without its geometry. ``check``, the API documentation and the tests use these rows.

    - Rows of different numbers, from 0 on, differ in each unique column{{ ', as far as its type has values' if columns | selectattr('unique') | list else '' }}.
    - A foreign key's value is one that a revision has put into the other table.
    - Columns that have a default or may be null may be left out, and a column may have the value of another row.
{% if cookiecutter.index_predicate %}
    - Some rows are in the partial index, and some are not.
{% endif %}
    """
{% if columns %}
    return {
{% for item in cookiecutter.attributes | examples(cookiecutter.index_predicate) %}
{{ item }}
{% endfor %}
    }
{% else %}
    return {}
{% endif %}


COLLECTION = Collection(
    {{ cookiecutter.__class_name }},
    create={{ cookiecutter.__class_name }}In,
    read={{ cookiecutter.__class_name }}Out,
    example=example,
)
