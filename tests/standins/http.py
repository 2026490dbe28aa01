"""A small HTTP/1.1 server for stand-ins: real sockets on loopback, nothing but the standard library."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from urllib.parse import urlsplit


@dataclass(frozen=True)
class HttpRequest:
    method: str
    path: str  # without the query
    headers: Mapping[str, str]  # names in lower case
    body: bytes


@dataclass(frozen=True)
class HttpResponse:
    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_after: int | None = None  # bytes of the body after which the connection is cut
    silent: bool = False  # nothing is ever answered


Handler = Callable[[HttpRequest], Awaitable[HttpResponse]]


def json_response(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> HttpResponse:
    return HttpResponse(status, json.dumps(value).encode(), headers=headers or {})


async def serve(
    handler: Handler, port: int = 0, open_now: dict[asyncio.Task[None], asyncio.StreamWriter] | None = None
) -> asyncio.Server:
    """A server on 127.0.0.1; port 0 takes a free one. `open_now` holds the connections there are."""
    connections = {} if open_now is None else open_now

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections[task] = writer
        try:
            while (request := await _read(reader)) is not None:
                if not await _write(reader, writer, await handler(request)):
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client has left, which many tests want
        finally:
            del connections[task]
            writer.close()

    return await asyncio.start_server(talk, "127.0.0.1", port)


class InThread:
    """A server in a thread of its own, so that tests with any loop or none may call it."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self.port = 0

    def __enter__(self) -> InThread:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _run(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        server = await serve(self._handler, open_now=connections)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for writer in connections.values():
            writer.close()  # each ends as if its client had left
        await asyncio.gather(*connections)


async def _read(reader: asyncio.StreamReader) -> HttpRequest | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    pairs = (line.split(":", 1) for line in lines if line)
    headers = {name.strip().lower(): value.strip() for name, value in pairs}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return HttpRequest(method, urlsplit(target).path, headers, body)


async def _write(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, response: HttpResponse) -> bool:
    """Whether the connection goes on."""
    if response.silent:
        await reader.read(1)  # until the client gives up
        return False
    lines = [f"HTTP/1.1 {response.status} said", f"content-type: {response.content_type}"]
    lines += [f"content-length: {len(response.body)}"]
    lines += [f"{name}: {value}" for name, value in response.headers.items()]
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + response.body[: response.cut_after])
    await writer.drain()
    return response.cut_after is None
