-- Tables that do more than keep rows, or less.

CREATE TABLE trees (
    id serial PRIMARY KEY,
    species text,
    changed_by text,
    changed_at timestamptz DEFAULT now(),
    geom geometry(Point, 2193)
);
CREATE FUNCTION stamp_tree() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.changed_by := current_user;
    NEW.changed_at := now();
    RETURN NEW;
END $$;
CREATE TRIGGER trees_stamp BEFORE INSERT OR UPDATE ON trees FOR EACH ROW EXECUTE FUNCTION stamp_tree();
INSERT INTO trees (species, geom)
SELECT 'pōhutukawa ' || n, ST_SetSRID(ST_MakePoint(1748000 + n, 5427000), 2193) FROM generate_series(1, 9) AS n;
CREATE INDEX trees_geom_idx ON trees USING gist (geom);

CREATE TABLE permits (id serial PRIMARY KEY, office text NOT NULL DEFAULT current_user, geom geometry(Point, 2193));
INSERT INTO permits (geom) SELECT ST_SetSRID(ST_MakePoint(1748000 + n, 5427000), 2193) FROM generate_series(1, 9) AS n;
CREATE INDEX permits_geom_idx ON permits USING gist (geom);
ALTER TABLE permits ENABLE ROW LEVEL SECURITY;
CREATE POLICY permits_of_an_office ON permits USING (office = current_user);

CREATE TABLE signs (id serial PRIMARY KEY, code text, geom geometry(Point, 2193));
INSERT INTO signs (code, geom)
SELECT 'RS-' || n, ST_SetSRID(ST_MakePoint(1748000 + n, 5427000), 2193) FROM generate_series(1, 9) AS n;
CREATE INDEX signs_geom_idx ON signs USING gist (geom);
CREATE RULE signs_stay AS ON DELETE TO signs DO INSTEAD NOTHING;

CREATE UNLOGGED TABLE vehicles (id serial PRIMARY KEY, plate text UNIQUE, geom geometry(Point, 4326));
INSERT INTO vehicles (plate, geom)
SELECT 'ABC' || n, ST_SetSRID(ST_MakePoint(174.8 + n * 0.001, -41.4), 4326) FROM generate_series(1, 9) AS n;
CREATE INDEX vehicles_geom_idx ON vehicles USING gist (geom);
