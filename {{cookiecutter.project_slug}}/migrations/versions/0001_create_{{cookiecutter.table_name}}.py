"""Create {{ cookiecutter.table_name }}."""

{% set columns = cookiecutter.attributes | columns %}
{% set crs = cookiecutter.srid | crs %}
{% set types = columns | map(attribute='type') | list %}
import sqlalchemy as sa
from alembic import op
from geoalchemy2 import Geometry
{% if 'json' in types %}
from sqlalchemy.dialects.postgresql import JSONB
{% endif %}

revision = "{{ cookiecutter._revision }}"
down_revision = {{ cookiecutter._down_revision | literal if cookiecutter._down_revision else 'None' }}
branch_labels = None
depends_on = None
{% if cookiecutter.index_predicate %}

INDEXED_ROWS = sa.literal_column(
    {{ ('(' ~ cookiecutter.index_predicate ~ ')') | literal }},
    sa.Boolean(),
)
{% endif %}


def upgrade() -> None:
    op.execute("CREATE EXTENSION IF NOT EXISTS postgis")
    op.create_table(
        "{{ cookiecutter.table_name }}",
{% if cookiecutter.primary_key == 'uuid' %}
        sa.Column("id", sa.Uuid(), server_default=sa.func.gen_random_uuid(), nullable=False),
{% else %}
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
{% endif %}
{% for column in columns %}
{{ column.migration }}
{% endfor %}
        sa.Column(
            "{{ cookiecutter.geometry_column }}",
            Geometry(
                "{{ cookiecutter.__geometry }}",
                srid={{ cookiecutter.srid }},
                dimension={{ cookiecutter.geometry_dimension | length }},
                spatial_index=False,
            ),
            nullable=False,
        ),
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
        sa.CheckConstraint(
            "{{ cookiecutter.geometry_column }} @ ST_MakeEnvelope({{ crs.extent | join(', ') }}, {{ cookiecutter.srid }})",
            name=op.f("ck_{{ cookiecutter.table_name }}_{{ cookiecutter.geometry_column }}_range"),
        ),
        sa.PrimaryKeyConstraint(
            "id",
            name=op.f("pk_{{ cookiecutter.table_name }}"),
        ),
{% for column in columns if column.unique %}
        sa.UniqueConstraint(
            "{{ column.name }}",
            name=op.f("uq_{{ cookiecutter.table_name }}_{{ column.name }}"),
        ),
{% endfor %}
    )
    op.create_index(
        {{ cookiecutter.index_name | literal }},
        "{{ cookiecutter.table_name }}",
        ["{{ cookiecutter.geometry_column }}"],
        postgresql_using="gist",
{% if cookiecutter.index_predicate %}
        postgresql_where=INDEXED_ROWS,
{% endif %}
    )
{% if crs.geographic %}
    op.create_index(
        "idx_{{ cookiecutter.table_name }}_{{ cookiecutter.geometry_column }}_geog",
        "{{ cookiecutter.table_name }}",
        [sa.text("({{ cookiecutter.geometry_column }}::geography)")],
        postgresql_using="gist",
{% if cookiecutter.index_predicate %}
        postgresql_where=INDEXED_ROWS,
{% endif %}
    )
{% endif %}


def downgrade() -> None:
    op.drop_table("{{ cookiecutter.table_name }}")
