-- Names as people write them.

CREATE TABLE "Land Parcels" (
    "Parcel ID" serial PRIMARY KEY,
    "Land Use" character varying(40),
    "Area (m²)" double precision,
    "50% owned" boolean DEFAULT false,
    "class" text,
    "select" integer,
    "Owner's name" text,
    "back\slash" text,
    "Geometry" geometry(Polygon, 2193)
);
INSERT INTO "Land Parcels" ("Land Use", "Area (m²)", "50% owned", "class", "select", "Owner's name", "back\slash", "Geometry")
SELECT (ARRAY['Dairy', 'Forest & scrub', NULL])[1 + n % 3], n * 2500.25, n % 2 = 0, chr(64 + n), n, 'O''Hara ' || n, '\' || n,
    ST_MakeEnvelope(1755000 + n * 60, 5435000, 1755050 + n * 60, 5435050, 2193)
FROM generate_series(1, 12) AS n;
CREATE INDEX "Land Parcels_Geometry_idx" ON "Land Parcels" USING gist ("Geometry");

CREATE SCHEMA cadastre;
CREATE TABLE cadastre.titles (
    title_no varchar(20) PRIMARY KEY,
    issued date NOT NULL DEFAULT CURRENT_DATE,
    type varchar(10) NOT NULL DEFAULT 'Freehold',
    geom geometry(MultiPolygon, 2193) NOT NULL
);
INSERT INTO cadastre.titles
SELECT 'WN' || n || 'A/' || 500 + n, date '1995-06-01' + n * 100, CASE WHEN n % 4 = 0 THEN 'Leasehold' ELSE 'Freehold' END,
    ST_Multi(ST_MakeEnvelope(1748000 + n * 30, 5429000, 1748025 + n * 30, 5429040, 2193))
FROM generate_series(1, 10) AS n;
CREATE INDEX titles_geom_idx ON cadastre.titles USING gist (geom);

CREATE TABLE cadastre."Plan Index" (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    "Plan" text UNIQUE,
    extent geometry(Polygon, 2193)
);
INSERT INTO cadastre."Plan Index"
SELECT ('00000000-0000-0000-0000-0000000000' || to_char(n, 'FM00'))::uuid, 'DP ' || 71000 + n,
    ST_MakeEnvelope(1748000 + n * 30, 5429000, 1748025 + n * 30, 5429040, 2193)
FROM generate_series(1, 5) AS n;

CREATE TABLE cadastre.leases (
    title_no varchar(20) REFERENCES cadastre.titles,
    rent numeric(10, 2),
    geom geometry(MultiPolygon, 2193)
);
INSERT INTO cadastre.leases SELECT title_no, 1200.5, geom FROM cadastre.titles WHERE type = 'Leasehold';

-- A reserved word, in a schema with a capital.
CREATE SCHEMA "Works";
CREATE TABLE "Works"."order" (
    "no" bigint PRIMARY KEY,
    "user" text,
    "limit" integer,
    "bbox" text,
    "where" geometry(Point, 2193)
);
INSERT INTO "Works"."order"
SELECT n, 'crew ' || n % 3, 100 * n, 'none', ST_SetSRID(ST_MakePoint(1748000 + n * 10, 5428500), 2193) FROM generate_series(1, 6) AS n;
CREATE INDEX order_where_idx ON "Works"."order" USING gist ("where");

-- Names that mean something to GeoJSON, to Python's libraries and to the service, and marks of every kind.
CREATE TABLE "Works".collections (
    id text PRIMARY KEY,
    type text,
    geometry text,
    properties jsonb,
    links text,
    model_config text,
    metadata text,
    "schema" text,
    "_private" integer,
    "1st" text,
    "a.b" text,
    "it{e}m" text,
    "q""q" text,
    "%(s)s" text,
    shape geometry(Point, 4326)
);
INSERT INTO "Works".collections
SELECT 'x' || n, 'type', 'none', '{"a": 1}', 'self', 'm', 'm', 's', n, '1', 'ab', 'i', '"', '%', ST_SetSRID(ST_MakePoint(170 + n, -41), 4326)
FROM generate_series(1, 5) AS n;
CREATE INDEX collections_shape_idx ON "Works".collections USING gist (shape);
