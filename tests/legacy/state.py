"""What a database holds, so that two moments can be compared: its catalogue, its rows, and which transactions wrote them."""

from typing import Any

import psycopg2

#: The catalogue, but for what databases of a server share. A row that DDL changes is a new one, by another transaction; what
#: VACUUM and ANALYZE set in place is not compared.
CATALOGUE = (
    *("pg_attrdef", "pg_attribute", "pg_class", "pg_constraint", "pg_default_acl", "pg_depend"),
    *("pg_description", "pg_enum", "pg_event_trigger", "pg_extension", "pg_foreign_server"),
    *("pg_foreign_table", "pg_index", "pg_inherits", "pg_namespace", "pg_opclass", "pg_operator"),
    *("pg_partitioned_table", "pg_policy", "pg_proc", "pg_publication", "pg_rewrite"),
    *("pg_seclabel", "pg_sequence", "pg_statistic_ext", "pg_trigger", "pg_type"),
    "pg_user_mapping",
)

_RELATIONS = """
SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = ANY (%s) AND n.nspname NOT LIKE 'pg\\_%%' AND n.nspname <> 'information_schema'
ORDER BY 1
"""


def state(url: str) -> dict[str, Any]:
    """The catalogue's tables, the user's and the sequences, each with a digest, or its numbers."""
    connection = psycopg2.connect(url.replace("+psycopg2", ""))
    try:
        with connection.cursor() as cursor:
            return {
                **{name: _one(cursor, _digest(name)) for name in CATALOGUE},
                **{name: _one(cursor, _digest(name, "t::text")) for name in _named(cursor, "rm")},
                **{
                    name: _one(cursor, f"SELECT last_value || ' ' || is_called FROM {name}")
                    for name in _named(cursor, "S")
                },
            }
    finally:
        connection.close()


def _named(cursor: Any, kinds: str) -> list[str]:
    cursor.execute(_RELATIONS, (list(kinds),))
    return [name for (name,) in cursor.fetchall()]


def _digest(name: str, *values: str) -> str:
    row = " || ' ' || ".join(("t.xmin::text", "t.ctid::text", *values))
    return f"SELECT count(*) || ' ' || coalesce(md5(string_agg({row}, ',' ORDER BY t.ctid)), '') FROM {name} AS t"


def _one(cursor: Any, query: str) -> Any:
    cursor.execute(query)
    return cursor.fetchone()[0]
