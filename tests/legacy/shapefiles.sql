-- Shapefiles loaded without their CRS, and what was done about it later.

-- Every row is in 2193, and the column does not say so.
CREATE TABLE parcels (
    gid serial PRIMARY KEY,
    appellatio varchar(80),
    calc_area numeric,
    geom geometry
);
INSERT INTO parcels (appellatio, calc_area, geom)
SELECT 'Lot ' || n || ' DP ' || 71000 + n * 37, 412.5 + n * 0.125,
    ST_Multi(ST_MakeEnvelope(1748000 + n * 30, 5427000, 1748025 + n * 30, 5427040, 2193))
FROM generate_series(1, 40) AS n;
CREATE INDEX parcels_geom_idx ON parcels USING gist (geom);

-- The same, and some rows have no place.
CREATE TABLE addresses (
    gid serial PRIMARY KEY,
    full_address varchar(254),
    town varchar(80),
    geom geometry
);
INSERT INTO addresses (full_address, town, geom)
SELECT n || ' Cuba Street', CASE WHEN n % 3 > 0 THEN 'Wellington' END,
    CASE WHEN n % 5 > 0 THEN ST_SetSRID(ST_MakePoint(1748600 + n * 7.5, 5427600 - n * 11.25), 2193) END
FROM generate_series(1, 25) AS n;
CREATE INDEX addresses_geom_idx ON addresses USING gist (geom);

-- What the loader makes without -s: SRID 0.
CREATE TABLE road_centrelines (
    gid serial PRIMARY KEY,
    "road_id" float8,
    "full_name" varchar(100),
    "lane_count" int2,
    geom geometry(MultiLineString)
);
INSERT INTO road_centrelines (road_id, full_name, lane_count, geom)
SELECT 3000 + n, 'Road ' || n, 1 + n % 4,
    ST_Multi(ST_MakeLine(ST_MakePoint(1748000 + n * 50, 5427000), ST_MakePoint(1748040 + n * 50, 5427900)))
FROM generate_series(1, 12) AS n;
CREATE INDEX road_centrelines_geom_idx ON road_centrelines USING gist (geom);

-- Two surveys in one table: the older one is in the New Zealand Map Grid.
CREATE TABLE survey_marks (
    gid serial PRIMARY KEY,
    mark_code varchar(4) NOT NULL,
    geom geometry
);
INSERT INTO survey_marks (mark_code, geom)
SELECT 'A' || to_char(n, 'FM000'),
    CASE WHEN n % 4 = 0
        THEN ST_SetSRID(ST_MakePoint(2658000 + n, 5989000 + n), 27200)
        ELSE ST_SetSRID(ST_MakePoint(1748000 + n, 5427000 + n), 2193) END
FROM generate_series(1, 20) AS n;
CREATE INDEX survey_marks_geom_idx ON survey_marks USING gist (geom);
