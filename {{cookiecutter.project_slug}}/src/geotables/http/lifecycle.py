"""What happens beside the requests, from the start of the process to its end."""

import asyncio
import gc
import logging
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import FrameType
from typing import Any

import anyio
import sqlalchemy as sa
from anyio.to_thread import run_sync
from fastapi import FastAPI

from geotables.db.database import Database
from geotables.http.middleware import Running
from geotables.http.tracing import trace_statements
from geotables.settings import ServiceSettings

log = logging.getLogger(__name__)

#: How many more objects are made than freed before the garbage collector looks for cycles. A page of 1,000 rows makes
#: several thousand, and no cycles.
GC_THRESHOLD = 20_000


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Look after the database's connections while the application runs, and close them at the end."""
    settings: ServiceSettings = app.state.settings
    database: Database = app.state.database
    for warning in settings.open_access():
        log.warning(warning)
    trace_statements(database)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_every_second, database.hung_connections.hang_up)
        tasks.start_soon(_look_for_the_gone, app.state.running, database)
        if app.state.metrics.is_shared:
            tasks.start_soon(_every_second, app.state.metrics.look)
        if database.replica is not None:
            tasks.start_soon(_every_second, database.replica.measure)
        tasks.start_soon(_in_thread, _warn_of_shortage, database, settings)
        with _draining(app, settings.drain_seconds), _collecting_less():
            yield
        tasks.cancel_scope.cancel()
    database.close()


async def _every_second(do: Callable[[], None]) -> None:
    while True:
        try:
            await _in_thread(do)
        except Exception:
            log.exception("%s failed, and is tried again in a second", do.__qualname__)
        await anyio.sleep(1)


async def _look_for_the_gone(running: set[Running], database: Database) -> None:
    """Cancel the statements of clients that have closed their connections."""
    while True:
        await anyio.sleep(1)
        for request in list(running):
            await request.look()
        if any(request.context.gone for request in running):
            await _in_thread(database.hung_connections.cancel)


async def _in_thread(do: Callable[..., None], *arguments: Any) -> None:
    # Threads of their own: those of the requests may all wait for a database that hangs.
    await run_sync(do, *arguments, abandon_on_cancel=True, limiter=anyio.CapacityLimiter(1))


def _warn_of_shortage(database: Database, settings: ServiceSettings) -> None:
    try:
        if shortage := database.shortage(settings.processes):
            log.warning(shortage)
    except sa.exc.SQLAlchemyError as error:
        log.warning("the database cannot be reached yet: %s", error)


@contextmanager
def _collecting_less() -> Iterator[None]:
    """Run the garbage collector less often, and never on what the application starts with."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    # Leave it alone where it is off or set higher.
    if 0 < before[0] < GC_THRESHOLD:
        gc.set_threshold(GC_THRESHOLD, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


@contextmanager
def _draining(app: FastAPI, seconds: float) -> Iterator[None]:
    """On SIGTERM, make ``/health/ready`` fail, and serve on for a while.

    Meanwhile a load balancer stops sending requests. A second signal ends it at once.
    """
    if threading.current_thread() is not threading.main_thread():
        # Signals reach the main thread alone; in another, as in tests, the application is only a part of the process.
        yield
        return
    loop = asyncio.get_running_loop()
    before = signal.getsignal(signal.SIGTERM)

    def end(number: int, frame: FrameType | None) -> None:
        if callable(before):
            before(number, frame)

    def drain(number: int, frame: FrameType | None) -> None:
        delay = 0 if app.state.readiness.draining else seconds
        app.state.readiness.draining = True
        loop.call_soon_threadsafe(loop.call_later, delay, end, number, frame)

    signal.signal(signal.SIGTERM, drain)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
