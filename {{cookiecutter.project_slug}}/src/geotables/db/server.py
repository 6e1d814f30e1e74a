"""Whether a server is one that the service can work on."""

import re
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

#: The oldest versions that the service works with.
OLDEST_POSTGRESQL = 13
OLDEST_POSTGIS = "3.1"

#: What the service needs to know of a server before it uses it.
SERVER = sa.text(
    "SELECT current_setting('server_version') AS postgresql,"
    " current_setting('server_version_num')::int / 10000 AS major,"
    " current_setting('server_encoding') AS encoding,"
    " extversion AS postgis, nspname AS schema, nspname = ANY (current_schemas(true)) AS in_path"
    " FROM (VALUES (1)) AS one"
    " LEFT JOIN pg_extension ON extname = 'postgis'"
    " LEFT JOIN pg_namespace ON pg_namespace.oid = extnamespace"
)


def examine(connection: sa.Connection, *, installed: bool = True) -> Iterator[str]:
    """Why the service cannot work on a database.

    Args:
        connection: A connection to it.
        installed: Whether PostGIS has to be in it already.
    """
    yield from unfit(connection.execute(SERVER).one(), installed=installed)


def unfit(server: Any, *, installed: bool = True) -> Iterator[str]:
    """Why the service cannot work on a server of which ``SERVER`` says this."""
    if server.major < OLDEST_POSTGRESQL:
        yield f"PostgreSQL {server.postgresql} is too old: {OLDEST_POSTGRESQL} or later is needed"
    if server.encoding != "UTF8":
        yield (
            f"the database's encoding is {server.encoding}, not UTF8: make another "
            "(CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0) and restore a dump into it"
        )
    if server.postgis is None:
        if installed:
            yield "PostGIS is not in the database: CREATE EXTENSION postgis"
    elif _numbers(server.postgis) < _numbers(OLDEST_POSTGIS):
        yield f"PostGIS {server.postgis} is too old: {OLDEST_POSTGIS} or later is needed"
    elif not server.in_path:
        yield (
            f'PostGIS is in the schema "{server.schema}", which the search path does not have or this role may not use: '
            f'GRANT USAGE ON SCHEMA "{server.schema}" to it, and ALTER DATABASE … SET search_path = "$user", public, '
            f'"{server.schema}"'
        )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)[:2]))
