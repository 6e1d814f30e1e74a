"""Functions that wait for the database are called in threads of the service's own."""

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from {{ cookiecutter.package_name }}.threads import Threads


class Answer:
    """What a function returns."""


def run(steps: Callable[[], Awaitable[Any]]) -> Any:
    """What a coroutine returns, which must not wait for ever."""
    return asyncio.run(asyncio.wait_for(steps(), 10))


@pytest.mark.parametrize("error", [StopIteration, StopAsyncIteration, KeyboardInterrupt, OSError])
def test_whatever_a_function_raises_reaches_who_awaits_it(error: type[BaseException]) -> None:
    threads = Threads(1)

    def fail() -> None:
        raise error

    async def call() -> BaseException:
        try:
            await threads.run(fail)
        except BaseException as raised:
            return raised
        raise AssertionError("nothing was raised")

    raised = run(call)
    assert error in (type(raised), type(raised.__cause__))


def test_idle_threads_keep_no_answer() -> None:
    threads = Threads(1)

    async def call() -> weakref.ref[Answer]:
        return weakref.ref(await threads.run(Answer))

    kept = run(call)
    # The thread has no other call: what it holds it would hold for good.
    deadline = time.monotonic() + 5
    while kept() is not None and time.monotonic() < deadline:
        time.sleep(0.01)
        gc.collect()
    assert kept() is None


def test_a_thread_that_cannot_start_takes_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = Threads(1)

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def call() -> int:
        with monkeypatch.context() as without:
            without.setattr(threading.Thread, "start", refuse)
            with pytest.raises(RuntimeError, match="start"):
                await threads.run(int)
        return await threads.run(int)

    assert run(call) == 0
