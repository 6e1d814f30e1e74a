-- Indexes that are not what they seem.

CREATE TABLE culverts (id serial PRIMARY KEY, active boolean NOT NULL, geom geometry(Point, 2193));
INSERT INTO culverts (active, geom)
SELECT n % 3 > 0, ST_SetSRID(ST_MakePoint(1748000 + n, 5427000), 2193) FROM generate_series(1, 9) AS n;
CREATE INDEX culverts_active_idx ON culverts USING gist (geom) WHERE active;

CREATE TABLE manholes (id serial PRIMARY KEY, geom geometry(Point, 2193));
INSERT INTO manholes (geom) SELECT ST_SetSRID(ST_MakePoint(1748000 + n, 5427000), 2193) FROM generate_series(1, 9) AS n;
CREATE INDEX manholes_geom_idx ON manholes USING gist (geom);
CREATE INDEX sidx_manholes_geom ON manholes USING gist (geom);

CREATE TABLE sumps (id serial PRIMARY KEY, geom geometry(Point, 2193));
INSERT INTO sumps (geom) SELECT ST_SetSRID(ST_MakePoint(1748000 + n, 5427000), 2193) FROM generate_series(1, 9) AS n;

CREATE TABLE drains (id serial PRIMARY KEY, geom geometry(LineString, 2193));
INSERT INTO drains (geom)
SELECT ST_SetSRID(ST_MakeLine(ST_MakePoint(1748000 + n, 5427000), ST_MakePoint(1748000 + n, 5427009)), 2193) FROM generate_series(1, 9) AS n;
CREATE INDEX drains_geom_idx ON drains USING spgist (geom);

CREATE TABLE soundings (id bigserial PRIMARY KEY, depth real, geom geometry(Point, 4326));
INSERT INTO soundings (depth, geom) SELECT n * 0.7, ST_SetSRID(ST_MakePoint(174.8 + n * 0.001, -41.4), 4326) FROM generate_series(1, 9) AS n;
CREATE INDEX soundings_geom_idx ON soundings USING brin (geom);

CREATE TABLE levees (id serial PRIMARY KEY, geom geometry(LineString, 2193));
INSERT INTO levees (geom)
SELECT ST_SetSRID(ST_MakeLine(ST_MakePoint(1748000 + n, 5427000), ST_MakePoint(1748000 + n, 5427009)), 2193) FROM generate_series(1, 9) AS n;

-- Interrupted by the test, which leaves an index that is not valid.
CREATE INDEX CONCURRENTLY levees_geom_idx ON levees USING gist (geom);
