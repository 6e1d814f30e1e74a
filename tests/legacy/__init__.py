"""Tables as they are found in databases: what each is, and what adopting it has to say.

The SQL beside this makes them. What osm2pgsql and ogr2ogr made was taken from a database that they had been run on.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2

FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Legacy:
    """A relation, and what is expected of adopting it.

    Attributes:
        name: Its name in SQL, without quotes.
        served: Whether a service can show it as it is.
        says: Words of the report, or of the refusal: what is misaligned, or what to do.
        key: The key that has to be named.
        schema: Where it is.
        read_only: Whether nothing can be written.
    """

    name: str
    served: bool = True
    says: tuple[str, ...] = ()
    key: str = ""
    schema: str = "public"
    read_only: bool = False

    @property
    def table(self) -> str:
        return f"{self.schema}.{self.name}"


def refused(name: str, *says: str, **options: Any) -> Legacy:
    return Legacy(name, False, says, **options)


def served(name: str, *says: str, **options: Any) -> Legacy:
    return Legacy(name, True, says, **options)


LEGACY = (
    # shapefiles.sql
    served("parcels", "ALTER COLUMN geom TYPE geometry(MultiPolygon,2193)"),
    served(
        "addresses", "ALTER COLUMN geom TYPE geometry(Point,2193)", "5 of 25 rows have no geometry"
    ),
    refused("road_centrelines", "ST_SetSRID(geom, "),
    refused("survey_marks", "2193", "27200", "ST_Transform(geom, 2193)"),
    # keys.sql
    served("stops"),
    served("wards"),
    served("pipes"),
    refused("hydrants", "PRIMARY KEY USING INDEX", "KEY=hydrant_no"),
    refused("meter_readings", "meter_no, read_on", "ADD COLUMN id"),
    # views.sql
    served("property_zones", "public.properties", read_only=True),
    refused("zone_totals", "KEY=zone_name"),
    served("zone_totals", key="zone_name", read_only=True),
    served("property_points", read_only=True),
    # partitioned.sql
    refused("sightings", "id, seen_on", "KEY=id"),
    served("sightings", "id is one column of the primary key", key="id"),
    served("depots"),
    # foreign.sql
    refused("bridges", "KEY=bridge_id"),
    served("bridges", key="bridge_id", read_only=True),
    refused("webcams", "KEY=camera"),
    # names.sql
    served("Land Parcels"),
    served("titles", schema="cadastre"),
    served("Plan Index", "CREATE INDEX CONCURRENTLY", schema="cadastre"),
    refused("leases", "KEY=title_no", schema="cadastre"),
    served("order", schema="Works"),
    served("collections", schema="Works"),
    # types.sql
    served("pump_stations", "tags (text[])", "inlet (geometry(Point,2193))", "geom is served"),
    served("valves", "state (public.condition) is NOT NULL", read_only=True),
    served("buoys", "DROP EXPRESSION", read_only=True),
    refused("beacons", "CREATE VIEW", "place::geometry(Point,4326)"),
    # dimensions.sql
    refused("bus_routes", "ST_Force2D(geom)"),
    refused("gps_tracks", "ST_Force3DZ(geom)"),
    served("spot_heights"),
    refused("contours", "ST_Force"),
    refused("boundaries", "ST_CurveToLine(geom)"),
    # rows.sql
    served("lakes", "ST_MakeValid(geom)"),
    served("outfalls", "2 of 7 rows are outside of the area of EPSG:2193"),
    served("offices", "2 of 4 rows are outside of the area of EPSG:4326"),
    # indexes.sql
    served("culverts", "WHERE active", "CREATE INDEX CONCURRENTLY"),
    served("manholes", "DROP INDEX", "sidx_manholes_geom"),
    served("sumps", "CREATE INDEX CONCURRENTLY"),
    served("drains", "CREATE INDEX CONCURRENTLY", "drains_geom_idx"),
    served("soundings", "CREATE INDEX CONCURRENTLY", "soundings_geom_idx"),
    served("levees", "REINDEX", "levees_geom_idx"),
    # watched.sql
    served("trees", "trees_stamp"),
    served("permits", "row-level security"),
    served("signs", "signs_stay"),
    served("vehicles", "unlogged"),
    # osm2pgsql.sql
    *(
        refused(f"planet_osm_{name}", "PRIMARY KEY USING INDEX", "KEY=osm_id")
        for name in ("point", "line", "roads")
    ),
    refused("planet_osm_polygon", "1 of 5 rows have the value of another", "ADD COLUMN id"),
    served("planet_osm_point", "tags (hstore)", "read-only", key="osm_id", read_only=True),
    # ogr2ogr.sql, ogr2ogr_not_laundered.sql
    served("river gauges", "1 of 5 rows has no geometry"),
    served("lots"),
    refused("tracks", "ST_SetSRID(wkb_geometry, "),
    served("RainGauges", "1 of 5 rows has no geometry"),
)


def make(url: str) -> None:
    """Make all of them in a database."""
    dsn = url.replace("+psycopg2", "")
    connection = psycopg2.connect(dsn)
    connection.autocommit = True
    own = connection.info
    settings = {"host": own.host, "port": own.port, "login": own.user, "password": own.password}
    with connection.cursor() as cursor:
        for name, value in settings.items():
            cursor.execute("SELECT set_config(%s, %s, false)", (f"legacy.{name}", f"{value or ''}"))
        for file in sorted(FOLDER.glob("*.sql")):
            sql, concurrently, rest = file.read_text("utf-8").partition("CREATE INDEX CONCURRENTLY")
            cursor.execute(sql)
            if concurrently:
                _interrupt(dsn, cursor, concurrently + rest)
    connection.close()


def _interrupt(dsn: str, cursor: Any, statement: str) -> None:
    """Have a statement time out while it waits for another transaction: the index stays, and is not valid."""
    other = psycopg2.connect(dsn)
    with other.cursor() as writer:
        writer.execute("LOCK TABLE levees IN ROW EXCLUSIVE MODE")
        cursor.execute("SET statement_timeout = '300ms'")
        try:
            cursor.execute(statement)
        except psycopg2.errors.QueryCanceled:
            cursor.execute("RESET statement_timeout")
        else:
            raise AssertionError(f"{statement} was not interrupted")
    other.close()
