"""uvicorn's HTTP protocol, with limits for requests that never arrive or never end."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

#: Bytes of a request's first line and headers, not counting the piece that begins it.
MAX_HEAD = 64 * 1024

#: How many times larger than its body a request may be: each byte may come as a chunk of its own.
CHUNKED = 8


class Protocol(HttpToolsProtocol):
    """Closes a connection when no whole request comes in time, or one that is too long.

    uvicorn itself has a timeout for connections that are idle after an answer, and none for those that have sent nothing,
    or a part of a request.
    """

    def __init__(self, *args: Any, timeout: float, max_body: int, **options: Any) -> None:
        super().__init__(*args, **options)
        self._timeout = timeout
        self._limit = MAX_HEAD + CHUNKED * max_body
        # When the wait for a request began; None: it has arrived.
        self._since: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._in_head = True
        self._size = self._messages = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._since = self.loop.time()
        self._timer = self.loop.call_later(self._timeout, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._since is None and self._is_idle:
            self._since = self.loop.time()
        before = self._messages
        super().data_received(data)
        if self._messages == before:
            self._size += len(data)
            if self._size > (MAX_HEAD if self._in_head else self._limit):
                self._refuse(431 if self._in_head else 413)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._since = self.loop.time()
        self._in_head, self._size = True, 0
        self._messages += 1

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._since = None

    @property
    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _look(self) -> None:
        """See whether a request has been coming for too long, and when to look again."""
        left = self._timeout
        if self._since is not None:
            left += self._since - self.loop.time()
        if left > 0:
            self._timer = self.loop.call_later(left, self._look)
        else:
            self._refuse(408)

    def _refuse(self, status: int) -> None:
        if self.transport.is_closing():
            return
        if self._is_idle:
            head = STATUS_LINE[status] + b"content-length: 0\r\nconnection: close\r\n\r\n"
            self.transport.write(head)
        self.transport.close()
