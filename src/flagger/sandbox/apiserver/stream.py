"""A chunked response that is written straight to the transport.

One event goes to many watches: its chunk is framed once and shared, and no task has to wake up to send it.
While a client does not read, its chunks wait here, up to a bound.
"""

from __future__ import annotations

import asyncio
from collections import deque

from aiohttp.abc import AbstractStreamWriter
from aiohttp.web import BaseRequest, StreamResponse

BACKLOG_LIMIT = 16 * 1024 * 1024
"""Bytes kept for a client that does not read; beyond, the stream is broken off."""


def framed(data: bytes) -> bytes:
    """Return one chunk of chunked transfer coding (RFC 9112, section 7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class ChunkStream:
    """An open chunked response; `send` never waits."""

    def __init__(self, request: BaseRequest, response: StreamResponse, writer: AbstractStreamWriter) -> None:
        self.response = response
        self.overrun = False
        self._request = request
        self._writer = writer
        self._loop = asyncio.get_running_loop()
        self._backlog: deque[bytes] = deque()
        self._waiting = 0
        self._ready: list[bytes] = []
        """Chunks of this turn of the loop, which leave in one write."""
        self._wake = asyncio.Event()
        self._ended = False

    @classmethod
    async def open(cls, request: BaseRequest, content_type: str) -> ChunkStream:
        """Send the headers of a 200 answer."""
        headers = {"Content-Type": content_type, "Cache-Control": "no-cache, private"}
        response = StreamResponse(headers=headers)
        response.enable_chunked_encoding()
        writer = await response.prepare(request)
        if writer is None:
            raise ConnectionResetError("the client is gone")
        writer.send_headers()
        return cls(request, response, writer)

    @property
    def closed(self) -> bool:
        """Whether the stream is over: ended from here, or left by the client."""
        return self._ended or self._is_gone()

    def _is_gone(self) -> bool:
        transport = self._request.transport
        return transport is None or transport.is_closing()

    def send(self, chunk: bytes) -> None:
        """Send a framed chunk in this turn of the loop, or when the client has read what is under way."""
        if not self._ready:
            self._loop.call_soon(self._send_ready)
        self._ready.append(chunk)

    def _send_ready(self) -> None:
        chunk = b"".join(self._ready)  # costs nothing for a single one
        self._ready = []
        if self._is_gone():
            self._wake.set()
        elif not chunk:
            return
        elif self._backlog or self._request.protocol.writing_paused:
            self._keep(chunk)
        else:
            self._write(chunk)

    def _write(self, chunk: bytes) -> None:
        transport = self._request.transport
        if transport is not None:
            transport.write(chunk)

    def _keep(self, chunk: bytes) -> None:
        self._backlog.append(chunk)
        self._waiting += len(chunk)
        self.overrun = self._waiting > BACKLOG_LIMIT
        self._wake.set()

    def end(self) -> None:
        """Make `pump` return; called from outside to stop the stream."""
        self._ended = True
        self._wake.set()

    async def pump(self, seconds: float) -> None:
        """Deliver the backlog as the client reads; returns after `seconds`, or when the stream is over."""
        try:
            async with asyncio.timeout(seconds):
                await self._flush()
                while not (self.closed or self.overrun):
                    await self._wake.wait()
                    self._wake.clear()
                    await self._flush()
        except TimeoutError:
            return

    async def _flush(self) -> None:
        while self._backlog and not self._is_gone() and not self.overrun:
            await self._writer.drain()
            chunk = self._backlog.popleft()
            self._waiting -= len(chunk)
            self._write(chunk)

    def finish(self) -> StreamResponse:
        """Send what is ready and return the response for the server to end.

        A client that does not read is cut off.
        """
        self._send_ready()
        transport = self._request.transport
        if (self.overrun or self._backlog) and transport is not None:
            transport.abort()
        return self.response
