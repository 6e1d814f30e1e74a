"""Functions that wait for the database are called in threads of the service's own."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from {{ cookiecutter.package_name }}.threads import Threads


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
