-- What ogr2ogr 3.6 makes: of a GeoJSON file by default, of a Shapefile, and of a CSV file without a CRS.

CREATE TABLE "river gauges" (
    ogc_fid serial,
    "station no" integer,
    "site name" character varying,
    opened date,
    "last read" timestamp with time zone,
    active boolean,
    "level (m)" double precision,
    sensors character varying[],
    meta json,
    wkb_geometry geometry(Point,4326),
    CONSTRAINT "river gauges_pkey" PRIMARY KEY (ogc_fid)
);
INSERT INTO "river gauges" ("station no", "site name", opened, "last read", active, "level (m)", sensors, meta, wkb_geometry)
VALUES (29808, 'Hutt River at Taita Gorge', '1979-03-02', '2024-04-30 21:15:00+00', true, 1.482, '{stage,rain}', '{ "owner": "GW" }', 'SRID=4326;POINT(174.9585 -41.1818)');
INSERT INTO "river gauges" ("station no", "site name", opened, "last read", active, "level (m)", sensors, wkb_geometry)
VALUES (29809, 'Hutt River at Birchville', '1971-07-20', '2024-04-30 21:20:00+00', true, 0.913, '{stage}', 'SRID=4326;POINT(175.1074 -41.094)');
INSERT INTO "river gauges" ("station no", "site name", opened, active, meta, wkb_geometry)
VALUES (30516, 'Mangaroa at Te Marua', '1977-05-25', false, '{ "owner": "NIWA", "since": 1977 }', 'SRID=4326;POINT(175.129 -41.089)');
INSERT INTO "river gauges" ("station no", "site name", "last read", active, "level (m)", sensors, meta, wkb_geometry)
VALUES (30701, 'Wainuiomata at Leonard Wood Park', '2024-04-30 20:45:00+00', true, 0.377, '{}', '{ }', 'SRID=4326;POINT(174.9419 -41.2768)');
INSERT INTO "river gauges" ("station no", "site name", opened, "last read", active, "level (m)", sensors)
VALUES (31101, 'O''Brien''s Weir', '2002-11-30', '2024-04-30 21:00:00+00', true, 2.05, '{stage,temp}');
CREATE INDEX "river gauges_wkb_geometry_geom_idx" ON "river gauges" USING gist (wkb_geometry);

CREATE TABLE lots (
    ogc_fid serial,
    wkt character varying(91),
    lotno character varying(80),
    "use" character varying(80),
    wkb_geometry geometry(MultiPolygon,2193),
    CONSTRAINT lots_pkey PRIMARY KEY (ogc_fid)
);
INSERT INTO lots (wkt, lotno, "use", wkb_geometry)
VALUES ('POLYGON ((1748700 5427700,1748800 5427700,1748800 5427800,1748700 5427800,1748700 5427700))', '1', 'Rural', 'SRID=2193;MULTIPOLYGON(((1748700 5427700,1748700 5427800,1748800 5427800,1748800 5427700,1748700 5427700)))');
INSERT INTO lots (wkt, lotno, "use", wkb_geometry)
VALUES ('MULTIPOLYGON (((1748900 5427700,1749000 5427700,1749000 5427800,1748900 5427700)))', '2', 'Residential', 'SRID=2193;MULTIPOLYGON(((1748900 5427700,1749000 5427800,1749000 5427700,1748900 5427700)))');
CREATE INDEX lots_wkb_geometry_geom_idx ON lots USING gist (wkb_geometry);

CREATE TABLE tracks (
    ogc_fid serial,
    id integer,
    "surface type" character varying,
    length_km double precision,
    wkb_geometry geometry,
    CONSTRAINT tracks_pkey PRIMARY KEY (ogc_fid)
);
INSERT INTO tracks (id, "surface type", length_km, wkb_geometry)
VALUES (1, 'Sealed', 0.5, 'MULTILINESTRING((1748700 5427700,1748900 5428000),(1748950 5428050,1749100 5428100))');
INSERT INTO tracks (id, "surface type", length_km, wkb_geometry)
VALUES (2, 'Metalled', 0.36, 'MULTILINESTRING((1750700 5427700,1750900 5428000))');
INSERT INTO tracks (id, "surface type", length_km, wkb_geometry)
VALUES (3, '', 0.85, 'LINESTRING(1751700 5427700,1750900 5428000)');
CREATE INDEX tracks_wkb_geometry_geom_idx ON tracks USING gist (wkb_geometry);
