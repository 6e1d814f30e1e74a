"""{{ cookiecutter.table_name | capitalize }}: the table, what clients send and get of a row, and how it is served."""

{% set table = cookiecutter | table %}
{% set crs = cookiecutter.srid | crs %}
{% set geometry_type %}
    Geometry(
        "{{ cookiecutter.__geometry }}",
        srid={{ cookiecutter.srid }},
        dimension={{ cookiecutter.geometry_dimension | length }},
        spatial_index=False,
    )
{% endset %}
{% set code %}
{% if table.predicate %}
#: The rows that the spatial indexes hold. PostgreSQL uses a partial index only where a query repeats its
#: predicate to the letter: never spell it again, and never bind its values.
INDEXED_ROWS = sa.literal_column(
    {{ ('(' ~ table.predicate ~ ')') | literal }},
    sa.Boolean(),
)

{% endif %}

class {{ cookiecutter.__class_name }}(Base):
    """A row of ``{{ cookiecutter.table_name }}``."""

    __tablename__ = {{ table.name | literal }}
{% if table.short_arguments %}
{{ table.short_arguments }}
{% elif table.has_range or table.arguments or table.options %}
    __table_args__ = (
{% if table.has_range %}
        sa.CheckConstraint(
            "{{ table.geometry }} @ ST_MakeEnvelope({{ crs.extent | join(', ') }}, {{ cookiecutter.srid }})",
            name="{{ table.geometry }}_range",
        ),
{% endif %}
{% for argument in table.arguments %}
{{ argument }}
{% endfor %}
{% if table.options %}
{{ table.options | laid_out('', 8, ',') }}
{% endif %}
    )
{% endif %}

{{ table.key.model }}
{% for column in table.columns %}
{{ column.model }}
{% endfor %}
{{ table.geometry_model(geometry_type) }}
{% if table.has_times %}
    created_at: Mapped[datetime.datetime] = mapped_column(
        sa.DateTime(timezone=True), server_default=sa.func.now()
    )
    updated_at: Mapped[datetime.datetime] = mapped_column(
        sa.DateTime(timezone=True), server_default=sa.func.now(), onupdate=sa.func.now()
    )
{% endif %}


#: How the resource writes the geometry.
GEOMETRY = {{ cookiecutter.__format }}({{ cookiecutter.__class_name }}.{{ table.geometry_identifier }})


{% if not table.is_read_only %}
class {{ cookiecutter.__class_name }}In(RowIn):
    """A row as a client sends it: what has a default, or may be null, may be left out."""

{% if table.read_only %}
{{ table.read_only }}

{% endif %}
{% for column in table.given_columns %}
{{ column.given }}
{% endfor %}
{{ table.geometry_field(given=true) }}


{% endif %}
class {{ cookiecutter.__class_name }}Out(RowOut):
    """A row as the service returns it: a column that is not here is hidden."""

{{ table.key.returned }}
{% for column in table.columns %}
{{ column.returned }}
{% endfor %}
{{ table.geometry_field(given=false) }}
{% if table.has_times %}
    created_at: datetime.datetime
    updated_at: datetime.datetime
{% endif %}


def example(number: int) -> dict[str, Any]:
    """A row that the table takes, without its geometry. ``check``, the API documentation and the tests use these rows.

    - Rows of different numbers, from 0 on, differ in each unique column{{ ', as far as its type has values' if table.columns | selectattr('unique') | list else '' }}.
    - A foreign key's value is one that a revision has put into the other table.
    - Columns that have a default or may be null may be left out, and a column may have the value of another row.
{% if table.predicate %}
    - Some rows are in the partial index, and some are not.
{% endif %}
    """
{% if table.example_columns %}
    return {
{% for item in table.examples %}
{{ item }}
{% endfor %}
    }
{% else %}
    return {}
{% endif %}


COLLECTION = Collection(
    {{ cookiecutter.__class_name }},
{% if not table.is_read_only %}
    create={{ cookiecutter.__class_name }}In,
{% endif %}
    read={{ cookiecutter.__class_name }}Out,
    example=example,
{% if table.name != cookiecutter.table_name %}
    name="{{ cookiecutter.table_name }}",
{% endif %}
)
{% endset %}
{{ code | imports }}

from .base import Base

{{ code }}