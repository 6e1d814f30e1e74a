-- Rows that are not as they should be.

CREATE TABLE lakes (
    id serial PRIMARY KEY,
    name text,
    geom geometry(Polygon, 2193)
);
INSERT INTO lakes (name, geom) VALUES
    ('Bow tie', 'SRID=2193;POLYGON((1748000 5427000,1748100 5427100,1748100 5427000,1748000 5427100,1748000 5427000))'),
    ('Square', ST_MakeEnvelope(1748200, 5427000, 1748300, 5427100, 2193)),
    ('Empty', 'SRID=2193;POLYGON EMPTY'),
    ('Unknown', NULL),
    ('Small', ST_MakeEnvelope(1748400, 5427000, 1748401, 5427001, 2193));
CREATE INDEX lakes_geom_idx ON lakes USING gist (geom);

-- Degrees in a column of metres, latitudes before longitudes, and a place at no place.
CREATE TABLE outfalls (
    id serial PRIMARY KEY,
    geom geometry(Point, 2193)
);
INSERT INTO outfalls (geom)
SELECT ST_SetSRID(ST_MakePoint(1748000 + n, 5427000), 2193) FROM generate_series(1, 5) AS n;
INSERT INTO outfalls (geom) VALUES ('SRID=2193;POINT(174.77 -41.28)'), ('SRID=2193;POINT(0 0)');
CREATE INDEX outfalls_geom_idx ON outfalls USING gist (geom);

CREATE TABLE offices (
    id serial PRIMARY KEY,
    city text,
    geom geometry(Point, 4326)
);
INSERT INTO offices (city, geom) VALUES
    ('Wellington', 'SRID=4326;POINT(174.77 -41.28)'),
    ('Suva', 'SRID=4326;POINT(178.44 -18.14)'),
    ('Swapped', 'SRID=4326;POINT(-41.28 174.77)'),
    ('Beyond the antimeridian', 'SRID=4326;POINT(185.2 -21.1)');
CREATE INDEX offices_geom_idx ON offices USING gist (geom);
