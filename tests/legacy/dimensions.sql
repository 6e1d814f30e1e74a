-- Measures and heights.

CREATE TABLE bus_routes (
    id serial PRIMARY KEY,
    route varchar(8),
    geom geometry(LineStringM, 2193)
);
INSERT INTO bus_routes (route, geom)
SELECT n::text, ST_SetSRID(ST_MakeLine(ST_MakePointM(1748000, 5427000 + n, 0), ST_MakePointM(1749000, 5427000 + n, 1000)), 2193)
FROM generate_series(1, 5) AS n;
CREATE INDEX bus_routes_geom_idx ON bus_routes USING gist (geom);

CREATE TABLE gps_tracks (
    id serial PRIMARY KEY,
    geom geometry(LineStringZM, 4326)
);
INSERT INTO gps_tracks (geom)
SELECT ST_SetSRID(ST_MakeLine(ST_MakePoint(174.7, -41.3, 12.5, n), ST_MakePoint(174.71, -41.31, 80.25, n + 60)), 4326)
FROM generate_series(1, 5) AS n;
CREATE INDEX gps_tracks_geom_idx ON gps_tracks USING gist (geom);

CREATE TABLE spot_heights (
    id serial PRIMARY KEY,
    geom geometry(PointZ, 2193)
);
INSERT INTO spot_heights (geom)
SELECT ST_SetSRID(ST_MakePoint(1748000 + n, 5427000, 100.5 + n), 2193) FROM generate_series(1, 5) AS n;
CREATE INDEX spot_heights_geom_idx ON spot_heights USING gist (geom);

-- Some rows have heights, and one is empty.
CREATE TABLE contours (
    id serial PRIMARY KEY,
    height integer,
    geom geometry
);
INSERT INTO contours (height, geom) VALUES
    (20, 'SRID=2193;LINESTRING(1748000 5427000,1748100 5427050)'),
    (40, 'SRID=2193;LINESTRING Z (1748000 5427100 40,1748100 5427150 40)'),
    (60, 'SRID=2193;LINESTRING EMPTY');
CREATE INDEX contours_geom_idx ON contours USING gist (geom);

-- An arc among straight lines.
CREATE TABLE boundaries (
    id serial PRIMARY KEY,
    geom geometry(Geometry, 2193)
);
INSERT INTO boundaries (geom) VALUES
    ('SRID=2193;LINESTRING(1748000 5427000,1748100 5427050)'),
    ('SRID=2193;CIRCULARSTRING(1748000 5427000,1748050 5427050,1748100 5427000)'),
    ('SRID=2193;POLYGON((1748000 5427000,1748100 5427000,1748100 5427100,1748000 5427000))');
CREATE INDEX boundaries_geom_idx ON boundaries USING gist (geom);
