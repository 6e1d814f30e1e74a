{% set table = cookiecutter | table %}
{% set schemas = 'public, ' ~ table.schema_sql if table.schema else 'public' %}
-- Who may do what in the database. Two roles:
--   owner    owns the table and migrates it
--   service  reads and writes rows, and can neither make, alter, empty nor drop anything
--
-- Run by an administrator, in the service's own database, before the first migration:
--   OWNER_PASSWORD=… SERVICE_PASSWORD=… psql "$ADMIN_URL" --file deploy/roles.sql
-- It may be run again, for new passwords or another role. OWNER_ROLE and SERVICE_ROLE give them other names.

\set ON_ERROR_STOP on
\set owner owner
\set service service
\getenv owner OWNER_ROLE
\getenv service SERVICE_ROLE
\getenv owner_password OWNER_PASSWORD
\getenv service_password SERVICE_PASSWORD

BEGIN;

SELECT format('CREATE ROLE %I', role) FROM unnest(ARRAY[:'owner', :'service']) AS role
WHERE role NOT IN (SELECT rolname FROM pg_roles) \gexec
ALTER ROLE :"owner" LOGIN PASSWORD :'owner_password';
ALTER ROLE :"service" LOGIN PASSWORD :'service_password';
-- Whoever runs this acts for the owner below; a superuser may anyway, the administrator of a managed database may not.
GRANT :"owner" TO CURRENT_USER;

-- For whoever does not say otherwise, as the service does in each of its transactions.
ALTER ROLE :"service" IN DATABASE :"DBNAME" SET timezone = 'UTC';
ALTER ROLE :"service" IN DATABASE :"DBNAME" SET statement_timeout = '30s';
ALTER ROLE :"service" IN DATABASE :"DBNAME" SET idle_in_transaction_session_timeout = '60s';
-- A migration that waits for a lock makes every later query wait behind it: let it fail, and try again.
ALTER ROLE :"owner" IN DATABASE :"DBNAME" SET lock_timeout = '5s';

CREATE EXTENSION IF NOT EXISTS postgis;

REVOKE ALL ON DATABASE :"DBNAME" FROM PUBLIC;
GRANT CONNECT, TEMPORARY ON DATABASE :"DBNAME" TO :"owner";
GRANT CONNECT ON DATABASE :"DBNAME" TO :"service";
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
{% if table.schema %}
CREATE SCHEMA IF NOT EXISTS {{ table.schema_sql }};
{% endif %}
GRANT USAGE, CREATE ON SCHEMA {{ schemas }} TO :"owner";
GRANT USAGE ON SCHEMA {{ schemas }} TO :"service";

-- The tables and sequences that migrations make, now and later.
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA {{ schemas }}
GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO :"service";
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA {{ schemas }}
GRANT USAGE ON SEQUENCES TO :"service";

-- Those that are there, for a role that came later.
SELECT format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO %I', oid::regclass, :'service')
FROM pg_class WHERE relkind IN ('r', 'p', 'v') AND pg_get_userbyid(relowner) = :'owner' \gexec
SELECT format('GRANT USAGE ON SEQUENCE %s TO %I', oid::regclass, :'service')
FROM pg_class WHERE relkind = 'S' AND pg_get_userbyid(relowner) = :'owner' \gexec

{% if table.is_adopted %}
-- The table that was there before the service, whoever owns it.
SELECT format('GRANT {{ 'SELECT' if table.is_read_only else 'SELECT, INSERT, UPDATE, DELETE' }} ON %s TO %I', found, :'service')
FROM to_regclass({{ table.sql | sql_text }}) AS found WHERE found IS NOT NULL \gexec

{% endif %}
-- Alembic's own table of this project, made before Alembic does, so that the service may only read it.
CREATE TABLE IF NOT EXISTS {{ cookiecutter.__version_table }} (
    version_num varchar(32) CONSTRAINT {{ cookiecutter.__version_table }}_pkc PRIMARY KEY
);
ALTER TABLE {{ cookiecutter.__version_table }} OWNER TO :"owner";
REVOKE ALL ON {{ cookiecutter.__version_table }} FROM :"service";
GRANT SELECT ON {{ cookiecutter.__version_table }} TO :"service";

COMMIT;
