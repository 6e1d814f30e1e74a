"""Create {{ cookiecutter.table_name }}{{ ' where it is not there yet' if (cookiecutter | table).is_adopted else '' }}."""

{% set table = cookiecutter | table %}
{% set crs = cookiecutter.srid | crs %}
{% set code %}
revision = "{{ cookiecutter._revision }}"
down_revision = {{ cookiecutter._down_revision | literal if cookiecutter._down_revision else 'None' }}
branch_labels = None
depends_on = None
{% if table.predicate %}

INDEXED_ROWS = sa.literal_column(
    {{ ('(' ~ table.predicate ~ ')') | literal }},
    sa.Boolean(),
)
{% endif %}


{% if table.is_adopted %}
def is_there() -> bool:
    """Whether the database has the table already: it was there before the service, and stays as it is."""
    if context.is_offline_mode():
        return False
{{ table.named('return sa.inspect(op.get_bind()).has_table') }}


{% endif %}
def upgrade() -> None:
    op.execute("CREATE EXTENSION IF NOT EXISTS postgis")
{% if table.is_adopted %}
    if is_there():
        return
{% endif %}
{% for statement in table.requirements %}
{{ statement }}
{% endfor %}
    op.create_table(
        {{ table.name | literal }},
{{ table.key.migration }}
{% for column in table.columns %}
{{ column.migration }}
{% endfor %}
        sa.Column(
            {{ table.geometry | literal }},
            Geometry(
                "{{ cookiecutter.__geometry }}",
                srid={{ cookiecutter.srid }},
                dimension={{ cookiecutter.geometry_dimension | length }},
                spatial_index=False,
            ),
            nullable={{ table.is_geometry_nullable }},
        ),
{% if table.has_times %}
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.func.now(),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.func.now(),
            nullable=False,
        ),
{% endif %}
{% if table.has_range %}
        sa.CheckConstraint(
            "{{ table.geometry }} @ ST_MakeEnvelope({{ crs.extent | join(', ') }}, {{ cookiecutter.srid }})",
            name=op.f("ck_{{ table.name }}_{{ table.geometry }}_range"),
        ),
{% endif %}
{% for constraint in table.revised_constraints %}
{{ constraint }}
{% endfor %}
{% if table.schema %}
        schema={{ table.schema | literal }},
{% endif %}
    )
{% for index in table.revised_indexes %}
{{ index }}
{% endfor %}


def downgrade() -> None:
{% if table.is_adopted %}
    """Leave the table, which was there before the service."""
{% else %}
{{ table.named('op.drop_table') }}
{% endif %}
{% endset %}
{{ code | imports }}

{{ code }}