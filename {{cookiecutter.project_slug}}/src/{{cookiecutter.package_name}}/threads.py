"""Threads in which functions wait for the database, while the event loop serves on."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context, copy_context
from functools import partial
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Call:
    """A function that is to be called, and the future of what it returns."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self._function = function
        self._context: Context = copy_context()
        self._loop = asyncio.get_running_loop()
        self._result: Any = None
        self._error: BaseException | None = None
        self.future: asyncio.Future[Any] = self._loop.create_future()

    def run(self) -> None:
        """Call it."""
        try:
            self._result = self._context.run(self._function)
        except StopIteration as error:
            # No future takes it: whoever awaits one would wait for ever. A coroutine makes the same of it.
            self._error = RuntimeError("the function raised StopIteration")
            self._error.__cause__ = error
        except BaseException as error:
            self._error = error

    def tell(self) -> None:
        """Have the event loop told what has become of it."""
        # The loop may have ended meanwhile.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._resolve)

    def _resolve(self) -> None:
        if self.future.done():
            return
        if self._error is None:
            self.future.set_result(self._result)
        else:
            self.future.set_exception(self._error)


class Threads:
    """So many threads at the most, started when they are needed; the one that was last used is used first.

    To call a function in one of anyio's, as FastAPI does, takes more than twice as long.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._started = 0
        self._idle: list[SimpleQueue[Call]] = []
        self._waiting: deque[Call] = deque()
        self._lock = threading.Lock()

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What a function returns that is called in a thread, in the context of the caller."""
        call = Call(partial(function, *args, **kwargs))
        with self._lock:
            if self._idle:
                self._idle.pop().put(call)
            elif self._started < self._limit:
                calls: SimpleQueue[Call] = SimpleQueue()
                calls.put(call)
                threading.Thread(target=self._work, args=[calls], daemon=True).start()
                # Not before: the machine may have no thread to give, and then this one is none.
                self._started += 1
            else:
                self._waiting.append(call)
        result: T = await call.future
        return result

    def _work(self, calls: SimpleQueue[Call]) -> None:
        while True:
            call = calls.get()
            call.run()
            # Before anybody is told: the next call shall find this thread, not start another.
            with self._lock:
                if self._waiting:
                    calls.put(self._waiting.popleft())
                else:
                    self._idle.append(calls)
            call.tell()
            # While the thread is idle it would keep the answer.
            del call
