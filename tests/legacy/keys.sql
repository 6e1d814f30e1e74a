-- Primary keys of every kind.

-- Text that clients give, with what has to be escaped in a URL.
CREATE TABLE stops (
    stop_code text PRIMARY KEY,
    stop_name varchar NOT NULL,
    wheelchair smallint NOT NULL DEFAULT 0,
    location geometry(Point, 4326) NOT NULL
);
INSERT INTO stops VALUES
    ('5014', 'Lambton Quay', 1, 'SRID=4326;POINT(174.7770 -41.2790)'),
    ('5014-B', 'Lambton Quay, stop B', 1, 'SRID=4326;POINT(174.7772 -41.2791)'),
    ('5515/1', 'Courtenay Place', 2, 'SRID=4326;POINT(174.7825 -41.2935)'),
    ('KELB 2', 'Kelburn', 0, 'SRID=4326;POINT(174.7640 -41.2850)'),
    ('Ōtaki', 'Ōtaki Station', 1, 'SRID=4326;POINT(175.1430 -40.7610)'),
    ('50%', 'Half Way?', 0, 'SRID=4326;POINT(174.8070 -41.2130)');
CREATE INDEX stops_location_idx ON stops USING gist (location);

CREATE TABLE wards (
    ward_no smallint PRIMARY KEY,
    ward_name character varying(60) NOT NULL UNIQUE,
    councillors integer CHECK (councillors > 0),
    geom geometry(MultiPolygon, 2193) NOT NULL
);
INSERT INTO wards
SELECT n, (ARRAY['Motukairangi', 'Pukehīnau', 'Paekawakawa', 'Takapū', 'Wharangi'])[n], 2 + n % 2,
    ST_Multi(ST_MakeEnvelope(1740000 + n * 4000, 5420000, 1744000 + n * 4000, 5429000, 2193))
FROM generate_series(1, 5) AS n;
CREATE INDEX wards_geom_idx ON wards USING gist (geom);

-- A number without limits, and not always whole.
CREATE TABLE pipes (
    asset_id numeric PRIMARY KEY,
    material char(4),
    diameter_mm real,
    laid date,
    geom geometry(LineString, 2193) NOT NULL
);
INSERT INTO pipes
SELECT 100000 + n + (n % 2) * 0.5, (ARRAY['PVC', 'AC', 'STEE'])[1 + n % 3], 100 + n * 0.1, date '1962-01-01' + n * 311,
    ST_SetSRID(ST_MakeLine(ST_MakePoint(1749000 + n * 11, 5428000), ST_MakePoint(1749008 + n * 11, 5428021.5)), 2193)
FROM generate_series(1, 15) AS n;
INSERT INTO pipes VALUES
    (12345678901234567890.123, 'PE', NULL, NULL, 'SRID=2193;LINESTRING(1749000 5428100,1749050 5428100)');
CREATE INDEX pipes_geom_idx ON pipes USING gist (geom);

-- None, but a column that would do.
CREATE TABLE hydrants (
    hydrant_no integer NOT NULL,
    pressure_kpa double precision,
    geom geometry(Point, 2193)
);
INSERT INTO hydrants
SELECT n, 400 + n * 2.5, ST_SetSRID(ST_MakePoint(1749500 + n * 90, 5427100), 2193) FROM generate_series(1, 9) AS n;
CREATE INDEX hydrants_geom_idx ON hydrants USING gist (geom);

CREATE TABLE meter_readings (
    meter_no integer,
    read_on date,
    litres bigint,
    geom geometry(Point, 2193),
    PRIMARY KEY (meter_no, read_on)
);
INSERT INTO meter_readings
SELECT n % 4, date '2024-01-01' + n, n * 1000, ST_SetSRID(ST_MakePoint(1749500 + n % 4, 5427100), 2193)
FROM generate_series(1, 12) AS n;
CREATE INDEX meter_readings_geom_idx ON meter_readings USING gist (geom);
