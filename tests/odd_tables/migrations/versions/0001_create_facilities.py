"""Create the tables."""

import sqlalchemy as sa
from alembic import op
from geoalchemy2 import Geometry

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def geometry(kind: str, srid: int) -> Geometry:
    """The type of a geometry column."""
    return Geometry(kind, srid=srid, dimension=2, spatial_index=False)


def upgrade() -> None:
    op.execute("CREATE EXTENSION IF NOT EXISTS postgis")
    op.execute('CREATE SCHEMA IF NOT EXISTS "Cadastre"')
    op.execute("CREATE SCHEMA IF NOT EXISTS archive")
    op.execute("CREATE SEQUENCE roads_gid_seq AS smallint")
    op.create_table(
        "Land Parcels",
        sa.Column("Parcel No", sa.Text(), nullable=False),
        sa.Column("Land Use", sa.Text(), nullable=True),
        sa.Column("Land_Use", sa.String(8), server_default="none", nullable=False),
        sa.Column("addr:housenumber", sa.Text(), nullable=True),
        sa.Column("100% (a)", sa.Text(), nullable=False),
        sa.Column("Größe", sa.Double(), nullable=True),
        sa.Column("select", sa.Integer(), nullable=True),
        sa.Column("class", sa.Text(), nullable=True),
        sa.Column("_id", sa.BigInteger(), nullable=True),
        sa.Column("_place", sa.Text(), nullable=True),
        sa.Column("limit", sa.Integer(), nullable=True),
        sa.Column("distance", sa.Double(), nullable=True),
        sa.Column("lat", sa.Double(), nullable=True),
        sa.Column("The Geom", geometry("POINT", 4326), nullable=False),
        sa.PrimaryKeyConstraint("Parcel No", name=op.f("pk_Land Parcels")),
        sa.UniqueConstraint("100% (a)", name=op.f("Land Parcels 100%")),
        sa.CheckConstraint(
            "\"100% (a)\" NOT LIKE '%!%'", name=op.f("ck_Land Parcels_Land Parcels (a)")
        ),
        schema="Cadastre",
    )
    op.create_index(
        "Land Parcels geom",
        "Land Parcels",
        ["The Geom"],
        schema="Cadastre",
        postgresql_using="gist",
    )
    op.create_index(
        "Land Parcels geog",
        "Land Parcels",
        [sa.text('("The Geom"::geography)')],
        schema="Cadastre",
        postgresql_using="gist",
    )
    op.create_table(
        "roads",
        sa.Column(
            "gid",
            sa.SmallInteger(),
            server_default=sa.text("nextval('roads_gid_seq'::regclass)"),
            nullable=False,
        ),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("geom", geometry("LINESTRING", 2193), nullable=False),
        sa.PrimaryKeyConstraint("gid", name=op.f("pk_roads")),
    )
    op.execute("ALTER SEQUENCE roads_gid_seq OWNED BY roads.gid")
    op.create_index("roads_geom_idx", "roads", ["geom"], postgresql_using="gist")
    op.create_table(
        "roads",
        sa.Column("number", sa.Numeric(20, 2), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("geom", geometry("LINESTRING", 2193), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_roads")),
        schema="archive",
    )
    op.create_index("roads_geom_idx", "roads", ["geom"], schema="archive", postgresql_using="gist")
    op.create_table(
        "surveys",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("crew", sa.String(4), server_default="none", nullable=False),
        sa.Column("area", geometry("MULTIPOLYGON", 3857), nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_surveys")),
        schema="archive",
    )
    op.create_index(
        "surveys_area_idx",
        "surveys",
        ["area"],
        schema="archive",
        postgresql_using="gist",
        postgresql_where=sa.literal_column("(crew <> 'none')", sa.Boolean()),
    )
    op.create_table(
        "samples",
        sa.Column(
            "taken",
            sa.DateTime(timezone=True),
            server_default=sa.func.clock_timestamp(),
            nullable=False,
        ),
        sa.Column("depth", sa.SmallInteger(), nullable=False),
        sa.Column("code", sa.String(10), nullable=False),
        sa.Column("geom", geometry("GEOMETRY", 4326), nullable=False),
        sa.PrimaryKeyConstraint("taken", name=op.f("pk_samples")),
        sa.UniqueConstraint("code", name=op.f("uq_samples_code")),
    )
    op.create_index("samples_geom_idx", "samples", ["geom"], postgresql_using="gist")
    op.create_index(
        "samples_geog_idx", "samples", [sa.text("(geom::geography)")], postgresql_using="gist"
    )


def downgrade() -> None:
    op.drop_table("samples")
    op.drop_table("surveys", schema="archive")
    op.drop_table("roads", schema="archive")
    op.drop_table("roads")
    op.drop_table("Land Parcels", schema="Cadastre")
