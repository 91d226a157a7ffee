"""Limits for connections: how many there may be, and how slow each may be. Even an idle one costs memory."""

import asyncio
import socket
from contextlib import suppress
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

MAX_CONNECTIONS = 200
"""The most connections at the same time."""

HEAD_SECONDS = 10.0
"""How long a request's line and headers may take to arrive."""

STALLED_SECONDS = 30.0
"""How long a client may leave its answer unread. Viewers of the streams may pause for longer."""

STREAM = "fmnist_edge.stream"
"""A key in the ASGI scope: the answer has no end, and the client passed the guard."""

SEND_BUFFER = 128 * 1024
"""The kernel's send buffer for each connection, in bytes. Small: a slow viewer gets new pictures, not megabytes of old ones."""

KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}
"""Ends the connection of a machine that was switched off, after a minute without a reply."""


class Connection(H11Protocol):
    """uvicorn 0.54 waits forever for the end of a request's headers, and for clients that do not read their answers."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._deadline: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        transport.set_write_buffer_limits(high=1)  # paused until the client has read everything: see pause_writing
        if len(self.connections) > MAX_CONNECTIONS:
            transport.abort()
            return
        if (connection := transport.get_extra_info("socket")) is not None:
            with suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                for name, value in KEEPALIVE.items():
                    if hasattr(socket, name):  # macOS calls one of them by another name
                        connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._idle():
            self._stop_waiting()
        elif self._deadline is None:  # the first bytes of the next request, or of an unread body
            self._wait_for_head()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self.cycle is None or not self.cycle.scope.get(STREAM):
            self._stalled = self.loop.call_later(STALLED_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_watching()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._stop_watching()
        super().connection_lost(exc)

    def _idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _wait_for_head(self) -> None:
        self._deadline = self.loop.call_later(HEAD_SECONDS, self._end_if_idle)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None

    def _stop_watching(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
        self._stalled = None

    def _end_if_idle(self) -> None:
        self._deadline = None
        if self._idle():
            self.transport.abort()
