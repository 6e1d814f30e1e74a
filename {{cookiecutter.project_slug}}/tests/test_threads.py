"""Threads in which functions wait for the database."""

import asyncio
import gc
import threading
import time
import weakref

import pytest

from {{ cookiecutter.package_name }}.context import Context, current
from {{ cookiecutter.package_name }}.threads import Threads


def test_a_function_is_called_beside_the_event_loop_in_its_callers_context() -> None:
    async def call() -> tuple[int, str]:
        current.set(Context("followed"))
        return await threads.run(
            lambda *, last: (last - threading.get_ident(), current.get().request_id),
            last=threading.get_ident(),
        )

    threads = Threads(1)
    difference, request_id = asyncio.run(call())
    assert difference != 0
    assert request_id == "followed"


def test_threads_are_used_again_by_any_event_loop() -> None:
    threads = Threads(10)

    async def calls() -> set[int]:
        return {await threads.run(threading.get_ident) for _ in range(10)}

    assert len(asyncio.run(calls()) | asyncio.run(calls())) == 1


def test_there_are_no_more_threads_than_the_limit() -> None:
    threads, running, most = Threads(3), 0, 0
    lock = threading.Lock()

    def wait() -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.01)
        with lock:
            running -= 1
        return threading.get_ident()

    async def calls() -> list[int]:
        return await asyncio.gather(*(threads.run(wait) for _ in range(20)))

    assert len(set(asyncio.run(calls()))) == most == 3


def test_a_caller_that_is_gone_leaves_the_thread_to_others() -> None:
    began, end = threading.Event(), threading.Event()

    async def calls() -> None:
        first = asyncio.create_task(threads.run(lambda: began.set() or end.wait()))
        while not began.is_set():
            await asyncio.sleep(0)
        first.cancel()
        second = asyncio.create_task(threads.run(lambda: "second"))
        await asyncio.sleep(0)
        end.set()
        assert await second == "second"
        assert first.cancelled()

    threads = Threads(1)
    asyncio.run(calls())


class Answer:
    """What a function returns."""


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

    raised = asyncio.run(call())
    assert error in (type(raised), type(raised.__cause__))


def test_idle_threads_keep_no_answer() -> None:
    threads = Threads(1)

    async def call() -> weakref.ref[Answer]:
        return weakref.ref(await threads.run(Answer))

    kept = asyncio.run(call())
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

    assert asyncio.run(call()) == 0
