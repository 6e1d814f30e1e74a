"""The table: its columns, geometry type, SRID and indexes are stated here and nowhere else."""

{% set columns = cookiecutter.attributes | columns %}
{% set crs = cookiecutter.srid | crs %}
{% set types = columns | map(attribute='type') | list %}
import datetime
{% if 'numeric' in types %}
from decimal import Decimal
{% endif %}
{% if 'json' in types %}
from typing import Any
{% endif %}
{% if 'uuid' in types or cookiecutter.primary_key == 'uuid' %}
from uuid import UUID
{% endif %}

import sqlalchemy as sa
from geoalchemy2 import Geometry, WKBElement
{% if 'json' in types %}
from sqlalchemy.dialects.postgresql import JSONB
{% endif %}
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

{% if cookiecutter.index_predicate %}
#: The rows that the spatial indexes hold. PostgreSQL uses a partial index only where a query repeats its
#: predicate to the letter: never spell it again, and never bind its values.
INDEXED_ROWS = sa.literal_column(
    {{ ('(' ~ cookiecutter.index_predicate ~ ')') | literal }},
    sa.Boolean(),
)

{% endif %}

class Base(DeclarativeBase):
    """The tables of this service, with constraints that migrations can name."""

    metadata = sa.MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "ix": "ix_%(table_name)s_%(column_0_name)s",
        }
    )


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
