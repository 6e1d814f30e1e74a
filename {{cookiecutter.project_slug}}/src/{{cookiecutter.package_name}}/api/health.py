"""Whether the process lives, whether it can serve, and what Prometheus asks."""

import functools
import logging
import time
from http import HTTPStatus

import anyio
import sqlalchemy as sa
from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import Response

from .. import migrations
from ..database import Database, is_too_old

log = logging.getLogger(__name__)

#: Seconds for which an answer of the database holds, and that it may take.
LIFETIME, PATIENCE = 1.0, 3.0

STATUS = sa.text(
    "SELECT current_setting('server_version') AS postgresql, postgis_lib_version() AS postgis,"
    " ARRAY(SELECT version_num FROM alembic_version) AS revisions"
)

router = APIRouter(tags=["health"])


class Live(BaseModel):
    """The process lives."""

    status: str = "live"


class Ready(BaseModel):
    """What the service works with."""

    status: str = "ready"
    postgresql: str
    postgis: str
    revision: str


class NotReady(Exception):
    """The service cannot serve now; the message says why."""


class Readiness:
    """Whether the service can serve: the database answers and is migrated, PostGIS is new enough, the process is not ending."""

    def __init__(self, database: Database) -> None:
        #: Whether the process has been asked to end.
        self.draining = False
        self._database = database
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
            # With every connection in use the service is busy, not broken: the last answer still holds.
            expired = time.monotonic() >= self._until and not self._database.full
            if self._found is None or expired:
                self._found = await self._ask()
                self._until = time.monotonic() + LIFETIME
            found = self._found
        if isinstance(found, NotReady):
            raise found
        return found

    async def _ask(self) -> Ready | NotReady:
        try:
            with anyio.fail_after(PATIENCE):
                return await run_sync(self._look, abandon_on_cancel=True, limiter=self._threads)
        except NotReady as reason:
            return reason
        except TimeoutError:
            return NotReady("the database does not answer")
        except sa.exc.SQLAlchemyError as error:
            log.warning("not ready: %s", error)
            return NotReady("the database is unavailable, or has not been migrated")

    def _look(self) -> Ready:
        with self._database.read() as connection:
            found = connection.execute(STATUS).one()
        if is_too_old(found.postgis):
            raise NotReady(f"PostGIS {found.postgis} is too old")
        # An unknown revision is a newer one: the next version of the service is being rolled out.
        if not found.revisions or set(found.revisions) & _older_revisions():
            raise NotReady("the database has not been migrated")
        return Ready(
            postgresql=found.postgresql,
            postgis=found.postgis,
            revision=", ".join(found.revisions),
        )


@functools.cache
def _older_revisions() -> frozenset[str]:
    return frozenset(migrations.revisions()[1:])


@router.get("/health/live")
async def live() -> Live:
    """The process lives; nothing is said of the database."""
    return Live()


@router.get("/health/ready", responses={503: {"description": "The service cannot serve now"}})
async def ready(request: Request) -> Ready:
    """The service can serve."""
    readiness: Readiness = request.app.state.readiness
    try:
        return await readiness.status()
    except NotReady as reason:
        raise HTTPException(
            HTTPStatus.SERVICE_UNAVAILABLE, str(reason), {"Retry-After": "1"}
        ) from None


@router.get("/metrics", response_class=Response)
async def metrics(request: Request) -> Response:
    """Numbers for Prometheus, of this process."""
    registry = request.app.state.metrics.registry
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
