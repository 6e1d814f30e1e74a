-- Tables elsewhere: another PostgreSQL, which is this one, and what a program prints.

CREATE EXTENSION IF NOT EXISTS postgres_fdw;
CREATE EXTENSION IF NOT EXISTS file_fdw;

CREATE SCHEMA warehouse;
CREATE TABLE warehouse.bridges (
    bridge_id integer PRIMARY KEY,
    bridge_name text NOT NULL,
    span_m numeric(6, 1),
    geom geometry(LineString, 2193)
);
INSERT INTO warehouse.bridges
SELECT n, 'Bridge ' || n, 12.5 * n,
    ST_SetSRID(ST_MakeLine(ST_MakePoint(1760000 + n * 100, 5430000), ST_MakePoint(1760000 + n * 100, 5430000 + 12.5 * n)), 2193)
FROM generate_series(1, 7) AS n;

-- Where this server listens, and who asks, are settings that the test makes.
DO $$
BEGIN
    EXECUTE format('CREATE SERVER warehouse FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host %L, port %L, dbname %L)',
        current_setting('legacy.host'), current_setting('legacy.port'), current_database());
    EXECUTE format('CREATE USER MAPPING FOR CURRENT_USER SERVER warehouse OPTIONS (user %L, password %L)',
        current_setting('legacy.login'), current_setting('legacy.password'));
END $$;
CREATE FOREIGN TABLE bridges (
    bridge_id integer NOT NULL,
    bridge_name text NOT NULL,
    span_m numeric(6, 1),
    geom geometry(LineString, 2193)
) SERVER warehouse OPTIONS (schema_name 'warehouse');

CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN TABLE webcams (
    camera text,
    geom geometry(Point, 4326)
) SERVER files OPTIONS (program
    'printf "Airport,SRID=4326;POINT(174.80 -41.33)\nHarbour,SRID=4326;POINT(174.78 -41.28)\n"', format 'csv');
