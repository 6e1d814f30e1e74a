"""Whether the process lives, whether it can serve, and what Prometheus asks."""

import logging
import time
from collections.abc import Sequence
from functools import cached_property
from http import HTTPStatus

import anyio
import sqlalchemy as sa
from anyio.to_thread import run_sync
from fastapi import APIRouter, FastAPI, Request
from fastapi.params import Depends
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import Response

from geotables.db.database import Database
from geotables.db.migrations import Migrations
from geotables.db.server import SERVER, unfit
from geotables.http.metrics import Metrics
from geotables.identifiers import qualified

log = logging.getLogger(__name__)

#: Seconds for which an answer of the database holds.
LIFETIME = 1.0

#: Seconds that the database may take to answer, and then to accept a new session: together less than the timeout of an
#: orchestrator's probe.
PATIENCE, TO_CONNECT = 1.5, 1.0


class Live(BaseModel):
    """The process lives."""

    status: str = "live"


class Ready(BaseModel):
    """What the service works with; without the versions where reading is closed."""

    status: str = "ready"
    postgresql: str | None = None
    postgis: str | None = None
    revision: str | None = None


class NotReady(Exception):
    """The service cannot serve now; the message says why."""


class Readiness:
    """Whether the service can serve: the database answers and is migrated, PostGIS is new enough, the process is not ending."""

    def __init__(self, database: Database, migrations: Migrations) -> None:
        #: Whether the process has been asked to end.
        self.draining = False
        self._database = database
        self._migrations = migrations
        # The revisions that the database is at, and which of the named tables it lacks.
        self._migrated = sa.text(
            f"SELECT ARRAY(SELECT version_num FROM {migrations.version_table}) AS revisions,"
            " ARRAY(SELECT name FROM unnest(CAST(:tables AS text[])) AS name WHERE to_regclass(name) IS NULL) AS missing"
        )
        # Why they cannot be read, by PostgreSQL's error code.
        self._unreadable = {
            "42P01": "the database has not been migrated",
            "42501": f"the service's role may not read {migrations.version_table}",
        }
        self._found: Ready | NotReady | None = None
        self._until = 0.0
        self._lock = anyio.Lock()
        # Threads of its own: those of the requests may all wait for a database that hangs.
        self._threads = anyio.CapacityLimiter(1)

    async def status(self) -> Ready:
        """What the service works with; the database is asked once a second at the most.

        Raises:
            NotReady: It cannot serve.
        """
        if self.draining:
            raise NotReady("the service is ending")
        async with self._lock:
            if self._found is None or time.monotonic() >= self._until:
                self._found = await self._ask()
                self._until = time.monotonic() + LIFETIME
            found = self._found
        if isinstance(found, NotReady):
            raise found
        return found

    async def _ask(self) -> Ready | NotReady:
        if isinstance(self._found, Ready) and self._database.full:
            # There is no connection to ask with. A service that is busy is not broken, unless the server hangs.
            if await self._is_busy():
                return self._found
            return NotReady("the database does not answer")
        try:
            # Alembic reads the revisions once: a second or two that are not the database's.
            await run_sync(lambda: self._older_revisions, limiter=self._threads)
            with anyio.fail_after(PATIENCE):
                return await run_sync(self._look, abandon_on_cancel=True, limiter=self._threads)
        except NotReady as reason:
            return reason
        except FileNotFoundError as reason:
            return NotReady(str(reason))
        except (TimeoutError, sa.exc.TimeoutError, sa.exc.OperationalError) as error:
            if isinstance(self._found, Ready) and await self._is_busy():
                return self._found
            if isinstance(error, TimeoutError):
                return NotReady("the database does not answer")
            log.warning("not ready: %s", error)
            return NotReady("the database is unavailable")
        except sa.exc.SQLAlchemyError as error:
            log.warning("not ready: %s", error)
            code = getattr(getattr(error, "orig", None), "pgcode", None) or ""
            return NotReady(self._unreadable.get(code, "the database cannot be used"))

    async def _is_busy(self) -> bool:
        """Whether the database accepts sessions, and has answered a statement within the time that one may take.

        PgBouncer accepts sessions while statements wait for its connections, and so does a server that is merely busy; one
        that hangs does not.
        """
        connections = self._database.hung_connections
        if time.monotonic() - connections.answered > connections.patience:
            return False
        with anyio.move_on_after(TO_CONNECT):
            accepts = self._database.accepts_sessions
            return await run_sync(accepts, abandon_on_cancel=True, limiter=anyio.CapacityLimiter(1))
        return False

    def _look(self) -> Ready:
        with self._database.read() as connection:
            server = connection.execute(SERVER).one()
            if problems := list(unfit(server)):
                raise NotReady("; ".join(problems))
            found = connection.execute(self._migrated, {"tables": self._table_names}).one()
        # An unknown revision is a newer one: the next version of the service is being rolled out.
        if not found.revisions or set(found.revisions) & self._older_revisions:
            raise NotReady("the database has not been migrated")
        if found.missing:
            raise NotReady(f"the database has no table {', '.join(found.missing)}")
        return Ready(
            postgresql=server.postgresql,
            postgis=server.postgis,
            revision=", ".join(found.revisions),
        )

    @cached_property
    def _table_names(self) -> list[str]:
        """The tables of the models, quoted where SQL needs it."""
        return [qualified(table) for table in self._migrations.metadata.sorted_tables]

    @cached_property
    def _older_revisions(self) -> frozenset[str]:
        return frozenset(self._migrations.revisions()[1:])


def install(app: FastAPI, *, readers: Sequence[Depends] = ()) -> None:
    """Add the routes of an application's health.

    Args:
        app: The application.
        readers: Dependencies of the routes that read. If there are any, they guard the metrics, which tell what is asked for and
            how often, and ``/health/ready`` tells no versions.
    """
    router = APIRouter(tags=["health"])

    @router.get("/health/live")
    async def read_liveness() -> Live:
        """The process lives; the database is not asked."""
        return Live()

    @router.get(
        "/health/ready",
        responses={503: {"description": "The service cannot serve now"}},
        response_model_exclude_none=True,
    )
    async def read_readiness(request: Request) -> Ready:
        """The service can serve."""
        readiness: Readiness = request.app.state.readiness
        try:
            found = await readiness.status()
        except NotReady as reason:
            raise HTTPException(
                HTTPStatus.SERVICE_UNAVAILABLE, str(reason), {"Retry-After": "1"}
            ) from None
        return Ready() if readers else found

    @router.get("/metrics", response_class=Response, dependencies=[*readers])
    async def read_metrics(request: Request) -> Response:
        """Numbers for Prometheus, of all processes of this server."""
        numbers: Metrics = request.app.state.metrics
        return Response(numbers.exposition(), media_type=CONTENT_TYPE_LATEST)

    app.include_router(router)
