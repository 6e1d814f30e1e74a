"""The floor: the service's own SQL by a psycopg2 pool, behind bare Starlette routes.

No session, no ping, no middleware, no validation: what nobody can go below without another driver. The statements are those
of the rendered service, compiled once; rows become JSON as they do there.
"""

import os
from collections.abc import Callable
from contextlib import contextmanager
from importlib import import_module
from threading import BoundedSemaphore
from typing import Any

import orjson
import shapely
import sqlalchemy as sa
from psycopg2.pool import ThreadedConnectionPool
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

service = os.environ["SERVICE"]
queries, nearby, schemas, crs, bbox = (
    import_module(f"{service}.{name}") for name in ("queries", "nearby", "schemas", "crs", "bbox")
)
