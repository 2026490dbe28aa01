"""One GET, bounded in time, in bytes over the wire and in bytes unpacked. No redirect is followed."""

from __future__ import annotations

import asyncio
import logging
import ssl
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import httpx

# At its finest httpcore writes down the headers of every answer, and an answer may repeat a key.
logging.getLogger("httpcore").setLevel(logging.INFO)
# It writes down every address it asks, and some feeds have a secret in theirs.
logging.getLogger("httpx").setLevel(logging.WARNING)


@dataclass(frozen=True, kw_only=True)
class Received:
    """An answer: its status, its body unpacked, and how many bytes came over the wire."""

    status: int
    body: bytes
    wire_bytes: int


class NoAnswer(Exception):
    """Nothing usable came: what happened, and how many bytes did come."""

    def __init__(self, why: str, wire_bytes: int = 0) -> None:
        super().__init__(why)
        self.wire_bytes = wire_bytes


class AnswerTooLong(NoAnswer):
    """More bytes than an answer may have."""


def plain_client(auth: httpx.Auth | None = None) -> httpx.AsyncClient:
    """A client that reads nothing from the environment: a proxy there would see what it carries."""
    headers = {"Accept-Encoding": "gzip", "User-Agent": "quorum"}
    return httpx.AsyncClient(
        auth=auth,
        headers=headers,
        timeout=None,
        follow_redirects=False,
        trust_env=False,
        verify=_authorities(),
    )


@cache
def _authorities() -> ssl.SSLContext:
    """Whose certificates are believed. Read once for all clients of a process: it takes 30 ms a time."""
    return httpx.create_ssl_context(trust_env=False)


async def get(
    http: httpx.AsyncClient,
    url: str,
    *,
    timeout_s: float,
    max_bytes: int,
    params: Mapping[str, str] | None = None,
) -> Received:
    """The answer, whatever its status. Raises NoAnswer, which holds nothing of the request."""
    received = bytearray()
    try:
        async with asyncio.timeout(timeout_s), http.stream("GET", url, params=params) as response:
            async for chunk in response.aiter_raw():
                received += chunk
                if len(received) > max_bytes:
                    raise AnswerTooLong("an answer that does not end", len(received))
    except TimeoutError:
        raise NoAnswer(f"nothing whole within {timeout_s:g} s", len(received)) from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        # Not chained: the original holds the request, and the request's headers may hold a key.
        raise NoAnswer(f"{type(error).__name__}: {error}", len(received)) from None
    packed = response.headers.get("content-encoding", "").strip().lower()
    body = _unpacked(bytes(received), packed, max_bytes)
    return Received(status=response.status_code, body=body, wire_bytes=len(received))


def _unpacked(received: bytes, encoding: str, max_bytes: int) -> bytes:
    if encoding in ("", "identity") or not received:
        return received
    if encoding not in ("gzip", "x-gzip"):
        raise NoAnswer("an encoding that was not asked for", len(received))
    unpacker = zlib.decompressobj(wbits=31)
    try:
        body = unpacker.decompress(received, max_bytes + 1)
    except zlib.error:
        raise NoAnswer("gzip that cannot be unpacked", len(received)) from None
    if len(body) > max_bytes:
        raise AnswerTooLong("an answer that unpacks beyond all measure", len(received))
    if not unpacker.eof:
        raise NoAnswer("gzip that was cut off", len(received))
    return body
