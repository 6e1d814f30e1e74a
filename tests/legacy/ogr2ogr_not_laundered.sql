-- What ogr2ogr 3.6 makes with -lco LAUNDER=NO -t_srs EPSG:2193.

CREATE TABLE "RainGauges" (
    ogc_fid serial,
    "Station No" integer,
    "Site Name" character varying,
    "Opened" date,
    "Last Read" timestamp with time zone,
    "Active" boolean,
    "Level (m)" double precision,
    "Sensors" character varying[],
    meta json,
    wkb_geometry geometry(Point,2193),
    CONSTRAINT "RainGauges_pkey" PRIMARY KEY (ogc_fid)
);
INSERT INTO "RainGauges" ("Station No", "Site Name", "Opened", "Last Read", "Active", "Level (m)", "Sensors", meta, wkb_geometry)
VALUES (29808, 'Hutt River at Taita Gorge', '1979-03-02', '2024-04-30 21:15:00+00', true, 1.482, '{stage,rain}', '{ "owner": "GW" }', 'SRID=2193;POINT(1764263.7484395 5439212.1380782)');
INSERT INTO "RainGauges" ("Station No", "Site Name", "Opened", "Last Read", "Active", "Level (m)", "Sensors", wkb_geometry)
VALUES (29809, 'Hutt River at Birchville', '1971-07-20', '2024-04-30 21:20:00+00', true, 0.913, '{stage}', 'SRID=2193;POINT(1776989.0308882 5448667.9932862)');
INSERT INTO "RainGauges" ("Station No", "Site Name", "Opened", "Active", meta, wkb_geometry)
VALUES (30516, 'Mangaroa at Te Marua', '1977-05-25', false, '{ "owner": "NIWA", "since": 1977 }', 'SRID=2193;POINT(1778816.7749867 5449178.9976521)');
INSERT INTO "RainGauges" ("Station No", "Site Name", "Last Read", "Active", "Level (m)", "Sensors", meta, wkb_geometry)
VALUES (30701, 'Wainuiomata at Leonard Wood Park', '2024-04-30 20:45:00+00', true, 0.377, '{}', '{ }', 'SRID=2193;POINT(1762635.7079663 5428696.2266827)');
INSERT INTO "RainGauges" ("Station No", "Site Name", "Opened", "Last Read", "Active", "Level (m)", "Sensors")
VALUES (31101, 'O''Brien''s Weir', '2002-11-30', '2024-04-30 21:00:00+00', true, 2.05, '{stage,temp}');
CREATE INDEX "RainGauges_wkb_geometry_geom_idx" ON "RainGauges" USING gist (wkb_geometry);
